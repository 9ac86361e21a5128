"""How far an upload is: what was to be sent and compared, and what of it is done. Pure counting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from glacier_mpu.source.blocks import Block
from glacier_mpu.transfer.events import (
    Amount,
    BlockDiffers,
    BlockFailed,
    BlockMatches,
    BlocksBegin,
    BlockSent,
    Event,
)

# Over a shorter time a rate is erratic, and over a longer one it hides that the line has changed.
RATE_WINDOW_SECONDS = 60.0
_SECONDS_BETWEEN_SAMPLES = 1.0


class Progress:
    """Blocks of one kind: how many there are, and how many are done. Sizes in bytes.

    moved  bytes so far, those of unfinished blocks included
    """

    def __init__(self, amount: Amount = Amount(), *, now: float) -> None:
        self.blocks, self.size = amount.blocks, amount.size
        self.done = self.failed = self.moved = 0
        self._samples = deque([(now, 0)])

    @property
    def is_over(self) -> bool:
        """Whether every block is done or has failed."""
        return self.done + self.failed >= self.blocks

    def grow(self, block: Block) -> None:
        """Count one block more that is to be done."""
        self.blocks += 1
        self.size += block.size

    def sample(self, now: float) -> None:
        """Note how far it is, for the rate."""
        if now - self._samples[-1][0] >= _SECONDS_BETWEEN_SAMPLES:
            self._samples.append((now, self.moved))
        while now - self._samples[0][0] > RATE_WINDOW_SECONDS and len(self._samples) > 1:
            self._samples.popleft()

    def rate(self, now: float) -> float:
        """Return the bytes a second of the last minute."""
        then, before = self._samples[0]
        return (self.moved - before) / max(now - then, 1e-6)


class Tally:
    """Counts what a Watcher hears, sending and comparing apart.

    `moved` and `compared` are safe to call from any thread. `hear` and `sample` take turns: the
    caller sees to that.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.sending = Progress(now=clock())
        self.comparing = Progress(now=clock())

    def hear(self, event: Event) -> None:
        """Count what happened."""
        match event:
            case BlocksBegin():
                self._begin(event)
            case BlockSent():
                self.sending.done += 1
            case BlockMatches():
                self.comparing.done += 1
            case BlockDiffers():
                self._differs(event)
            case BlockFailed():
                (self.comparing if event.compared else self.sending).failed += 1
            case _:
                pass

    def moved(self, size: int) -> None:
        """Count bytes sent; a negative number takes some back."""
        with self._lock:
            self.sending.moved += size

    def compared(self, size: int) -> None:
        """Count bytes compared."""
        with self._lock:
            self.comparing.moved += size

    def sample(self) -> None:
        """Note how far both are, for the rates."""
        now = self._clock()
        self.sending.sample(now)
        self.comparing.sample(now)

    def _begin(self, event: BlocksBegin) -> None:
        with self._lock:
            self.sending = Progress(event.to_send, now=self._clock())
            self.comparing = Progress(event.to_compare, now=self._clock())

    def _differs(self, event: BlockDiffers) -> None:
        """Move the block from what is compared to what is sent.

        One whose size differs, or whose hashes were known, is not compared, and counts as one to be
        sent from the beginning.
        """
        if event.tree_hash is not None and event.read:
            self.comparing.done += 1
            if event.sends:
                self.sending.grow(event.block)
