"""When nothing more begins, and when what is on its way then is cut. The test moves the clocks."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from glacier_mpu.transfer.deadline import Deadline, StopAfter, StopAt, StopTime

SEVEN = datetime(2026, 11, 24, 7)
BERLIN = ZoneInfo("Europe/Berlin")


class Day:
    """A deadline and the two clocks that it looks at: the wall's, and one that stops in sleep."""

    def __init__(self, stop_time: StopTime | None, wall: datetime = SEVEN) -> None:
        self.wall = wall
        self.awake = 1000.0
        self.deadline = Deadline(
            stop_time,
            finish_seconds=900,
            line_seconds=30,
            clock=lambda: self.awake,
            now=lambda: self.wall,
        )

    def passes(self, seconds: float) -> bool:
        """Let time go by, and tell whether the stop time came in it."""
        self.awake += seconds
        self.wall += timedelta(seconds=seconds)
        return self.deadline.begins()

    def sleeps(self, seconds: float) -> bool:
        self.wall += timedelta(seconds=seconds)
        return self.deadline.begins()


def test_without_a_stop_time_none_comes() -> None:
    day = Day(None)
    assert not day.passes(10**7)
    assert not day.deadline.is_over
    assert not day.deadline.cuts(line_is_down=True)


def test_a_stop_time_comes_once_and_stays() -> None:
    day = Day(StopAt(SEVEN + timedelta(seconds=60)))
    assert not day.passes(59)
    assert not day.deadline.is_over
    assert day.passes(1)
    assert not day.passes(1)
    assert day.deadline.is_over


def test_a_time_of_the_day_counts_sleep_and_a_duration_does_not() -> None:
    assert Day(StopAt(SEVEN + timedelta(hours=6))).sleeps(6 * 3600)
    day = Day(StopAfter(6 * 3600))
    assert not day.sleeps(6 * 3600)
    assert day.passes(6 * 3600)


def test_a_clock_that_is_put_back_begins_nothing_again() -> None:
    day = Day(StopAt(SEVEN))
    assert day.passes(0)
    day.wall -= timedelta(hours=1)
    assert day.deadline.is_over


@pytest.mark.parametrize(
    ("before", "after"), [((3, 29, 1), (3, 29, 3)), ((10, 25, 1), (10, 25, 2))]
)
def test_a_time_that_summer_time_skips_or_repeats_comes_as_soon_as_the_wall_shows_it(
    before: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    begin = datetime(2026, *before, 50, tzinfo=BERLIN).timestamp()
    seconds = 0
    stop_at = StopAt(datetime(2026, *before[:2], 2, 0))
    deadline = Deadline(
        stop_at,
        finish_seconds=0,
        line_seconds=0,
        now=lambda: datetime.fromtimestamp(begin + seconds, BERLIN).replace(tzinfo=None),
    )
    while not deadline.begins():
        seconds += 60
    assert seconds == 600
    assert datetime.fromtimestamp(begin + seconds, BERLIN).hour == after[2]


def test_what_is_on_its_way_has_its_time_and_is_then_cut() -> None:
    day = Day(StopAfter(10))
    assert day.passes(10)
    assert not day.deadline.cuts(line_is_down=False)
    day.passes(899)
    assert not day.deadline.cuts(line_is_down=False)
    day.passes(1)
    assert day.deadline.cuts(line_is_down=False)


def test_on_a_dead_line_it_is_cut_after_one_more_try_however_long_it_was_dead_before() -> None:
    day = Day(StopAfter(10))
    assert not day.deadline.cuts(line_is_down=True)
    assert day.passes(10)
    assert not day.deadline.cuts(line_is_down=True)
    day.passes(29)
    assert not day.deadline.cuts(line_is_down=True)
    assert not day.deadline.cuts(line_is_down=False)
    day.passes(29)
    assert not day.deadline.cuts(line_is_down=True)
    day.passes(1)
    assert day.deadline.cuts(line_is_down=True)
