"""How many blocks at once (`--threads auto`).

The best number of blocks depends on the line: with too few it is not used fully, and with too many
Glacier answers 408. So the number is found while sending: a Measurement measures the rate of a
number of slots, the Search chooses the next number from the rates, and the Tuner joins the two.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

FIRST_SLOTS = 2
MOST_SLOTS = 32


@dataclass(frozen=True, slots=True)
class Measured:
    """So many slots moved `rate` bytes a second."""

    slots: int
    rate: float


@dataclass(frozen=True, slots=True)
class Settled:
    """The search ended at so many slots, which moved `rate` bytes a second."""

    slots: int
    rate: float


@dataclass(frozen=True, slots=True)
class SlowedDown:
    """Trouble with `met` blocks at once lowered the number to `slots`."""

    met: int
    slots: int


Hear: TypeAlias = Callable[[Measured | Settled | SlowedDown], None]
Clock: TypeAlias = Callable[[], float]  # seconds, from any beginning


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How fast a Tuner measures and moves. Times are in seconds, the last three are ratios."""

    settle: float = 0.6  # before the window: a new connection fills buffers first, which looks fast
    window: float = 2.4  # over which a rate is measured
    patience: float = 8.0  # until a number is measured although some of its slots have no block
    rest: float = 60.0  # until a settled number is tested again; doubles with each test in vain
    longest_rest: float = 600.0
    recover: float = 3.0  # before each step up after trouble, and before trouble counts again
    forget: float = 900.0  # until a number that met trouble may be tried again
    brief: float = 0.25  # share of settle and window that a brief measurement takes
    noise: float = 0.04  # growth of a rate, as a share of it, that counts as none
    clear: float = 1.5  # times the rate of a brief reading at which that is good enough


@dataclass(frozen=True, slots=True)
class Reading:
    """So many slots moved `rate` bytes a second; if `brief`, buffers may have made it higher."""

    slots: int
    rate: float
    brief: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A number of slots to measure, and what the search knows when it begins."""

    slots: int
    wait: float = 0.0  # seconds before the measurement
    brief: bool = False  # whether a brief reading is enough
    stride: int = 1  # slots that the next step up adds
    base: Reading | None = None  # the best so far; None where a search starts
    useless: int | None = None  # the fewest slots known to be no faster than base, if any
    more: Reading | None = None  # of more slots, compared with base once that is measured in full


@dataclass(frozen=True, slots=True)
class Trouble:
    """The service or the line asked for less while `met` blocks were being sent."""

    met: int
    at: float


class Measurement:
    """Measures the rate of one trial, once. Belongs to one thread."""

    def __init__(self, trial: Trial, timing: Timing, *, now: float) -> None:
        self._trial = trial
        self._timing = timing
        self._began_at = now
        self._share = timing.brief if trial.brief else 1.0
        self._busy_since: float | None = None
        self._window: tuple[float, int] | None = None

    def take(self, now: float, *, busy: int, moved: int) -> Reading | None:
        """Return the reading at the end of the window, and None until then.

        `busy` slots have a block at `now`, in seconds; `moved` bytes were sent so far.
        """
        if now < self._began_at + self._trial.wait:
            return None
        if self._busy_since is None:
            if self._least_busy(now) <= busy <= self._trial.slots:
                self._busy_since = now
        elif self._window is None:
            if now - self._busy_since >= self._timing.settle * self._share:
                self._window = now, moved
        elif now - self._window[0] >= self._timing.window * self._share:
            seconds, size = now - self._window[0], moved - self._window[1]
            return Reading(self._trial.slots, size / seconds, self._trial.brief)
        return None

    def _least_busy(self, now: float) -> int:
        """Return how many busy slots the measurement needs: while patience lasts, all of them.

        After that fewer will do, if they are more than those of `base`, which were measured before.
        More busy slots than the trial's are left from a higher number, and end with their blocks.
        """
        slots, base = self._trial.slots, self._trial.base
        if now - self._began_at < self._timing.patience:
            return slots
        return base.slots + 1 if base and base.slots < slots else 1


class Search:
    """Chooses the number of slots to try next: `trial`. Belongs to one thread.

    It goes up in steps that double, by brief readings, while more slots are faster. Where that ends
    it measures in full, because in a brief reading buffers that fill look like speed, looks for a
    faster number within the last step by halving it, and settles. After each rest it tests one slot
    more. Trouble halves the number, or leads back to a lower one that was measured before.
    """

    def __init__(self, most: int, timing: Timing, hear: Hear) -> None:
        self._most = most
        self._timing = timing
        self._hear = hear
        self.trial = self._first()
        self._rest = timing.rest
        self._recovering = False
        self._trouble: Trouble | None = None

    def proceed(self, reading: Reading, now: float) -> None:
        """Choose the next trial by the reading of this one."""
        self._hear(Measured(reading.slots, reading.rate))
        base, more = self.trial.base, self.trial.more
        if base is None:
            self.trial = self._step(reading, now, stride=self.trial.stride)
        elif more is None:
            self.trial = self._weigh(base, reading, now)
        else:
            self.trial = self._weigh(reading, more, now)

    def slow_down(self, now: float, *, busy: int) -> None:
        """Lower the number after trouble, and rule out for a while the one that met it."""
        if self._trouble and now < self._trouble.at + self._timing.recover:
            return  # this is still the same trouble
        if self._recovering and busy > self.trial.slots:
            return  # blocks left from the higher number may still meet the same trouble
        met, base = max(busy, self.trial.slots), self.trial.base
        slots = max(base.slots if base and base.slots < met else 1, met // 2)
        if slots < met:
            self._hear(SlowedDown(met, slots))
        self._trouble = Trouble(met, now)
        self._recovering = True
        self._rest = self._timing.rest
        self.trial = Trial(slots=slots, wait=self._timing.recover)

    def start_over(self) -> None:
        """Search from the beginning. What met trouble stays ruled out for a while."""
        self.trial = self._first()
        self._rest = self._timing.rest
        self._recovering = False

    def _first(self) -> Trial:
        slots = min(FIRST_SLOTS, self._most)
        return Trial(slots=slots, brief=True, stride=slots)

    def _weigh(self, fewer: Reading, more: Reading, now: float) -> Trial:
        """Go on from the better of the two, or first measure in full what had a brief reading."""
        trial = self.trial
        faster = more.rate > fewer.rate * (1 + self._timing.noise)
        last = not faster or more.slots >= self._ceiling(now)
        clear = more.rate > fewer.rate * self._timing.clear and not last
        if more.brief and last:
            return replace(trial, brief=False)
        if fewer.brief and not more.brief and not clear:
            return replace(trial, slots=fewer.slots, more=more)
        if faster:
            self._rest = self._timing.rest
            stride = trial.stride if self._recovering else 2 * trial.stride
            return self._step(more, now, stride=stride, useless=trial.useless)
        return self._step(fewer, now, stride=trial.stride, useless=more.slots)

    def _step(self, base: Reading, now: float, *, stride: int, useless: int | None = None) -> Trial:
        """Try more slots than `base`, or settle for it if there are none to try."""
        following = base.slots + stride if useless is None else (base.slots + useless) // 2
        slots = min(following, self._ceiling(now))
        if slots <= base.slots:
            return self._settle(base)
        wait = self._timing.recover if self._recovering else 0.0
        return Trial(
            slots=slots, wait=wait, brief=base.brief, stride=stride, base=base, useless=useless
        )

    def _settle(self, base: Reading) -> Trial:
        """Keep this number, and measure it again after a rest. A test in vain is not reported."""
        rest = self._rest
        if rest == self._timing.rest:
            self._hear(Settled(base.slots, base.rate))
        self._rest = min(2 * rest, self._timing.longest_rest)
        self._recovering = False
        return Trial(slots=base.slots, wait=rest)

    def _ceiling(self, now: float) -> int:
        if self._trouble is None or now >= self._trouble.at + self._timing.forget:
            return self._most
        return min(self._most, max(1, self._trouble.met - 1))


class Tuner:
    """Finds the number of slots that uses the line fully, and follows the line as it changes.

    `slots` and `tick` belong to one thread, which is the one that calls `hear`; any thread may call
    `slow_down` and `start_over`.
    """

    def __init__(
        self, *, most: int, hear: Hear, timing: Timing = Timing(), clock: Clock = time.monotonic
    ) -> None:
        self._timing = timing
        self._clock = clock
        self._hear = hear
        self._search = Search(most, timing, hear)
        self._measurement: Measurement | None = None
        self._asked = threading.Event()
        self._changed = threading.Event()

    @property
    def slots(self) -> int:
        """How many blocks to send at once now."""
        return self._search.trial.slots

    def limit(self, most: int) -> None:
        """Let there never be more slots than this. To be called before the first tick."""
        self._search = Search(most, self._timing, self._hear)

    def slow_down(self) -> None:
        """Note that the service or the line asks for less; `tick` acts on it. Thread-safe."""
        self._asked.set()

    def start_over(self) -> None:
        """Note that another limit holds: what was measured counts no more. Thread-safe."""
        self._changed.set()

    def tick(self, *, busy: int, moved: int) -> int:
        """Return how many blocks to send at once from now on. Call it a few times a second.

        `busy` slots have a block now; `moved` bytes were sent so far, of all blocks together.
        """
        now, trial = self._clock(), self._search.trial
        if self._measurement is None:
            self._measurement = Measurement(trial, self._timing, now=now)
            self._asked.clear()  # what came before the first tick had another cause
        if self._changed.is_set():
            self._changed.clear()
            self._search.start_over()
        elif self._asked.is_set():
            self._asked.clear()
            self._search.slow_down(now, busy=busy)
        elif reading := self._measurement.take(now, busy=busy, moved=moved):
            self._search.proceed(reading, now)
        if self._search.trial is not trial:
            self._measurement = Measurement(self._search.trial, self._timing, now=now)
        return self.slots
