"""How many bytes a second may be sent when: a Timetable, and the Throttle that keeps to it."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from glacier_mpu.transfer.pacing import Clock

MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY

# How much time a late thread may make up for. Without it, waits that overrun would lower the rate.
_CATCH_UP_SECONDS = 0.1
# Shorter waits are imprecise and cost CPU time; they add up until they are worth one.
_SHORTEST_WAIT_SECONDS = 0.005
# At a low rate, one whole read of a body would be a burst followed by a long silence.
_PIECES_A_SECOND = 8
# How late a change of the rate may be noticed, also by a thread that waits for its turn.
_SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True, slots=True)
class Entry:
    """From a `minute` of the week on, `rate` bytes a second; None is no limit.

    Minute 0 is Monday, 00:00.
    """

    minute: int
    rate: int | None


@dataclass(frozen=True, slots=True)
class Timetable:
    """Which rate holds when, over a week that begins again; `entries` are in order, at least one.

    The clock is the one on the wall: where it is put forward an entry may begin late, and where it
    is put back one may begin twice.
    """

    entries: tuple[Entry, ...]

    @classmethod
    def always(cls, rate: int | None) -> Timetable:
        """Return the timetable of one rate."""
        return cls((Entry(0, rate),))

    @classmethod
    def of(cls, rates: Mapping[int, int | None]) -> Timetable:
        """Return the timetable of rates by the minute of the week at which they begin."""
        return cls(tuple(Entry(minute, rates[minute]) for minute in sorted(rates)))

    @property
    def rates(self) -> set[int | None]:
        """All the rates in it."""
        return {entry.rate for entry in self.entries}

    def at(self, moment: datetime) -> Entry:
        """Return the entry in force: the latest that has begun, if need be in the week before."""
        return self.entries[self._index(moment)]

    def seconds_for(self, size: int, *, begin: datetime, line: float = float("inf")) -> float:
        """Return how long `size` bytes take from `begin` on, over a line of so many bytes a second.

        It is 0 where there is no limit and none of the line either.
        """
        stretches = [(seconds, rate) for seconds, rate in self._week_from(begin, line) if seconds]
        a_week = sum(seconds * rate for seconds, rate in stretches)
        weeks = size // a_week
        left, passed = size - weeks * a_week if weeks else size, weeks * MINUTES_A_WEEK * 60
        for seconds, rate in stretches:
            if left <= seconds * rate:
                return passed + left / rate
            left -= seconds * rate
            passed += seconds
        return passed

    def _index(self, moment: datetime) -> int:
        begun = bisect_right(self.entries, _minute_of_week(moment), key=lambda entry: entry.minute)
        return begun - 1  # where none has begun, that is the last one, from the week before

    def _week_from(self, begin: datetime, line: float) -> Iterator[tuple[float, float]]:
        """Yield, of the week that begins then, for how many seconds there is which rate."""
        at, index = _minute_of_week(begin) + begin.second / 60, self._index(begin)
        start, entry = 0.0, self.entries[index]
        for following in [*self.entries[index + 1 :], *self.entries[: index + 1]]:
            end = (following.minute - at) % MINUTES_A_WEEK or MINUTES_A_WEEK
            yield (end - start) * 60, line if entry.rate is None else min(line, entry.rate)
            start, entry = end, following
        yield (MINUTES_A_WEEK - start) * 60, line if entry.rate is None else min(line, entry.rate)


def _minute_of_week(moment: datetime) -> int:
    return moment.weekday() * MINUTES_A_DAY + moment.hour * 60 + moment.minute


@dataclass(frozen=True, slots=True)
class BandwidthChanged:
    """From now on `entry` of the timetable is in force; `at_start` it was when the run began."""

    entry: Entry
    at_start: bool


class Throttle:
    """Lets through as many bytes a second as the timetable says, without bursts.

    Thread-safe; threads share the rate. `wait` is called with seconds, as `threading.Event.wait`
    is, and may return early. `now` tells the local time. Of a timetable with more than one rate,
    `on_change` is told which holds, by the thread that notices it.
    """

    def __init__(
        self,
        timetable: Timetable,
        *,
        wait: Callable[[float], object],
        on_change: Callable[[BandwidthChanged], None] = lambda _: None,
        clock: Clock = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._timetable = timetable
        self._wait = wait
        self._on_change = on_change
        self._clock = clock
        self._now = now
        self._entry = timetable.at(now())
        self._free_at = clock()
        self._look_at = float("-inf") if len(timetable.rates) > 1 else float("inf")
        self._told = False
        self._lock = threading.Lock()

    def allow(self, size: int) -> int:
        """Wait until some of so many bytes may go, and return how many, at least 1."""
        while True:
            self.look()
            entry = self._entry
            if entry.rate is None:
                return size
            piece = min(size, max(1, entry.rate // _PIECES_A_SECOND))
            if self._await_turn(piece / entry.rate, entry):
                return piece

    def look(self) -> None:
        """Follow the timetable. To be called now and then, so that a change is told in time."""
        if self._clock() < self._look_at:
            return
        with self._lock:
            self._look_at = self._clock() + _SECONDS_BETWEEN_LOOKS
            entry, before = self._timetable.at(self._now()), self._entry
            told, self._told = self._told, True
            if entry.rate != before.rate:
                self._entry = entry
                self._free_at = self._clock()  # turns that were given out by the old rate are void
            elif told:
                return
        self._on_change(BandwidthChanged(entry, at_start=not told))

    def _await_turn(self, seconds: float, entry: Entry) -> bool:
        """Wait for a turn that takes so long; tell whether the entry held until then."""
        with self._lock:
            if self._entry is not entry:
                return False
            self._free_at = max(self._free_at, self._clock() - _CATCH_UP_SECONDS) + seconds
            turn = self._free_at
        while (left := turn - self._clock()) >= _SHORTEST_WAIT_SECONDS:
            self._wait(min(left, _SECONDS_BETWEEN_LOOKS))
            self.look()
            if self._entry is not entry:
                return False
        return True
