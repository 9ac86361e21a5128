"""A Glacier that discards what it is sent: HTTPS on 127.0.0.1, a thread for each connection.

    server.py FOLDER [--narrow]

Writes ca.pem, which clients must trust, to FOLDER, and prints its port. Each line of JSON on its
stdin says what the line allows from now on (see Line) and begins a new count; one line of JSON on
stdout answers with the old one. It leaves when its stdin ends.

Nothing is checked and nothing is kept. The body of a large block is not even decrypted: the length
of each TLS record says how many bytes it carries, so records are counted and dropped. Their
connection cannot be used again, as the cipher has lost count; the answer says `Connection: close`.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SKIP_FROM = 16 << 20
_BUFFER = 1 << 20
# So much is to lie ready before the server wakes, or it would wake for each write of the client.
_READY = 512 << 10
_RECORD_HEADER = 5
_TLS13_OVERHEAD = 17  # the true type and the tag; clients pad nothing
# Over a narrow line little is on its way at any time, so that the server's pace is the client's.
_NARROW_BUFFER = 128 << 10
_NARROW_SEGMENT = 1448
# What a reader that woke late may catch up on, so that a rate is exact on average.
_SLACK_SECONDS = 0.02
_SAMPLE_SECONDS = 0.05
_TIMED_OUT = b'{"code":"RequestTimeoutException","message":"Request timed out.","type":"Client"}'


@dataclass(frozen=True, slots=True)
class Line:
    """What the line allows; 0 is no limit.

    rate           bytes a second in all
    each           bytes a second a connection
    halves_after   seconds from the first block's beginning, when the rate in all halves
    most_parallel  blocks at once; the next is read to its end and answered 408
    """

    rate: float = 0
    each: float = 0
    halves_after: float = 0
    most_parallel: int = 0


class Gate:
    """Gives bytes their time, in the order of asking. Safe to use from several threads."""

    def __init__(self) -> None:
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def reserve(self, size: int, rate: float) -> float:
        """Return when so many bytes have gone through at this rate; 0 for no limit."""
        if not rate:
            return 0.0
        with self._lock:
            self._next = max(self._next, time.monotonic() - _SLACK_SECONDS) + size / rate
            return self._next


class Count:
    """What came over one line. Safe to use from several threads.

    Each run has a Count of its own, so that what is left of a client that was interrupted does not
    count in the run that follows.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self._gate = Gate()
        self._lock = threading.Lock()
        self._bytes = self._refused = self._parallel = self._most_parallel = 0
        self._began = self._sampled = 0.0
        self._series: list[tuple[float, int, int]] = []
        self._cpu = time.process_time()

    @contextmanager
    def block(self) -> Iterator[bool]:
        """Note a block from its beginning to its end; tell whether it is one too many."""
        with self._lock:
            self._began = self._began or time.monotonic()
            self._parallel += 1
            self._most_parallel = max(self._most_parallel, self._parallel)
            refused = 0 < self.line.most_parallel < self._parallel
            self._refused += refused
        try:
            yield refused
        finally:
            with self._lock:
                self._parallel -= 1

    def add(self, size: int, own_gate: Gate, *, refused: bool) -> None:
        """Count bytes of a block, unless it is refused, and hold them up for as long as is due."""
        now = time.monotonic()
        with self._lock:
            self._bytes += 0 if refused else size
            if now - self._sampled >= _SAMPLE_SECONDS:
                self._sampled = now
                self._series.append((now - self._began, self._bytes, self._most_parallel))
                self._most_parallel = self._parallel
        halved = 0 < self.line.halves_after <= now - self._began
        until = self._gate.reserve(size, self.line.rate * (0.5 if halved else 1))
        until = max(until, own_gate.reserve(size, self.line.each))
        if until > now:
            time.sleep(max(0.0, until - time.monotonic()))

    def report(self) -> dict[str, Any]:
        """Return all counts.

        `series` holds (seconds from the first block's beginning, bytes so far, most blocks at once
        since the sample before).
        """
        with self._lock:
            cpu = time.process_time() - self._cpu
            counts = {"bytes": self._bytes, "refused": self._refused, "cpu_seconds": cpu}
            return {**counts, "series": self._series}


class Service:
    """All that connections share."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.count = Count(Line())

    def listen(self, listener: socket.socket) -> None:
        """Give each connection a thread."""
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        """Answer the calls of one connection until it ends; clients are killed in mid-block."""
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with (
            suppress(OSError, ValueError),
            self._context.wrap_socket(peer, server_side=True) as connection,
        ):
            data, close = b"", False
            while not close:
                while b"\r\n\r\n" not in data:
                    more = connection.recv(1 << 16)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").split("\r\n")
                pairs = (line.partition(":") for line in lines)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                left = int(headers.get("content-length", 0)) - len(data)
                is_block, close = "content-range" in headers, left >= _SKIP_FROM
                refused = is_block and self._discard(connection, at_hand=len(data), left=left)
                data = b""  # no client sends a call before it has the answer to the last
                method, path, _ = first.split(" ")
                tree_hash = headers.get("x-amz-sha256-tree-hash", "")
                answer = _answer(method, path, tree_hash, refused=refused, close=close)
                connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)

    def _discard(self, connection: ssl.SSLSocket, *, at_hand: int, left: int) -> bool:
        """Drop a block at the line's pace; tell whether it is refused."""
        count, line, own_gate = self.count, self.count.line, Gate()
        narrowest = min((rate for rate in (line.rate, line.each) if rate), default=1e9)
        quantum = min(max(int(narrowest * 0.002), 4096), _BUFFER)  # two milliseconds' worth
        drop = _skip_records if left >= _SKIP_FROM else _decrypt
        with count.block() as refused:
            count.add(at_hand, own_gate, refused=refused)
            for size in drop(connection, left, quantum):
                count.add(size, own_gate, refused=refused)
        return refused


def _answer(method: str, path: str, tree_hash: str, *, refused: bool, close: bool) -> bytes:
    """Return what Glacier would answer."""
    headers, body = {"x-amz-sha256-tree-hash": tree_hash}, b"{}"
    if refused:
        status, body = "408 Request Timeout", _TIMED_OUT
    elif method == "POST":
        kind = "archive" if path.count("/") > 4 else "multipart-upload"
        name = secrets.token_urlsafe(69)
        headers |= {f"x-amz-{kind}-id": name, "Location": f"/1/vaults/bench/{kind}s/{name}"}
        status = "201 Created"
    else:
        status, body = "204 No Content", b""
    if body:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    headers |= {"Connection": "close"} if close else {}
    lines = [f"HTTP/1.1 {status}", *map(": ".join, headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def _decrypt(connection: ssl.SSLSocket, left: int, quantum: int) -> Iterator[int]:
    """Read a body and drop it; yield the size of each piece."""
    view = memoryview(bytearray(min(1 << 16, quantum)))
    while left:
        count = connection.recv_into(view[: min(left, len(view))])
        if not count:
            raise ConnectionError("the client left")
        left -= count
        yield count


def _skip_records(connection: ssl.SSLSocket, left: int, quantum: int) -> Iterator[int]:
    """Count the records of a body without a look inside; yield the size of each piece.

    This reads past the cipher, from the socket itself. OpenSSL never takes more than one record at
    a time from it, so that what follows the head is still there, from the beginning of a record.
    `edge` is where the next record's header begins, from the buffer's begin on; `kept` bytes of a
    header that came in halves are at the begin already.
    """
    buffer = bytearray(_BUFFER)
    view = memoryview(buffer)
    edge = kept = ready = 0
    while left > 0 or edge > 0:
        wanted = _READY if quantum >= _BUFFER and left > 2 * _READY else 1
        if wanted != ready:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
            ready = wanted
        count = socket.socket.recv_into(connection, view[kept : kept + quantum])
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
        yield count


def main() -> None:
    """Serve until stdin ends."""
    import trustme

    folder, narrow = Path(sys.argv[1]), "--narrow" in sys.argv
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    listener = socket.socket()
    if narrow:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_BUFFER)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _NARROW_SEGMENT)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    service = Service(context)
    threading.Thread(target=service.listen, args=(listener,), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for asked in sys.stdin:
        told = service.count.report()
        service.count = Count(Line(**json.loads(asked)))
        print(json.dumps(told), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
