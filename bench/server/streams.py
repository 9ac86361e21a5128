"""A connection's bytes, in the clear or over TLS, at as little cost as can be.

The body of a large block is not even decrypted: the length of each TLS record says how many bytes
it carries, so records are counted and dropped. Their connection cannot be used again, as the cipher
has lost count; the answer says `Connection: close`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

SKIP_FROM = 16 << 20
_BUFFER = 1 << 20
# So much is to lie ready before the server wakes, or it would wake for each write of the client.
_READY = 512 << 10
_RECORD_HEADER = 5
_TLS13_OVERHEAD = 17  # the true type and the tag; clients pad nothing


class PlainStream:
    """HTTP without TLS. `reusable` tells whether another call can follow."""

    def __init__(self, connection: socket.socket) -> None:
        self.reusable = True
        self._connection = connection
        self._rest = b""
        self._ready = 1

    def read_head(self) -> bytes:
        """Return the next request's head, or nothing at the end."""
        head = self._rest
        while b"\r\n\r\n" not in head:
            data = self._receive()
            if not data:
                return b""
            head += data
        head, _, self._rest = head.partition(b"\r\n\r\n")
        return head

    def read_body(self, size: int) -> bytes:
        """Return a short body."""
        body = self._rest
        while len(body) < size:
            data = self._receive()
            if not data:
                raise ConnectionError("the client left")
            body += data
        self._rest = body[size:]
        return body[:size]

    def discard(self, size: int, took: Callable[[int], None], quantum: int) -> None:
        """Read a body and drop it; `took` hears of each piece, and may hold the reading up."""
        at_hand = min(len(self._rest), size)
        self._rest = self._rest[at_hand:]
        took(at_hand)
        if size - at_hand:
            self._drop(size - at_hand, took, quantum)

    def send(self, data: bytes) -> None:
        """Send an answer."""
        self._connection.sendall(data)

    def _receive(self) -> bytes:
        return self._connection.recv(1 << 16)

    def _sleep_until_ready(self, left: int, quantum: int) -> None:
        """Let receiving wait for much at once, as long as more than that is still to come."""
        wanted = _READY if quantum >= _BUFFER and left > 2 * _READY else 1
        if wanted != self._ready:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
            self._ready = wanted

    def _drop(self, left: int, took: Callable[[int], None], quantum: int) -> None:
        view = memoryview(bytearray(min(_BUFFER, quantum)))
        while left:
            self._sleep_until_ready(left, quantum)
            count = self._connection.recv_into(view[: min(left, len(view))])
            if not count:
                raise ConnectionError("the client left")
            left -= count
            took(count)


class TlsStream(PlainStream):
    """HTTP over TLS 1.3."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(connection)
        self._inbox, self._outbox = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._inbox, self._outbox, server_side=True)
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                if not self._feed_record():
                    raise ConnectionError("the client left") from None
        self._flush()

    def send(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def _flush(self) -> None:
        if self._outbox.pending:
            self._connection.sendall(self._outbox.read())

    def _receive(self) -> bytes:
        while True:
            try:
                return self._tls.read(1 << 16)
            except ssl.SSLWantReadError:
                if not self._feed_record():
                    return b""

    def _feed_record(self) -> bool:
        """Take in exactly one record, so that nothing of the next is in the cipher's hands."""
        header = self._exactly(_RECORD_HEADER)
        if not header:
            return False
        self._inbox.write(header + self._exactly(int.from_bytes(header[3:], "big")))
        return True

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._connection.recv(size - len(data))
            if not more:
                return b""
            data += more
        return data

    def _drop(self, left: int, took: Callable[[int], None], quantum: int) -> None:
        if left >= SKIP_FROM:
            self.reusable = False
            self._skip_records(left, took, quantum)
        else:
            self._decrypt(left, took, quantum)

    def _decrypt(self, left: int, took: Callable[[int], None], quantum: int) -> None:
        view = memoryview(bytearray(min(1 << 16, max(quantum, 1 << 12))))
        while left:
            try:
                count = self._tls.read(min(left, len(view)), view)
            except ssl.SSLWantReadError:
                raw = self._connection.recv(min(quantum, 1 << 18))
                if not raw:
                    raise ConnectionError("the client left") from None
                self._inbox.write(raw)
                continue
            if not count:
                raise ConnectionError("the client left")
            left -= count
            took(count)

    def _skip_records(self, left: int, took: Callable[[int], None], quantum: int) -> None:
        """Count the records of a body without a look inside.

        `edge` is where the next record's header begins, from the buffer's begin on; `kept` bytes of
        a header that came in halves are at the begin already.
        """
        buffer = bytearray(_BUFFER)
        view = memoryview(buffer)
        edge = kept = 0
        while left > 0 or edge > 0:
            self._sleep_until_ready(left, quantum)
            count = self._connection.recv_into(view[kept : kept + quantum])
            if not count:
                raise ConnectionError("the client left")
            end = kept + count
            while edge + _RECORD_HEADER <= end:
                length = (buffer[edge + 3] << 8) + buffer[edge + 4]
                left -= length - _TLS13_OVERHEAD
                edge += _RECORD_HEADER + length
            kept = max(0, end - edge)
            view[:kept] = bytes(view[edge : edge + kept])
            edge = max(0, edge - end)
            took(count)
