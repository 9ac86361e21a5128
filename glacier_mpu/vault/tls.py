"""Encrypted connections that hand many TLS records to the socket in one call.

OpenSSL makes a call for each record of 16 KiB, and on a fast line these cost as much CPU as the
encryption. urllib3's transport, made for TLS inside of TLS, encrypts in memory first; all but its
exchange with the socket is used as it is.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from urllib3.poolmanager import PoolKey
from urllib3.util.ssltransport import SSLTransport

# A record's head: its kind, the protocol, and in the last two bytes the length of what follows.
# Source: RFC 8446, 5.1.
_HEAD_SIZE = 5


class BatchingTransport(SSLTransport):
    """TLS over a socket. `send` encrypts all that it is given before any of it leaves."""

    _head = b""
    _left_of_record = 0

    def __init__(self, socket: socket.socket, *arguments: Any, **rest: Any) -> None:
        try:
            super().__init__(socket, *arguments, **rest)
        except BaseException:
            socket.close()  # as Python's own does; urllib3 1.26 relies on it
            raise

    # The parent's sends before each read, also when there is nothing to send: on a connection that
    # the service has closed this fails, and its answer, which is there to be read, is lost. (So it
    # is with Python's own, where the write that fails counts as an error of the encryption.) It
    # also sends a piece under one deadline; here each part of it that the line takes has its own.
    def _ssl_io_loop(self, func: Callable[..., Any], *arguments: Any) -> Any:
        given = [argument for argument in arguments if argument is not None]
        while True:
            try:
                result = func(*given)
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError:
                with suppress(OSError):
                    self._flush()  # the alert that says why
                raise
            else:
                self._flush()
                return result

    # Never beyond the end of a record, as OpenSSL itself reads. That the service closes the
    # connection is a record of its own, which may come together with an answer: as long as it lies
    # in the socket, urllib3 sees that something does, and does not use the connection again.
    def _feed(self) -> None:
        data = self.socket.recv(self._left_of_record or _HEAD_SIZE - len(self._head))
        if not data:
            self.incoming.write_eof()
        elif self._left_of_record:
            self._left_of_record -= len(data)
        else:
            self._head += data
            if len(self._head) == _HEAD_SIZE:
                self._left_of_record = int.from_bytes(self._head[-2:], "big")
                self._head = b""
        self.incoming.write(data)

    def _flush(self) -> None:
        left = memoryview(self.outgoing.read())
        while left:
            left = left[self.socket.send(left) :]


def pieces_have_a_size() -> bool:
    """Tell whether this urllib3 lets us say how much of a body is read and sent at a time."""
    return "key_blocksize" in PoolKey._fields


def batch_records(context: ssl.SSLContext) -> None:
    """Let the connections that this context wraps be of the above kind."""
    context.wrap_socket = partial(BatchingTransport, ssl_context=context)  # type: ignore[assignment,method-assign]
