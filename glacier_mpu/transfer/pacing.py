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
    quick          share of both that does for a glance, while the steps are large
    patience       for slots that have no hashed block yet
    rest           until a settled number is tested again; doubles with each test in vain
    longest_rest   at most
    recover        between two steps up after trouble
    forget         until a number that met trouble may be tried again
    noise          growth of the rate that says nothing
    clear          times the rate of a glance that needs no second look
    """

    settle: float = 0.6
    window: float = 2.4
    quick: float = 0.25
    patience: float = 8.0
    rest: float = 60.0
    longest_rest: float = 600.0
    recover: float = 3.0
    forget: float = 900.0
    noise: float = 0.04
    clear: float = 1.5


@dataclass(frozen=True, slots=True)
class Reading:
    """Bytes a second that so many slots moved; a `glance` was a short look."""

    slots: int
    rate: float
    glance: bool


class Tuner:
    """Finds the number of slots that fills the line, and follows the line as it changes.

    It climbs while more slots bring more, in doubling strides with a glance at each. Where that
    ends it looks closer, as buffers that fill look like speed at a glance, halves the interval down
    to the fewest slots that bring as much, and settles; then it tests one more slot now and then.
    Trouble halves the number, or leads back to one that went well a moment ago. `tick` belongs to
    one thread, `slow_down` to all. `trace` hears each number with the rate it moved.
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
        self._began = False
        self._base: Reading | None = None
        self._rival: Reading | None = None
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
        if not self._began:
            self._began = True
            self._told.clear()  # what came before the first block says nothing of blocks
            self._use(self.slots, now, wait=0.0)
        if self._told.is_set():
            self._told.clear()
            # Blocks of slots that were given back in trouble may still meet the same.
            if now >= self._deaf_until and not (self._recovering and busy > self.slots):
                self._step_back(max(busy, self.slots), now)
        elif now >= self._measure_from:
            rate = self._measured(now, busy=busy, moved=moved)
            if rate is not None:
                self._judge(Reading(self.slots, rate, self._quick), now)
        return self.slots

    def _measured(self, now: float, *, busy: int, moved: int) -> float | None:
        """Return the rate once a window is over that began with these slots at work.

        After some patience, it may begin with fewer, if these are more than were measured before.
        """
        share = self._pace.quick if self._quick else 1.0
        if self._armed_at is None:
            # More than the slots are at work while blocks of slots given back come to their end;
            # with no more than were measured before there is nothing new to learn.
            least = self._base.slots + 1 if self._base and self._base.slots < self.slots else 1
            if now - self._changed_at < self._pace.patience:
                least = self.slots
            if least <= busy <= self.slots:
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
        if self._rival is not None:
            fewer, more, self._rival = reading, self._rival, None
            self._weigh(fewer, more, now)
        elif self._base is None or reading.slots <= self._base.slots:
            self._step(reading, now)
        else:
            self._weigh(self._base, reading, now)

    def _weigh(self, fewer: Reading, more: Reading, now: float) -> None:
        """Go on from the better of the two, where a glance at either is good enough."""
        grew = more.rate > fewer.rate * (1 + self._pace.noise)
        ends = not grew or more.slots >= self._top(now)
        clear = more.rate > fewer.rate * self._pace.clear and not ends
        if more.glance and ends:
            self._quick = False
            self._use(more.slots, now, wait=0.0)
        elif fewer.glance and not more.glance and not clear:
            self._rival = more
            self._use(fewer.slots, now, wait=0.0)
        elif grew:
            self._stride *= 1 if self._recovering else 2
            self._rest = self._pace.rest
            self._step(more, now)
        else:
            self._useless = more.slots
            self._step(fewer, now)

    def _step(self, base: Reading, now: float) -> None:
        """Try more slots than those of this reading, or settle for them."""
        self._base = base
        if self._useless is None:
            following = min(base.slots + self._stride, self._top(now))
        else:
            following = min((base.slots + self._useless) // 2, self._top(now))
        if following > base.slots:
            self._use(following, now, wait=self._pace.recover if self._recovering else 0.0)
        else:
            self._settle(base, now)

    def _top(self, now: float) -> int:
        return self._most if now >= self._ceiling_until else min(self._most, self._ceiling)

    def _settle(self, base: Reading, now: float) -> None:
        """Keep the best number, and test it again after a rest, with one slot more."""
        if self._rest == self._pace.rest:
            blocks = "block" if base.slots == 1 else "blocks"
            self._note(f"auto: {base.slots} {blocks} at once, {base.rate / (1 << 20):.1f} MiB/s")
        self._use(base.slots, now, wait=self._rest)
        self._rest = min(2 * self._rest, self._pace.longest_rest)
        self._base = self._useless = None
        self._stride = 1
        self._quick = self._recovering = False

    def _step_back(self, met: int, now: float) -> None:
        """Give half of the slots back, or fewer if more went well; come back one by one.

        What `met` trouble is not tried again for a while.
        """
        good = self._base.slots if self._base and self._base.slots < met else 1
        slots = max(good, met // 2)
        if slots < met:
            self._note(f"auto: too many at once with {met}; {slots} from now on")
        self._ceiling = max(1, met - 1)
        self._ceiling_until = now + self._pace.forget
        self._base = self._rival = self._useless = None
        self._stride = 1
        self._rest = self._pace.rest
        self._quick, self._recovering = False, True
        self._deaf_until = now + self._pace.recover  # to the rest of the same storm
        self._use(slots, now, wait=self._pace.recover)

    def _use(self, slots: int, now: float, *, wait: float) -> None:
        self.slots = slots
        self._changed_at = self._measure_from = now
        self._measure_from += wait
        self._armed_at = self._window = None
