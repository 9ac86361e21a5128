"""What is ours of an encrypted connection, against a server whose every record the test sends."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trustme

from glacier_mpu.vault.tls import BatchingTransport
from tests.support.clients import SOMEBODY, connected, list_parts

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"Parts":[]}'


@dataclass
class Farewell:
    """Answers each request and says goodbye in the same write, but leaves the line open."""

    context: ssl.SSLContext
    requests: list[int] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            for number in range(9):
                wire, _ = listener.accept()
                wire.settimeout(10)
                threading.Thread(target=self._converse, args=(wire, number), daemon=True).start()

    def _converse(self, wire: socket.socket, number: int) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_side=True)
        with wire, suppress(OSError, ssl.SSLError):
            _until(tls.do_handshake, wire, incoming, outgoing)
            _until(lambda: tls.read(1 << 16), wire, incoming, outgoing)
            self.requests.append(number)
            tls.write(ANSWER)
            with suppress(ssl.SSLWantReadError):
                tls.unwrap()
            wire.sendall(outgoing.read())
            wire.recv(1 << 16)  # until the client goes away, or sends what nobody will answer


def _until(
    step: Callable[[], object],
    wire: socket.socket,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
) -> None:
    while True:
        try:
            step()
        except ssl.SSLWantReadError:
            wire.sendall(outgoing.read())
            incoming.write(wire.recv(1 << 16))
        else:
            wire.sendall(outgoing.read())
            return


@contextmanager
def farewell(context: ssl.SSLContext) -> Iterator[tuple[Farewell, str]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        server = Farewell(context)
        thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
        thread.start()
        yield server, f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("piece", [1 << 16, 60, 3])
@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"]
)
def test_a_connection_that_the_service_closed_with_its_answer_is_not_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: ssl.TLSVersion, piece: int
) -> None:
    class InPieces(socket.socket):
        def recv(self, size: int, *flags: int) -> bytes:
            return super().recv(min(size, piece), *flags)

    monkeypatch.setattr(socket, "socket", InPieces)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with (
        farewell(context) as (server, url),
        connected(replace(SOMEBODY, endpoint_url=url)) as client,
    ):
        for _ in range(3):
            assert list_parts(client)["Parts"] == []
    assert server.requests == [0, 1, 2]


def test_a_connection_whose_encryption_fails_is_closed() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"220 welcome\r\n")
        with pytest.raises(ssl.SSLError):
            BatchingTransport(ours, ssl.create_default_context(), server_hostname="glacier.example")
        assert ours.fileno() == -1
