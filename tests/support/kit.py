"""Plain helpers of the unit tests: a clock moved by hand, a stop that never sleeps, blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.body import BlockBody
from glacier_mpu.source.file import FileSource, inspect
from glacier_mpu.stop import Stop


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


class NoWait(Stop):
    """A stop whose waits take no time but its clock's: it notes them, and is asked in one of them.

    With `asked_in_wait` 3 it is asked in the third.
    """

    def __init__(self, *, asked_in_wait: int = 0) -> None:
        super().__init__()
        self.waits: list[float] = []
        self.clock = Clock()
        self._asked_in_wait = asked_in_wait

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.passes(seconds)
        if len(self.waits) == self._asked_in_wait:
            self.ask()
        self.check()


def write(path: Path, data: bytes) -> FileSource:
    """Write a file, and return it as it is inspected."""
    path.write_bytes(data)
    return inspect(str(path))


def whole(source: FileSource) -> Block:
    """Return the whole file as one block."""
    return Block(number=0, offset=0, size=source.size)


def body_of(
    source: FileSource,
    block: Block | None = None,
    *,
    linear_hash: str = "0" * 64,
    stop: Stop | None = None,
    on_move: Callable[[int], None] = ignore,
    allow: Callable[[int], int] = lambda size: size,
    clock: Callable[[], float] = Clock(),
) -> BlockBody:
    """Return a body, of the whole file if no block is named."""
    return BlockBody(
        open(source.path, "rb", buffering=0),
        block or whole(source),
        name=source.path,
        linear_hash=linear_hash,
        stop=stop or Stop(),
        on_move=on_move,
        allow=allow,
        clock=clock,
    )


def pattern(size: int) -> bytes:
    """Return bytes of which every MiB differs."""
    stamps = (number.to_bytes(8, "big") * (MIB // 8) for number in range(-(-size // MIB)))
    return b"".join(stamps)[:size]
