"""A limit on the bytes a second of all blocks together. Smooth: it saves nothing up for a burst."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# What a late thread may catch up with; it also keeps the rate exact where waits are inexact.
_CATCH_UP_SECONDS = 0.1
# Shorter waits cost more than they are worth, and are added up instead.
_SHORTEST_WAIT_SECONDS = 0.005
# On a slow line even one read of a body would be a burst.
_PIECES_A_SECOND = 8


class Limit:
    """Lets `rate` bytes a second by. Safe to use from several threads, which share the rate.

    `wait` is called with seconds, as `threading.Event.wait` is, and may return early.
    """

    def __init__(
        self,
        rate: int,
        *,
        wait: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._wait = wait
        self._clock = clock
        self._free_at = clock()
        self._lock = threading.Lock()

    def let_by(self, size: int) -> int:
        """Wait until some of so many bytes may go, and return how many."""
        size = min(size, max(1, self._rate // _PIECES_A_SECOND))
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - _CATCH_UP_SECONDS) + size / self._rate
            seconds = self._free_at - now
        if seconds >= _SHORTEST_WAIT_SECONDS:
            self._wait(seconds)
        return size
