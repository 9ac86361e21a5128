"""The timetable of bytes a second, and the throttle that keeps to it. The test moves the clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glacier_mpu.cli.times import bandwidth
from glacier_mpu.transfer.bandwidth import (
    MINUTES_A_WEEK,
    BandwidthChanged,
    Entry,
    Throttle,
    Timetable,
)

MONDAY = datetime(2026, 11, 23)
BERLIN = ZoneInfo("Europe/Berlin")
RATES = st.dictionaries(
    st.integers(0, MINUTES_A_WEEK - 1), st.none() | st.integers(1, 10**6), min_size=1, max_size=5
)
MOMENTS = st.integers(0, 3 * MINUTES_A_WEEK * 60).map(lambda s: MONDAY + timedelta(seconds=s))
ROUND_MOMENTS = st.integers(0, MINUTES_A_WEEK).map(lambda m: MONDAY + timedelta(minutes=m))


def minute_by_minute(rates: dict[int, int | None], moment: datetime) -> int | None:
    """Return the rate at a moment as the grammar says it: that which began last."""
    while (moment - MONDAY) // timedelta(minutes=1) % MINUTES_A_WEEK not in rates:
        moment -= timedelta(minutes=1)
    return rates[(moment - MONDAY) // timedelta(minutes=1) % MINUTES_A_WEEK]


@settings(deadline=None)
@given(rates=RATES, moment=MOMENTS)
def test_the_entry_in_force_is_the_latest_that_has_begun_over_the_end_of_the_week_too(
    rates: dict[int, int | None], moment: datetime
) -> None:
    assert Timetable.of(rates).at(moment).rate == minute_by_minute(rates, moment)


@settings(deadline=None)
@given(rates=RATES, begin=ROUND_MOMENTS, share=st.floats(0.001, 1.5))
def test_the_time_for_some_bytes_is_that_of_counting_them_minute_by_minute(
    rates: dict[int, int | None], begin: datetime, share: float
) -> None:
    line = 500_000
    slowest = min(rate or line for rate in rates.values())
    size = left = int(share * MINUTES_A_WEEK * 60 * min(line, slowest)) + 1
    at, seconds = (begin - MONDAY) // timedelta(minutes=1), 0
    rate = minute_by_minute(rates, begin)
    while left > (now := min(line, rate or line)) * 60:
        left -= now * 60
        seconds += 60
        at += 1
        rate = rates.get(at % MINUTES_A_WEEK, rate)
    took = Timetable.of(rates).seconds_for(size, begin=begin, line=line)
    assert took == pytest.approx(seconds + left / now)


def test_the_time_for_some_bytes_counts_from_the_second_at_which_they_begin() -> None:
    table = bandwidth("08:00,1kB 20:00,2kB")
    begin = MONDAY.replace(hour=7, minute=59, second=50)
    assert table.seconds_for(30_000, begin=begin) == pytest.approx(20)


class Clock:
    """Both clocks of a machine: the monotonic one, and the one on the wall."""

    def __init__(self, begin: datetime = MONDAY) -> None:
        self.now = 1000.0
        self._wall_at_0 = begin.timestamp() - self.now
        self._zone = begin.tzinfo

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def wall(self) -> datetime:
        return datetime.fromtimestamp(self._wall_at_0 + self.now, self._zone)


def throttled(
    table: Timetable, clock: Clock, *, hear: Callable[[BandwidthChanged], None] = lambda _: None
) -> Throttle:
    return Throttle(table, wait=clock.wait, on_change=hear, clock=clock, now=clock.wall)


def always(rate: int, clock: Clock) -> Throttle:
    return throttled(Timetable.always(rate), clock)


@pytest.mark.parametrize("rate", [100, 16_384, 1_000_000, 100_000_000])
def test_over_ten_seconds_the_rate_is_kept_to_three_percent(rate: int) -> None:
    clock = Clock()
    throttle = always(rate, clock)
    began, gone = clock.now, 0
    while clock.now - began < 10:
        gone += throttle.allow(16_384)
    assert gone == pytest.approx(10 * rate, rel=0.03)


def test_a_wait_that_ends_early_lets_nothing_through_early() -> None:
    clock = Clock()
    table = Timetable.always(1)
    throttle = Throttle(table, wait=lambda s: clock.wait(s / 3), clock=clock, now=clock.wall)
    began = clock.now
    for _ in range(10):
        assert throttle.allow(16_384) == 1
    assert clock.now - began == pytest.approx(10, rel=0.03)


def test_no_second_carries_more_than_its_share_after_a_long_rest() -> None:
    clock = Clock()
    throttle = always(1_000_000, clock)
    clock.now += 3600
    began, gone = clock.now, 0
    while clock.now - began < 1:
        gone += throttle.allow(16_384)
    assert gone < 1_200_000


def test_a_slow_rate_goes_in_small_pieces_and_never_in_none() -> None:
    clock = Clock()
    assert always(800, clock).allow(16_384) <= 100
    assert always(1, clock).allow(16_384) == 1


def test_time_lost_to_slow_readers_is_not_saved_up_but_short_delays_are_made_good() -> None:
    clock = Clock()
    throttle = always(1_000_000, clock)
    began, gone = clock.now, 0
    while clock.now - began < 10:
        gone += throttle.allow(16_384)
        clock.now += 0.01
    assert gone == pytest.approx(10_000_000, rel=0.03)


def test_each_rate_of_a_timetable_is_kept_while_it_holds() -> None:
    clock = Clock(MONDAY.replace(hour=7, minute=59, second=50))
    throttle = throttled(bandwidth("07:00,1MB 08:00,100kB"), clock)
    began, gone = clock.now, [0] * 21
    while clock.now - began < 21:
        gone[int(clock.now - began)] += throttle.allow(16_384)
    assert sum(gone[:10]) == pytest.approx(10_000_000, rel=0.03)
    assert sum(gone[11:]) == pytest.approx(1_000_000, rel=0.03)


def test_where_a_limit_begins_what_was_let_through_without_one_is_no_credit() -> None:
    clock = Clock(MONDAY.replace(hour=7, minute=59, second=58))
    changes: list[BandwidthChanged] = []
    throttle = throttled(bandwidth("08:00,512kB 19:00,off"), clock, hear=changes.append)
    while len(changes) < 2:
        assert throttle.allow(16_384) == 16_384 or len(changes) == 2
        clock.now += 0.01
    assert clock.wall() < MONDAY.replace(hour=8, second=1)
    began, gone = clock.now, 0
    while clock.now - began < 1:
        gone += throttle.allow(16_384)
    assert gone < 600_000


@pytest.mark.parametrize("then", ["off", "1MB"])
def test_threads_that_wait_for_a_slow_turn_go_on_at_once_at_a_fast_rate(then: str) -> None:
    """A hundred threads, each of which begins to wait while the one before it waits."""
    clock = Clock(MONDAY.replace(hour=7, minute=59, second=50))
    waiting, ended = 1, list[datetime]()

    def wait(seconds: float) -> None:
        nonlocal waiting
        if waiting < 100:
            waiting += 1
            throttle.allow(16_384)
            ended.append(clock.wall())
        clock.wait(seconds)

    table = bandwidth(f"07:00,1B 08:00,{then}")
    throttle = Throttle(table, wait=wait, clock=clock, now=clock.wall)
    throttle.allow(16_384)
    assert len(ended) == 99
    assert ended[0] < MONDAY.replace(hour=8, second=1)


def test_it_is_told_which_rate_holds_at_the_start_and_once_at_each_change() -> None:
    clock = Clock(MONDAY.replace(hour=7))
    changes: list[BandwidthChanged] = []
    throttle = throttled(bandwidth("08:00,1MB 12:00,1MB 19:00,off"), clock, hear=changes.append)
    for _ in range(24 * 60):
        throttle.look()
        clock.now += 60
    assert changes == [
        BandwidthChanged(Entry(6 * 1440 + 1140, None), at_start=True),
        BandwidthChanged(Entry(480, 1_000_000), at_start=False),
        BandwidthChanged(Entry(1140, None), at_start=False),
    ]


def test_of_a_single_rate_nothing_is_told() -> None:
    clock = Clock()
    changes: list[BandwidthChanged] = []
    throttle = throttled(Timetable.always(100), clock, hear=changes.append)
    throttle.look()
    throttle.allow(1)
    assert changes == []


@pytest.mark.parametrize(
    ("begin", "changes"),
    [
        # 02:00 becomes 03:00, and what was to begin at 02:30 begins then.
        (datetime(2026, 3, 29, 1, 50, tzinfo=BERLIN), [("03:00", 1)]),
        # 03:00 becomes 02:00: the half hour before 02:30 comes twice, and so does 02:30.
        (
            datetime(2026, 10, 25, 2, 20, tzinfo=BERLIN),
            [("02:30", 1), ("02:00", None), ("02:30", 1)],
        ),
    ],
    ids=["put forward", "put back"],
)
def test_the_clock_on_the_wall_counts_where_summer_time_begins_and_ends(
    begin: datetime, changes: list[tuple[str, int | None]]
) -> None:
    clock = Clock(begin)
    heard: list[tuple[str, int | None]] = []

    def hear(change: BandwidthChanged) -> None:
        if not change.at_start:
            heard.append((f"{clock.wall():%H:%M}", change.entry.rate))

    throttle = throttled(bandwidth("02:30,1B 12:00,off"), clock, hear=hear)
    for _ in range(100):
        throttle.look()
        clock.now += 60
    assert heard == changes
