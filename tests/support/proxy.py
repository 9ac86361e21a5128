"""A real CONNECT proxy on 127.0.0.1, which takes every name to one port of this machine."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class ConnectProxy(socketserver.ThreadingTCPServer):
    """Keeps the request line of each connection in `asked`; `answer` is its own, None to relay.

    `unasked` is what it says to whoever connects, before it reads.
    """

    daemon_threads = True

    def __init__(self, *, port: int = 0, answer: bytes | None = None, unasked: bytes = b"") -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.upstream_port = port
        self.answer = answer
        self.unasked = unasked
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that went away."""


class _Relay(socketserver.StreamRequestHandler):
    server: ConnectProxy
    rbufsize = 0  # what follows the request belongs to the tunnel

    def handle(self) -> None:
        self.wfile.write(self.server.unasked)
        self.server.asked.append(self.rfile.readline().decode().strip())
        while self.rfile.readline().strip():
            pass
        if self.server.answer is not None:
            self.wfile.write(self.server.answer)
            return
        with socket.create_connection(("127.0.0.1", self.server.upstream_port)) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_carry, args=(upstream, self.connection), daemon=True)
            back.start()
            _carry(self.connection, upstream)
            back.join()


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes from one to the other; what comes back goes on when the other takes no more."""
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_RDWR)


@contextmanager
def connect_proxy(
    *, port: int = 0, answer: bytes | None = None, unasked: bytes = b""
) -> Iterator[ConnectProxy]:
    """Serve on a free port of 127.0.0.1 as long as this lasts."""
    with ConnectProxy(port=port, answer=answer, unasked=unasked) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
