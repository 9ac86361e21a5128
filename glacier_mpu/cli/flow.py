"""Blocks that are sent, or compared: how far they are, and how fast it goes. Pure counting."""

from __future__ import annotations

from collections import deque

from glacier_mpu.source.blocks import Block
from glacier_mpu.transfer.events import Amount

# Over a shorter time a rate is erratic, and over a longer one it hides that the line has changed.
RATE_WINDOW_SECONDS = 60.0
_SECONDS_BETWEEN_SAMPLES = 1.0
# What passes in the first moment only fills this machine's buffers, and says little of the line.
_SHORTEST_SECONDS = 1.0


class Flow:
    """Bytes of one kind that pass, those that pass once more included.

    passed     bytes so far
    passed_at  when the last of them passed, or the flow began
    """

    def __init__(self, now: float) -> None:
        self.passed = 0
        self.passed_at = now
        self._samples = deque([(now, 0)])

    def passes(self, size: int, now: float) -> None:
        """Count bytes that pass. The rate counts from the first of them on."""
        if not self.passed:
            self.restart(now)
        self.passed += size
        self.passed_at = now

    def restart(self, now: float) -> None:
        """Forget the time before, in which nothing could pass."""
        self._samples = deque([(now, self.passed)])
        self.passed_at = now

    def sample(self, now: float) -> None:
        """Note how many have passed, for the rate. To be called now and then."""
        if now - self._samples[-1][0] >= _SECONDS_BETWEEN_SAMPLES:
            self._samples.append((now, self.passed))
        while now - self._samples[0][0] > RATE_WINDOW_SECONDS:
            self._samples.popleft()

    def rate(self, now: float) -> float:
        """Return the bytes a second of the last minute; 0 in the first moment."""
        then, before = self._samples[0]
        seconds = now - then
        return (self.passed - before) / seconds if seconds >= _SHORTEST_SECONDS else 0.0


class Progress:
    """Blocks that are sent, or those that are compared, in one pass over the file.

    moved  bytes so far, those of unfinished blocks included
    """

    def __init__(self, amount: Amount, *, now: float) -> None:
        self.blocks, self.size = amount.blocks, amount.size
        self.done = self.failed = self.moved = 0
        self.flow = Flow(now)

    @property
    def is_over(self) -> bool:
        """Whether every block is done or has failed."""
        return self.done + self.failed >= self.blocks

    def moves(self, size: int, now: float) -> None:
        """Count bytes; a negative number takes some back, which is no move of the line."""
        self.moved += size
        if size > 0:
            self.flow.passes(size, now)

    def grow(self, block: Block, now: float) -> None:
        """Count one block more that is to be done, from now on."""
        if self.is_over:
            self.flow.restart(now)
        self.blocks += 1
        self.size += block.size

    @property
    def left(self) -> int:
        """Bytes that have still to be done."""
        return 0 if self.is_over else max(0, self.size - self.moved)

    def rate(self, now: float) -> float:
        """Return the bytes a second of the last minute; 0 where nothing is to be done."""
        return 0.0 if self.is_over else self.flow.rate(now)
