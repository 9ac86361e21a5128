"""What the server counts, from one `reset` to the next."""

from __future__ import annotations

import resource
import threading
import time
from typing import Any

from pacing import Gate, Line

_SAMPLE_SECONDS = 0.05


class Counters:
    """Bytes, refusals, parallel blocks and CPU; the line's limits as well. Safe from any thread.

    `epoch` tells one measurement from the next: what is left of a client that was interrupted must
    not count in the run that follows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.epoch = 0
        self.reset(Line())

    def reset(self, line: Line) -> None:
        """Begin anew, with this line."""
        with self._lock:
            self.epoch += 1
            self.line = line
            self.gate = Gate()
            self._bytes = self._refused = self._connections = self._calls = 0
            self._parallel = self._most_parallel = 0
            self._began = 0.0
            self._last = 0.0
            self._series: list[tuple[float, int]] = []
            self._cpu = _cpu_seconds()

    def connected(self) -> None:
        with self._lock:
            self._connections += 1

    def enter(self) -> bool:
        """Note that a block begins; tell whether it is one too many."""
        with self._lock:
            self._calls += 1
            self._began = self._began or time.monotonic()
            self._parallel += 1
            self._most_parallel = max(self._most_parallel, self._parallel)
            refused = 0 < self.line.most_parallel < self._parallel
            self._refused += refused
            return refused

    def leave(self, epoch: int) -> None:
        """Note that a block that began in this epoch is over."""
        with self._lock:
            self._parallel -= epoch == self.epoch

    def seconds(self) -> float:
        """Return the seconds since the first block began."""
        return time.monotonic() - self._began

    def add(self, size: int) -> None:
        """Count bytes of a block, and note now and then how many there are."""
        now = time.monotonic()
        with self._lock:
            self._bytes += size
            if now - self._last >= _SAMPLE_SECONDS:
                self._last = now
                self._series.append((now, self._bytes))

    def report(self) -> dict[str, Any]:
        """Return all counts; the series' times are those of the monotonic clock."""
        with self._lock:
            return {
                "bytes": self._bytes,
                "calls": self._calls,
                "refused": self._refused,
                "connections": self._connections,
                "most_parallel": self._most_parallel,
                "cpu_seconds": _cpu_seconds() - self._cpu,
                "now": time.monotonic(),
                "series": self._series,
            }


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
