"""A client that knows nothing but the bytes: checks that the server's line is what it says."""

from __future__ import annotations

import socket
import threading
import time

from harness.servers import Server

_PIECE = 1 << 14


def push(server: Server, *, connections: int, seconds: float) -> None:
    """Send bodies over so many plain connections for so long."""
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_push_one, args=(server.port(tls=False), until))
        for _ in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _push_one(port: int, until: float) -> None:
    size = 1 << 20
    head = (
        "PUT /-/vaults/bench/multipart-uploads/none HTTP/1.1\r\nHost: bench\r\n"
        f"Content-Length: {size}\r\nContent-Range: bytes 0-{size - 1}/*\r\n\r\n"
    ).encode()
    piece = bytes(_PIECE)
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 15)
        while time.monotonic() < until:
            line.sendall(head)
            for _ in range(0, size, _PIECE):
                line.sendall(piece)
                if time.monotonic() >= until:
                    return
            line.recv(4096)
