"""Failures without an answer: what they mean, told shortly by what began them."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from glacier_mpu.errors import BundleInvalid
from glacier_mpu.source.blocks import MIB
from glacier_mpu.stop import Waits
from glacier_mpu.vault.client import call_once, connect
from glacier_mpu.vault.errors import (
    BundleUnreadable,
    CertificateError,
    TimedOut,
    TransientError,
    Unreachable,
    VaultError,
)
from tests.support.clients import SOMEBODY, UPLOAD, connected, list_parts
from tests.support.kit import body_of, pattern, write


@contextmanager
def somebody(converse: Callable[[socket.socket], object]) -> Iterator[str]:
    """Yield host and port of a server that does this with its one connection."""

    def serve() -> None:
        wire, _ = listener.accept()
        with wire:
            converse(wire)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def failure(url: str) -> VaultError:
    with (
        connected(replace(SOMEBODY, endpoint_url=url)) as client,
        pytest.raises(VaultError) as caught,
    ):
        list_parts(client)
    return caught.value


@pytest.mark.parametrize(
    ("number", "words"),
    [(socket.EAI_NONAME, "name not known"), (socket.EAI_AGAIN, "name lookup failed")],
)
def test_a_name_that_is_not_found_is_told_in_a_few_words(
    monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "what this system says")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = failure("https://glacier.example")
    assert type(error) is Unreachable
    assert error.message == f"glacier.example: {words}"


def test_a_connection_that_is_closed_without_an_answer_is_told_so() -> None:
    with somebody(lambda wire: wire.recv(1 << 16)) as address:
        error = failure(f"http://{address}")
    assert type(error) is TransientError
    assert error.message == f"{address}: closed without an answer"


def test_an_answer_that_does_not_come_is_timed_out() -> None:
    over = threading.Event()
    with somebody(lambda _: over.wait(10)) as address:
        address_of_it = replace(SOMEBODY, endpoint_url=f"http://{address}")
        waits = Waits(connect=5, read=0.05)
        with (
            closing(connect(address_of_it, connections=1, waits=waits)) as clients,
            pytest.raises(TimedOut) as caught,
        ):
            list_parts(clients.calls)
        over.set()
    assert caught.value.message == f"{address}: timed out"


def test_a_block_that_gets_no_further_while_it_is_sent_is_timed_out_and_slows_auto_down(
    tmp_path: Path,
) -> None:
    over = threading.Event()
    source = write(tmp_path / "file", pattern(32 * MIB))  # more than any socket holds
    with somebody(lambda _: over.wait(10)) as address:
        address_of_it = replace(SOMEBODY, endpoint_url=f"http://{address}")
        waits = Waits(connect=0.2, read=5)
        with (
            closing(connect(address_of_it, connections=1, waits=waits)) as clients,
            body_of(source) as body,
            pytest.raises(VaultError) as caught,
        ):
            call_once(
                clients.calls.upload_multipart_part,
                wants=("checksum",),
                **UPLOAD,
                range=f"bytes 0-{source.size - 1}/*",
                checksum="ab" * 32,
                body=body,
            )
        over.set()
    assert type(caught.value) is TimedOut
    assert caught.value.slows_down
    assert caught.value.message == f"{address}: timed out"


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    ],
    ids=["missing", "empty", "text", "half a certificate"],
)
@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_trusted_authorities_that_cannot_be_read_are_refused_before_any_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, content: str | None
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv(variable, str(bundle))
    with pytest.raises(BundleInvalid) as caught, connected(SOMEBODY):
        pass
    message = caught.value.message
    assert message.startswith(f"the CA bundle '{bundle}' cannot be read: ")
    assert "TLS" not in message
    if content is None:
        assert message.endswith(": no such file or directory")


def test_trusted_authorities_that_are_not_needed_are_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere")
    with connected(replace(SOMEBODY, endpoint_url="http://127.0.0.1:1")):
        pass


def test_trusted_authorities_that_are_gone_end_the_run_and_keep_the_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    trustme.CA().cert_pem.write_to_path(bundle)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    with (
        somebody(lambda wire: wire.recv(1 << 16)) as address,
        connected(replace(SOMEBODY, endpoint_url=f"https://{address}")) as client,
    ):
        bundle.unlink()
        with pytest.raises(BundleUnreadable) as caught:
            list_parts(client)
    error = caught.value
    assert (error.max_tries, error.keeps_upload, error.every_block_alike) == (1, True, True)
    assert error.message == f"{address}: the CA bundle cannot be read: no such file or directory"


def test_a_certificate_that_is_not_trusted_is_told_in_a_few_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "another.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "another.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    def converse(wire: socket.socket) -> None:
        with pytest.raises(ssl.SSLError), context.wrap_socket(wire, server_side=True) as tls:
            tls.recv(1)

    with somebody(converse) as address:
        error = failure(f"https://{address}")
    assert type(error) is CertificateError
    assert error.message.startswith(f"{address}: TLS: ")
    assert "certificate" in error.message
    assert len(error.message) < 120
