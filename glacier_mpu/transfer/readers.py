"""How many blocks are read at once: one where a disk seeks between them, else one a core.

Hashing takes a core for each block, and comparing reads as fast as it can. Where the system says
nothing of the disk (a network drive, another system), both numbers are measured, and the better one
is kept. Sending is as fast as the line, which says nothing of the disk: it is not measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from glacier_mpu.source.blocks import MIB
from glacier_mpu.transfer.workers import Gate

# After a change of the number, while threads begin and the disk reads ahead.
_SETTLE_SECONDS = 0.2
# A measurement is over once so much was read in so long, or after the longest time in any case.
_ENOUGH = 128 * MIB
_SHORTEST_SECONDS = 0.25
_LONGEST_SECONDS = 4.0
# A drive of which nothing was read for so long hangs: it is measured again once it goes on.
_HANGS_SECONDS = 2.0
# Several readers are better if they read so many times as much as one: else they only seek more.
_BETTER = 1.1


class Readers:
    """Sets `gate`, through which every block is read, to the number that reads most.

    `rotating` is what is known of the source's disk. Until `begin` the gate lets `most` in. Belongs
    to one thread.
    """

    def __init__(
        self, gate: Gate, *, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rotating: bool | None = None
        self._gate = gate
        self._most = most
        self._clock = clock
        self._kept: int | None = None
        self._left: Callable[[], int] = lambda: 0
        self._trial: Trial | None = None
        self._rate_of_one: float | None = None

    def begin(self, left: Callable[[], int]) -> None:
        """Begin to read blocks, of which `left()` stored ones have still to be compared."""
        self._left = left
        if self.rotating:
            self._keep(1)
        elif self._kept is None and self.rotating is None and self._most > 1 and self._pays():
            self._rate_of_one = None
            self._try(1)

    def tick(self, size: int) -> None:
        """Go on measuring. Must be called several times a second; `size` was read so far in all."""
        if self._trial is None:
            return
        if not self._pays():
            self._end(self._most)
            return
        rate = self._trial.rate(self._clock(), size)
        if rate is None:
            return
        if self._rate_of_one is None:
            self._rate_of_one = rate
            self._try(self._most)
        else:
            self._keep(self._most if rate > self._rate_of_one * _BETTER else 1)

    def _pays(self) -> bool:
        """Tell whether there are blocks enough to measure what several readers bring."""
        return self._left() > 1

    def _try(self, count: int) -> None:
        self._gate.resize(count)
        self._trial = Trial(self._clock())

    def _keep(self, count: int) -> None:
        self._kept = count
        self._end(count)

    def _end(self, count: int) -> None:
        self._trial = None
        self._gate.resize(count)


class Trial:
    """Measures once how much is read a second."""

    def __init__(self, now: float) -> None:
        self._began_at = self._moved_at = now
        self._size = 0
        self._window: tuple[float, int] | None = None

    def rate(self, now: float, size: int) -> float | None:
        """Return the bytes a second, or None until they are known; `size` was read so far."""
        if now - self._moved_at >= _HANGS_SECONDS:
            self._began_at, self._window = now, None
        if size != self._size:
            self._moved_at, self._size = now, size
        if self._window is None:
            if now - self._began_at >= _SETTLE_SECONDS:
                self._window = now, size
            return None
        seconds, read = now - self._window[0], size - self._window[1]
        enough = read >= _ENOUGH and seconds >= _SHORTEST_SECONDS
        return read / seconds if enough or seconds >= _LONGEST_SECONDS else None
