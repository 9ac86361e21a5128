"""Plain helpers of the unit tests: a clock by hand, an event that never sleeps, a tiny server."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from glacier_mpu.cli.options import Parser
from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.file import BlockBody, Source, inspect

ROOT = Path(__file__).resolve().parents[2]


def never() -> bool:
    """Stand for `stopped` in a run that nobody stops."""
    return False


def ignore(_: object) -> None:
    """Stand for a callback that nobody listens to."""


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time

    def passes(self, seconds: float) -> None:
        self.time += seconds


class FakeEvent(threading.Event):
    """An event on which nobody waits: it notes the waits, and is set in the one told to."""

    def __init__(self, *, set_in_wait: int = 0) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._set_in_wait = set_in_wait

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if len(self.waits) == self._set_in_wait:
            self.set()
        return self.is_set()


def write(path: Path, data: bytes) -> Source:
    """Write a file, and return it as it is inspected."""
    path.write_bytes(data)
    return inspect(str(path))


def whole(source: Source) -> Block:
    """Return the whole file as one block."""
    return Block(number=0, offset=0, size=source.size)


def body_of(
    source: Source,
    block: Block | None = None,
    *,
    linear_hash: str = "0" * 64,
    stopped: Callable[[], bool] = never,
    on_move: Callable[[int], None] = ignore,
    clock: Callable[[], float] = Clock(),
) -> BlockBody:
    """Return a body, of the whole file if no block is named."""
    return BlockBody(
        source,
        block or whole(source),
        linear_hash=linear_hash,
        stopped=stopped,
        on_move=on_move,
        clock=clock,
    )


def pattern(size: int) -> bytes:
    """Return bytes of which every MiB differs."""
    stamps = (number.to_bytes(8, "big") * (MIB // 8) for number in range(-(-size // MIB)))
    return b"".join(stamps)[:size]


def script_parser(script: str) -> Parser:
    """Return the parser of one of the scripts, without running it."""
    spec = importlib.util.spec_from_file_location(Path(script).stem, ROOT / script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build_parser()


@dataclass
class Answer:
    """What the tiny server says; `length` is a Content-Length other than the body's."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass(frozen=True)
class Asked:
    """What the tiny server was asked."""

    headers: dict[str, str]
    body: bytes


class TinyServer(ThreadingHTTPServer):
    """Gives every request the same answer, and keeps what it was asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[Asked] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: TinyServer

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(Asked(headers, body))
        answer = self.server.answer
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            length = len(answer.body) if answer.length is None else answer.length
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_PUT = do_POST = do_DELETE = do_any  # noqa: N815 - the names http.server looks for

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def tiny_server(answer: Answer) -> Iterator[TinyServer]:
    """Serve on a free port of 127.0.0.1 as long as this lasts."""
    with TinyServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
