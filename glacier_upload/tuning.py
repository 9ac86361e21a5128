"""How many blocks to send at once, found out while sending. Decides; opens and sends nothing.

The right number depends on the line: too few leave it idle, and too many make Glacier answer 408.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

FIRST_SLOTS = 2
MOST_SLOTS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a Tuner moves. Times in seconds.

    settle         after a change and before measuring: a new connection fills the buffers on its
                   way first, and that looks like speed
    window         over which a rate is measured
    quick          share of both that does at first, where steps are large
    patience       for slots that have no hashed block yet
    rest           until a settled number is tested again; doubles with each test in vain
    longest_rest   at most
    recover        between two steps up after trouble
    forget         until a number that met trouble may be tried again
    noise          growth of the rate that says nothing
    """

    settle: float = 0.6
    window: float = 2.4
    quick: float = 0.25
    patience: float = 8.0
    rest: float = 60.0
    longest_rest: float = 600.0
    recover: float = 5.0
    forget: float = 900.0
    noise: float = 0.04


@dataclass(frozen=True, slots=True)
class Reading:
    """Bytes a second that so many slots moved."""

    slots: int
    rate: float


class Tuner:
    """Finds the number of slots that fills the line, and follows the line as it changes.

    It climbs while more slots bring more, in doubling strides, halves the interval once they do
    not, and settles; then it tests one more slot now and then. Trouble halves the number. `tick`
    belongs to one thread, `slow_down` to all. `trace` hears each number with the rate it moved.
    """

    def __init__(
        self,
        *,
        most: int,
        note: Callable[[str], None],
        trace: Callable[[str], None],
        pace: Pace = Pace(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slots = min(FIRST_SLOTS, most)
        self._most = most
        self._note = note
        self._trace = trace
        self._pace = pace
        self._clock = clock
        self._told = threading.Event()
        self._base: Reading | None = None
        self._useless: int | None = None
        self._stride = self.slots
        self._quick = True
        self._rest = pace.rest
        self._recovering = False
        self._ceiling = most
        self._ceiling_until = 0.0
        self._deaf_until = 0.0
        self._changed_at = clock()
        self._measure_from = self._changed_at
        self._armed_at: float | None = None
        self._window: tuple[float, int] | None = None

    def slow_down(self) -> None:
        """Take note that the service or the line asks for less. Safe to call from any thread."""
        self._told.set()

    def tick(self, *, busy: int, moved: int) -> int:
        """Return how many slots there shall be; `busy` hold one, `moved` bytes went by so far."""
        now = self._clock()
        if self._told.is_set():
            self._told.clear()
            if now >= self._deaf_until:
                self._halve(now)
        elif now >= self._measure_from:
            rate = self._measured(now, busy=busy, moved=moved)
            if rate is not None:
                self._judge(Reading(self.slots, rate), now)
        return self.slots

    def _measured(self, now: float, *, busy: int, moved: int) -> float | None:
        """Return the rate once a window is over that began with all slots at work."""
        share = self._pace.quick if self._quick else 1.0
        if self._armed_at is None:
            if busy >= self.slots or now - self._changed_at >= self._pace.patience:
                self._armed_at = now
        elif self._window is None:
            if now - self._armed_at >= self._pace.settle * share:
                self._window = now, moved
        elif now - self._window[0] >= self._pace.window * share:
            began, before = self._window
            return (moved - before) / (now - began)
        return None

    def _judge(self, reading: Reading, now: float) -> None:
        """Take a step on, or back, or settle."""
        self._trace(f"slots: {reading.slots} ({reading.rate / (1 << 20):.1f} MiB/s)")
        base = self._base
        if base is None or reading.slots <= base.slots:
            self._base = reading
        elif reading.rate > base.rate * (1 + self._pace.noise):
            self._base = reading
            self._stride *= 2
            self._rest = self._pace.rest
        else:
            self._useless = reading.slots
            self._quick = False
        self._step(now)

    def _step(self, now: float) -> None:
        base = self._base or Reading(self.slots, 0.0)
        top = self._most if now >= self._ceiling_until else min(self._most, self._ceiling)
        if self._useless is None:
            following = min(base.slots + self._stride, top)
        else:
            following = min((base.slots + self._useless) // 2, top)
        if following > base.slots:
            self._use(following, now, wait=self._pace.recover if self._recovering else 0.0)
        else:
            self._settle(base, now)

    def _settle(self, base: Reading, now: float) -> None:
        """Keep the best number, and test it again after a rest, with one slot more."""
        if self._rest == self._pace.rest:
            self._note(f"auto: {base.slots} blocks at once, {base.rate / (1 << 20):.1f} MiB/s")
        self._use(base.slots, now, wait=self._rest)
        self._rest = min(2 * self._rest, self._pace.longest_rest)
        self._base = self._useless = None
        self._stride = 1
        self._quick = self._recovering = False

    def _halve(self, now: float) -> None:
        """Give half of the slots back, and come back one by one, to one below what met trouble."""
        self._ceiling = max(1, self.slots - 1)
        self._ceiling_until = now + self._pace.forget
        self._note(
            f"auto: too many at once with {self.slots}; {max(1, self.slots // 2)} from now on"
        )
        self._base = self._useless = None
        self._stride = 1
        self._rest = self._pace.rest
        self._quick, self._recovering = False, True
        self._deaf_until = now + self._pace.recover  # to the rest of the same storm
        self._use(max(1, self.slots // 2), now, wait=self._pace.recover)

    def _use(self, slots: int, now: float, *, wait: float) -> None:
        self.slots = slots
        self._changed_at = self._measure_from = now
        self._measure_from += wait
        self._armed_at = self._window = None
