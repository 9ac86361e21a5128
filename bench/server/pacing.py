"""A line's limits, kept by letting each byte wait for its time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

# What a reader that woke late may catch up on, so that the rate is exact on average.
_SLACK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Line:
    """What the line allows; 0 is no limit.

    rate           bytes a second in all
    each           bytes a second a connection
    halves_after   seconds from the first byte of a block, when the rate in all halves
    most_parallel  blocks at once; the next is read to its end and answered 408
    """

    rate: float = 0
    each: float = 0
    halves_after: float = 0
    most_parallel: int = 0

    def factor(self, seconds: float) -> float:
        """Return what is left of the rate in all so many seconds after the first byte."""
        return 0.5 if 0 < self.halves_after <= seconds else 1.0

    @property
    def quantum(self) -> int:
        """Bytes to read at a time: two milliseconds of the narrowest limit."""
        narrowest = min((rate for rate in (self.rate, self.each) if rate), default=0)
        return min(max(int(narrowest * 0.002), 4096), 1 << 20) if narrowest else 1 << 20


class Gate:
    """Gives bytes their time, in the order of asking. Safe to use from several threads."""

    def __init__(self) -> None:
        self._next = 0.0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Give nothing for the time in which nobody asked."""
        with self._lock:
            self._next = max(self._next, time.monotonic())

    def reserve(self, size: int, rate: float) -> float:
        """Return when so many bytes have gone through at this rate; 0 for no limit."""
        if not rate:
            return 0.0
        with self._lock:
            self._next = max(self._next, time.monotonic() - _SLACK_SECONDS) + size / rate
            return self._next
