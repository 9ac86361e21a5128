"""The HTTP side of the stand-in: the listening socket, and the steps that each call takes."""

from __future__ import annotations

import os
import secrets
import socket
import socketserver
import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from botocore.utils import calculate_tree_hash

from glacier_mpu.rehearsal.auth import Keys, authenticate
from glacier_mpu.rehearsal.files import Incoming
from glacier_mpu.rehearsal.operations import Digests, Operations
from glacier_mpu.rehearsal.wire import (
    MIB,
    Answer,
    Call,
    Refusal,
    missing,
    read_call,
    unavailable,
)

# No timeout of the service is published. Users met its 408 after 7 s up to 571 s.
IDLE_TIMEOUT_SECONDS = 60.0
# A body whose length is unknown is read on for this much before the connection is closed.
_DRAIN_SIZE = 64 * MIB
_JOIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Service:
    """What every call needs: the operations, the clock, the keys it must be signed with.

    A body, and a pause between two calls, may be silent for idle_timeout_seconds.
    """

    operations: Operations
    now: Callable[[], datetime]
    keys: Keys
    idle_timeout_seconds: float


class HungUp(ConnectionError):
    """The client went away in the middle of a body. There is nobody to answer."""


class Handler(BaseHTTPRequestHandler):
    """One connection. Each call on it goes through the same steps, made to be overridden.

    identify() -> Call          what is asked for; refuses nothing
    admit(call)                 version, date, signature, account, vault; before any body is read
    perform(call) -> Answer     the operation: its checks, then
      receive(call, body)      the body, off the wire and onto the disk, hashed on the way
    send(call, answer)          the answer; `encode` makes its bytes

    admit, perform and receive may raise Refusal, which is sent as an answer, or ConnectionError,
    which ends the connection without one.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def setup(self) -> None:
        self.service = self.server.service
        self.timeout: float | None = self.service.idle_timeout_seconds  # type: ignore[misc]
        self.unread = 0  # bytes of the current body that are still on the wire
        self.buffer = memoryview(bytearray(MIB))
        super().setup()
        self.server.enter(self.connection)

    def finish(self) -> None:
        self.server.leave(self.connection)
        with suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        """Answer a call of any method."""
        self.answer_call()

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def answer_call(self) -> None:
        """Take one call through its steps."""
        call = self.identify()
        try:
            self.send(call, self._answer(call))
        except (ConnectionError, TimeoutError):
            # Nobody is listening. What is left of the body is dropped with the connection.
            self.close_connection = True
            self.unread = 0
        if self.unread:
            self._drain()

    def _answer(self, call: Call) -> Answer:
        try:
            self.admit(call)
            return self.perform(call)
        except Refusal as refusal:
            return refusal.answer()
        except (ConnectionError, TimeoutError):
            raise
        except sqlite3.Error as error:
            return unavailable(f"The rehearsal folder cannot be used: {error}.").answer()
        except Exception:  # noqa: BLE001
            # A fault of the stand-in. The client gets an answer, the developer the reason.
            traceback.print_exc()
            return unavailable("The rehearsal failed; see its standard error.").answer()

    def identify(self) -> Call:
        """What is asked for."""
        call = read_call(self.command, self.path, self.headers.items())
        self.unread = call.body_size or 0
        if "transfer-encoding" in call.headers or (
            call.body_size is None and "content-length" in call.headers
        ):
            self.unread = _DRAIN_SIZE
        return call

    def admit(self, call: Call) -> None:
        """Refuse what can be refused before the operation and its body are looked at."""
        if "transfer-encoding" in call.headers:
            raise missing("Content-Length")  # aws-chunked and the like: not of this API
        if call.body_size is None and "content-length" in call.headers:
            raise Refusal(400, "BadRequest", "Content-Length is not a number.")
        authenticate(call, now=self.service.now(), keys=self.service.keys)
        self.service.operations.admit(call)

    def perform(self, call: Call) -> Answer:
        """Do what is asked for."""
        return self.service.operations.perform(call, self.receive)

    def receive(self, call: Call, body: Incoming) -> Digests:
        """Take the body off the wire and write it to `body`. Memory: one buffer of 1 MiB.

        Raises HungUp if the client closes, Refusal 408 if it is silent for too long, Refusal 500
        if the disk is full.
        """
        if call.headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        arrival = _Arrival(self, body)
        tree = calculate_tree_hash(arrival)  # type: ignore[arg-type]  # it wants read() alone
        return Digests(linear=arrival.linear.hexdigest(), tree=tree)

    def send(self, call: Call, answer: Answer) -> None:
        """Write the answer. Raises ConnectionError if the client has gone."""
        self.wfile.write(self.encode(answer))

    def encode(self, answer: Answer) -> bytes:
        """The bytes of an answer. A 204 has neither Content-Type nor Content-Length."""
        headers = {
            # 47 characters, as the service's are.
            "x-amzn-RequestId": secrets.token_urlsafe(36)[:47],
            **answer.headers,
            "Date": format_datetime(self.service.now().astimezone(timezone.utc), usegmt=True),
        }
        if answer.status != HTTPStatus.NO_CONTENT:
            headers["Content-Length"] = str(len(answer.body))
        if self.unread or self.close_connection:
            self.close_connection = True
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body

    def _drain(self) -> None:
        """Read what the client still sends, then close.

        Closing a socket with unread bytes resets the connection, and the client may lose the
        answer that was sent before. The half-close tells it that the answer is complete.
        """
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while self.unread > 0:
                got = self.rfile.readinto1(self.buffer[: self.unread])
                if not got:
                    return
                self.unread -= got

    def handle_expect_100(self) -> bool:
        """Nothing yet: `receive` sends the 100, so that a refusal comes before the body."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself cannot take (no HTTP, an unknown method), in Glacier's form."""
        self.close_connection = True
        refusal = Refusal(400, "BadRequest", message or _phrase(code))
        with suppress(ConnectionError):
            self.wfile.write(self.encode(refusal.answer()))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silent: stderr is for faults."""


class _Arrival:
    """A body on its way in, in the shape of a file, for botocore's tree hash to read.

    Each read() takes a piece off the wire, hashes it and writes it, so that a body is handled
    once. The piece is a view of a buffer that the next read() overwrites.
    """

    def __init__(self, handler: Handler, body: Incoming) -> None:
        self._handler = handler
        self._body = body
        self.linear = sha256()

    def read(self, size: int) -> memoryview:
        handler = self._handler
        piece = handler.buffer[: min(size, handler.unread)]
        try:
            filled = handler.rfile.readinto(piece)
        except TimeoutError:
            handler.unread = 0  # the stream is unusable now, and nothing is coming anyway
            handler.close_connection = True
            raise Refusal(408, "RequestTimeoutException", "Request timed out.") from None
        handler.unread -= filled
        if filled < len(piece):
            raise HungUp
        self.linear.update(piece)
        self._body.write(piece)
        return piece


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Listener(socketserver.ThreadingTCPServer):
    """The listening socket; a thread for each connection, and a list of them for the end.

    Not http.server's class: that one asks the name service for this machine's name first.
    """

    # On Windows the option would let a second server take the same port.
    allow_reuse_address = os.name != "nt"
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[Handler], service: Service) -> None:
        self.service = service
        self._open: dict[socket.socket, threading.Thread] = {}
        self._closing = False
        super().__init__(("127.0.0.1", port), handler)

    def enter(self, connection: socket.socket) -> None:
        """Note a connection, for `hang_up`."""
        self._open[connection] = threading.current_thread()
        if self._closing:
            _shut(connection)

    def leave(self, connection: socket.socket) -> None:
        """Forget a connection that ended."""
        self._open.pop(connection, None)

    def hang_up(self) -> None:
        """End all connections, and wait until their threads have noticed."""
        self._closing = True
        threads = list(self._open.items())
        for connection, _ in threads:
            _shut(connection)
        for _, thread in threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no fault; everything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
