"""HTTP for the stand-in: the steps in which each call on a connection is answered."""

from __future__ import annotations

import secrets
import socket
import sqlite3
import traceback
from contextlib import suppress
from datetime import timezone
from email.utils import format_datetime
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from botocore.utils import calculate_tree_hash

from glacier_mpu.rehearsal.auth import authenticate
from glacier_mpu.rehearsal.files import Incoming
from glacier_mpu.rehearsal.listener import Listener
from glacier_mpu.rehearsal.operations import Digests
from glacier_mpu.rehearsal.wire import (
    MIB,
    WITH_BODY,
    Answer,
    Call,
    Refusal,
    missing,
    read_call,
    unavailable,
)

# So much is read of a body of unknown length before the connection is closed.
_DRAIN_SIZE = 64 * MIB


class HungUp(ConnectionError):
    """The client closed the connection in the middle of a body. It gets no answer."""


class Handler(BaseHTTPRequestHandler):
    """One connection. Each call on it goes through the same steps, which tests override.

    identify() -> Call          parse the request; refuses nothing
    admit(call)                 version, date, signature, account, vault; reads no body but a
                                  small one that the call does not take
    perform(call) -> Answer     the operation: its checks, then
      receive(call, body)         read the body from the socket, hash it, write it to a file
    send(call, answer)          write the answer; `encode` makes its bytes

    admit, perform and receive may raise Refusal, which is sent as an answer, or ConnectionError,
    which ends the connection without one.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def setup(self) -> None:
        self.service = self.server.service
        self.timeout: float | None = self.service.idle_timeout_seconds  # type: ignore[misc]
        self.unread = 0  # bytes of the current body that were not read yet
        self.buffer = memoryview(bytearray(MIB))
        super().setup()
        self.server.enter(self.connection)

    def finish(self) -> None:
        self.server.leave(self.connection)
        with suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        """Answer a call, of whichever method."""
        self.answer_call()

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def answer_call(self) -> None:
        """Answer one call."""
        call = self.identify()
        try:
            self.send(call, self._answer(call))
        except (ConnectionError, TimeoutError):
            # The client is gone, and the rest of the body with it.
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
            # A bug of the stand-in: its reason is for stderr, not for the client.
            traceback.print_exc()
            return unavailable("The rehearsal failed; see its standard error.").answer()

    def identify(self) -> Call:
        """Parse the request."""
        call = read_call(self.command, self.path, self.headers.items())
        self.unread = call.body_size or 0
        if "transfer-encoding" in call.headers or (
            call.body_size is None and "content-length" in call.headers
        ):
            self.unread = _DRAIN_SIZE
        return call

    def admit(self, call: Call) -> None:
        """Refuse what can be refused before the operation's own checks and its body."""
        if "transfer-encoding" in call.headers:
            raise missing("Content-Length")  # this API has no chunked bodies
        if call.body_size is None and "content-length" in call.headers:
            raise Refusal(400, "BadRequest", "Content-Length is not a number.")
        now = self.service.now()
        body = self._ignored_body(call)
        authenticate(call, now=now, keys=self.service.keys, body=body)
        self.service.operations.admit(call)

    def _ignored_body(self, call: Call) -> bytes:
        """What is sent with a call that takes no body. It counts for the signature alone."""
        self.service.operations.admit_body(call)
        if call.operation in WITH_BODY or not self.unread:
            return b""
        self.invite_body(call)
        return bytes(self.read_body(self.unread))

    def perform(self, call: Call) -> Answer:
        """Do the operation."""
        return self.service.operations.perform(call, self.receive)

    def receive(self, call: Call, body: Incoming) -> Digests:
        """Read the body from the socket and write it to `body`. Memory: one buffer of 1 MiB.

        Raises HungUp if the client closes, Refusal 408 if it pauses for too long, Refusal 500
        if the disk is full.
        """
        self.invite_body(call)
        arrival = _Arrival(self, body)
        tree = calculate_tree_hash(arrival)  # type: ignore[arg-type]  # it calls read() only
        return Digests(linear=arrival.linear.hexdigest(), tree=tree)

    def invite_body(self, call: Call) -> None:
        """Tell a client that asks first that its body will be read."""
        if call.headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def read_body(self, size: int) -> memoryview:
        """The next `size` bytes of the body, or the rest: a view that the next read overwrites.

        Raises HungUp if the client closes, Refusal 408 if it pauses for too long.
        """
        piece = self.buffer[: min(size, self.unread)]
        try:
            filled = self.rfile.readinto(piece)
        except TimeoutError:
            self.unread = 0  # the stream cannot be read after a timeout
            self.close_connection = True
            raise Refusal(408, "RequestTimeoutException", "Request timed out.") from None
        self.unread -= filled
        if filled < len(piece):
            raise HungUp
        return piece

    def send(self, call: Call, answer: Answer) -> None:
        """Write the answer. Raises ConnectionError if the client has gone."""
        self.wfile.write(self.encode(answer))

    def encode(self, answer: Answer) -> bytes:
        """The bytes of an answer. A 204 has neither Content-Type nor Content-Length."""
        headers = {
            # 47 characters, like the service's.
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
        """Read the rest of the body, then close.

        Closing a socket with unread bytes resets the connection, by which the client may lose
        the answer. The half-close tells it that the answer is complete.
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
        """Send nothing yet: `receive` sends the 100, so that a refusal comes before the body."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what http.server cannot parse (no HTTP, an unknown method) in Glacier's form."""
        self.close_connection = True
        refusal = Refusal(400, "BadRequest", message or _phrase(code))
        with suppress(ConnectionError):
            self.wfile.write(self.encode(refusal.answer()))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: stderr is for bugs of the stand-in."""


class _Arrival:
    """The body on the socket as a file that botocore's tree hash can read.

    Each read() takes a piece from the socket, adds it to the linear hash and writes it to the
    file, so that a body is read once.
    """

    def __init__(self, handler: Handler, body: Incoming) -> None:
        self._handler = handler
        self._body = body
        self.linear = sha256()

    def read(self, size: int) -> memoryview:
        piece = self._handler.read_body(size)
        self.linear.update(piece)
        self._body.write(piece)
        return piece


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
