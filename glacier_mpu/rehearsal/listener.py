"""The listening socket of the stand-in, its open connections, and what all calls share."""

from __future__ import annotations

import os
import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from glacier_mpu.rehearsal.auth import Keys
from glacier_mpu.rehearsal.operations import Operations

# The service publishes no timeout. Users report its 408 after 7 s to 571 s.
IDLE_TIMEOUT_SECONDS = 60.0
_JOIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Service:
    """What all calls share: the operations, the clock, the keys with which calls are signed.

    idle_timeout_seconds limits a pause within a body, and between two calls on a connection.
    """

    operations: Operations
    now: Callable[[], datetime]
    keys: Keys
    idle_timeout_seconds: float


class Listener(socketserver.ThreadingTCPServer):
    """The listening socket, with a thread and an entry in a list for each connection.

    http.server.HTTPServer is not used because it looks up this machine's name when it starts.
    closing is set once `hang_up` was called: a call that waits ends then.
    """

    # On Windows this option lets a second server take the same port.
    allow_reuse_address = os.name != "nt"
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, port: int, handler: type[socketserver.BaseRequestHandler], service: Service
    ) -> None:
        self.service = service
        self._open: dict[socket.socket, threading.Thread] = {}
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", port), handler)

    def enter(self, connection: socket.socket) -> None:
        """Add a connection to those that `hang_up` ends."""
        self._open[connection] = threading.current_thread()
        if self.closing.is_set():
            _shut(connection)

    def leave(self, connection: socket.socket) -> None:
        """Remove a connection that ended."""
        self._open.pop(connection, None)

    def hang_up(self) -> None:
        """End all connections, and wait for their threads, though not for ever."""
        self.closing.set()
        threads = list(self._open.items())
        for connection, _ in threads:
            _shut(connection)
        for _, thread in threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print errors, except those of a client that hung up."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
