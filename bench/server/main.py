"""The discarding server: HTTP and HTTPS on free ports of 127.0.0.1, a thread for each connection.

Prints its ports as JSON, and leaves when its stdin ends. Beside Glacier's calls it answers the
bench's own: POST /bench/pace, POST /bench/claim, GET /bench/stats.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from answers import Call, Uploads, parse, respond, timed_out
from counters import Counters
from pacing import Gate, Line
from streams import PlainStream, TlsStream

# Over such a line little is on its way at any time, so that the server's pace is the client's.
_LINE_BUFFER = 128 << 10
_LINE_SEGMENT = 1448


class Service:
    """All that connections share."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.uploads = Uploads()

    def serve(self, make_stream: Callable[[socket.socket], PlainStream], peer: socket.socket):
        """Answer the calls of one connection until it ends."""
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer:
            try:
                stream = make_stream(peer)
                own_gate = Gate()
                while stream.reusable and (head := stream.read_head()):
                    stream.send(self._answer(stream, parse(head), own_gate))
                peer.shutdown(socket.SHUT_WR)
            except (OSError, ValueError):
                pass  # clients are killed in mid-block on purpose

    def _answer(self, stream: PlainStream, call: Call, own_gate: Gate) -> bytes:
        if call.path[0] == "bench":
            return self._own_call(call, stream.read_body(call.size))
        if "100-continue" in call.headers.get("expect", ""):
            stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not call.size:
            return self.uploads.answer(call)
        refused = self._discard(stream, call, own_gate)
        answer = timed_out(close=not stream.reusable) if refused else self.uploads.answer(call)
        if not stream.reusable and not refused:
            answer = answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        return answer

    def _discard(self, stream: PlainStream, call: Call, own_gate: Gate) -> bool:
        """Drop the body at the line's pace; tell whether it is to be refused."""
        counters, line, epoch = self.counters, self.counters.line, self.counters.epoch
        refused = counters.enter()
        own_gate.begin()

        def took(size: int) -> None:
            if epoch != counters.epoch:
                raise ConnectionError("of a run that is over")
            if not refused:
                counters.add(size)
            if line.rate or line.each:
                rate = line.rate * line.factor(counters.seconds())
                until = max(counters.gate.reserve(size, rate), own_gate.reserve(size, line.each))
                if (wait := until - time.monotonic()) > 0:
                    time.sleep(wait)

        try:
            stream.discard(call.size, took, line.quantum)
        finally:
            counters.leave(epoch)
        return refused

    def _own_call(self, call: Call, body: bytes) -> bytes:
        asked = json.loads(body or b"{}")
        answer: dict[str, object] = {}
        if call.path[1] == "pace":
            self.counters.reset(Line(**asked))
        elif call.path[1] == "claim":
            answer = {"id": self.uploads.claim(asked["parts"], asked["size"])}
        else:
            answer = self.counters.report()
        return respond(200, body=json.dumps(answer).encode())

    def listen(
        self, listener: socket.socket, make_stream: Callable[[socket.socket], PlainStream]
    ) -> None:
        """Give each connection a thread."""
        while True:
            peer, _ = listener.accept()
            self.counters.connected()
            threading.Thread(target=self.serve, args=(make_stream, peer), daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--line", action="store_true")
    options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.load_cert_chain(options.certificate, options.key)
    service = Service()
    ports = {}
    for scheme, make_stream in (
        ("http", PlainStream),
        ("https", partial(TlsStream, context=context)),
    ):
        listener = _listener(line=options.line)
        ports[scheme] = listener.getsockname()[1]
        arguments = (listener, make_stream)
        threading.Thread(target=service.listen, args=arguments, daemon=True).start()
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    sys.stdin.read()  # it ends when the bench closes it, or is gone
    os._exit(0)


def _listener(*, line: bool) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if line:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LINE_BUFFER)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _LINE_SEGMENT)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


if __name__ == "__main__":
    main()
