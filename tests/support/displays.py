"""What the tests of displays hear, and a display whose time passes by hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from glacier_mpu.cli.console import Console
from glacier_mpu.cli.lines import Lines
from glacier_mpu.cli.log import LogDisplay
from glacier_mpu.cli.progress import Display
from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.errors import SourceUnreadable
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.transfer.events import (
    Amount,
    BlockDiffers,
    BlockFailed,
    BlockMatches,
    BlocksBegin,
    BlockSent,
    DescriptionKept,
    Event,
    UploadOpened,
)
from glacier_mpu.vault.answers import StoredPart
from glacier_mpu.vault.errors import TransientError, Unreachable
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.retry import Retry
from tests.support.kit import Clock

NOON = datetime(2026, 1, 2, 12, 0, 0)
NOTE = DescriptionKept("theirs")
UNREADABLE = SourceUnreadable("EIO")
DOWN = Unreachable("refused", code="EndpointConnectionError")
OUTAGE = Outage(DOWN, NOON)
OVER = OutageOver(DOWN, 60)
RETRY = Retry("send_block", TransientError("HTTP 503: busy"), 12.4, 7)
GIB = 1 << 30
SENDING = Snapshot(
    phase=Phase.SENDING,
    size=60 * GIB,
    blocks=480,
    bytes_done=20 * GIB,
    blocks_done=160,
    rate=9.5 * MIB,
    seconds_left=4330,
)
COMPARING = replace(
    SENDING,
    phase=Phase.COMPARING,
    bytes_done=60 * GIB,
    to_compare=40,
    compared=10,
    bytes_to_compare=5 * GIB,
    bytes_compared=GIB,
)


def block(number: int) -> Block:
    return Block(number=number, offset=number * MIB, size=MIB)


def opened(blocks: int, *, stored: Collection[int] = (), asked: range | None = None) -> Event:
    """Return that an upload of so many blocks of 1 MiB is open."""
    return UploadOpened("an-id", Plan(blocks * MIB, MIB), asked or range(blocks), stored)


def begins(*, to_send: int = 0, to_compare: int = 0) -> BlocksBegin:
    """Return the beginning of a pass over so many blocks of 1 MiB."""
    return BlocksBegin(Amount(to_send, to_send * MIB), Amount(to_compare, to_compare * MIB))


def starts(*, to_send: int = 0, to_compare: int = 0) -> list[Event]:
    """Return the beginning of a run: the first blocks are stored, and the others are sent."""
    return [
        opened(to_send + to_compare, stored=range(to_compare)),
        begins(to_send=to_send, to_compare=to_compare),
    ]


def differs(number: int) -> BlockDiffers:
    """Return that a compared block differs."""
    return BlockDiffers(block(number), StoredPart(MIB, b"\1" * 32), b"\2" * 32)


def failed(number: int, *, compared: bool = False) -> BlockFailed:
    return BlockFailed(block(number), UNREADABLE, compared=compared)


class Terminal(io.StringIO):
    """A stream on which a person watches."""

    def isatty(self) -> bool:
        return True


class Run:
    """What a display hears of a run, and what it has written of it."""

    def __init__(
        self,
        make: Callable[..., Display] = LogDisplay,
        stream: io.StringIO | None = None,
        **options: Any,
    ) -> None:
        self.stream = stream or io.StringIO()
        self.clock = Clock()
        began = self.clock()
        lines = Lines(
            Console(self.stream),
            now=lambda: NOON + timedelta(seconds=self.clock() - began),
            environment={},
        )
        self.display = make(lines, clock=self.clock, **options)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def hear(self, *events: Event) -> None:
        for event in events:
            self.display.hear(event)

    def passes(
        self, seconds: int, *, moving: int = 0, comparing: int = 0, hashing: int = 0
    ) -> None:
        """Let seconds pass, in each of which so many bytes move."""
        for _ in range(seconds):
            self.clock.passes(1)
            self.display.moved(moving)
            self.display.compared(comparing)
            if hashing:
                self.display.hashed(hashing)
            self.display.tick()

    def sends(self, number: int, *, seconds: float) -> None:
        """Send a block evenly in so many seconds."""
        self._evenly(self.display.moved, seconds)
        self.hear(BlockSent(block(number)))

    def compares(self, number: int, *, seconds: float) -> None:
        """Compare a block, likewise, and find it to be stored as it is."""
        self._evenly(self.display.compared, seconds)
        self.hear(BlockMatches(block(number)))

    def _evenly(self, count: Callable[[int], None], seconds: float) -> None:
        for _ in range(8):
            self.clock.passes(seconds / 8)
            count(MIB // 8)
            self.display.tick()
