"""What flags say of time: timetables in rclone's grammar, times of the day, durations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glacier_mpu.cli import times
from glacier_mpu.cli.times import ClockTime
from glacier_mpu.transfer.bandwidth import Timetable

DAY = 24 * 60
MB = 1_000_000


@pytest.mark.parametrize("read", [times.bandwidth, times.clock_time, times.duration])
@given(text=st.text() | st.text("0123456789:,-; MonatBhmis"))
def test_any_text_is_read_or_refused_in_one_line(read: Callable[[str], object], text: str) -> None:
    try:
        read(text)
    except ValueError as error:
        assert str(error).splitlines() == [str(error)]  # noqa: PT017 - most texts raise nothing


@pytest.mark.parametrize(("text", "rate"), [("6MB", 6 * MB), ("6 MB/s", 6 * MB), ("off", None)])
def test_a_single_rate_always_holds(text: str, rate: int | None) -> None:
    assert times.bandwidth(text) == Timetable.always(rate)


def test_an_entry_of_every_day_is_one_of_each() -> None:
    table = times.bandwidth("08:00,1MB 19:00,off")
    assert [(entry.minute, entry.rate) for entry in table.entries] == [
        (day * DAY + minute, rate) for day in range(7) for minute, rate in ((480, MB), (1140, None))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Mon-08:00,512kB Sat-00:00,off",
        "Sat-00:00,off Mon-08:00,512kB",
        "mon-08:00,512kB;saturday-00:00,off",
        " Monday-08:00,512kB  SAT-00:00,off ",
        "Mon-08:00,512kB\n\tSat-00:00,off\n",  # as a variable of a script holds it
    ],
)
def test_days_are_read_as_rclone_reads_them_and_in_any_order(text: str) -> None:
    table = times.bandwidth(text)
    assert [(entry.minute, entry.rate) for entry in table.entries] == [
        (480, 512_000),
        (5 * DAY, None),
    ]


@pytest.mark.parametrize("text", ["08:00,1MB Sat-08:00,off", "Sat-08:00,off 08:00,1MB"])
def test_at_one_time_the_entry_of_the_day_counts_and_not_that_of_every_day(text: str) -> None:
    rates = {entry.minute // DAY: entry.rate for entry in times.bandwidth(text).entries}
    assert rates == {**dict.fromkeys(range(7), MB), 5: None}


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("08:00,1MB 19:00", ["'19:00'", "no rate"]),
        ("08:00,1MB 8:30,off", ["'8:30,off'", "'8:30' is not a time"]),
        ("08:00,1MB 24:00,off", ["'24:00,off'", "not a time"]),
        ("08:00,1MB 19:60,off", ["'19:60,off'", "not a time"]),
        ("Foo-08:00,1MB", ["'Foo-08:00,1MB'", "'Foo' is not a day"]),
        ("-08:00,1MB", ["'-08:00,1MB'", "not a day"]),
        ("08:00,1", ["'08:00,1'", "'1' is not a valid rate", "50Mbit"]),
        ("08:00,", ["'08:00,'", "not a valid rate"]),
        ("08:00,Off", ["'08:00,Off'", "not a valid rate"]),
        ("08:00,1MB,off", ["'08:00,1MB,off'", "not a valid rate"]),
        ("08:00,1MB:off", ["'08:00,1MB:off'", "download"]),
        ("1MB:500kB", ["'1MB:500kB'", "download"]),
        ("08:00,1MB 08:00,2MB", ["'08:00,2MB'", "'08:00,1MB'"]),
        ("Mon-08:00,1MB monday-08:00,1MB", ["'monday-08:00,1MB'", "'Mon-08:00,1MB'"]),
        (",", ["','", "not a time"]),
        ("08:00", ["'08:00'", "not a valid rate"]),
        ("50", ["'50'", "not a valid rate", "50Mbit"]),
    ],
)
def test_a_bad_entry_is_refused_by_name(text: str, facts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"entry|not a valid rate|download") as caught:
        times.bandwidth(text)
    assert [fact for fact in facts if fact not in str(caught.value)] == []


TUESDAY = datetime(2026, 11, 24, 18, 30, 15)


@pytest.mark.parametrize(
    ("text", "now", "moment"),
    [
        ("19:00", TUESDAY, datetime(2026, 11, 24, 19)),
        ("07:00", TUESDAY, datetime(2026, 11, 25, 7)),
        ("18:30", TUESDAY, datetime(2026, 11, 24, 18, 30)),
        ("18:29", TUESDAY, datetime(2026, 11, 25, 18, 29)),
        ("Tue-19:00", TUESDAY, datetime(2026, 11, 24, 19)),
        ("Tue-07:00", TUESDAY, datetime(2026, 12, 1, 7)),
        ("sunday-00:00", TUESDAY, datetime(2026, 11, 29)),
    ],
)
def test_a_time_is_the_next_such_moment_and_in_that_minute_it_is_now(
    text: str, now: datetime, moment: datetime
) -> None:
    assert times.clock_time(text).next(now) == moment


@given(
    day=st.none() | st.integers(0, 6),
    minute=st.integers(0, DAY - 1),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
)
def test_the_next_moment_is_never_more_than_a_minute_ago_nor_more_than_its_period_away(
    day: int | None, minute: int, now: datetime
) -> None:
    moment = ClockTime(day, minute).next(now)
    assert moment.hour * 60 + moment.minute == minute
    assert day in (None, moment.weekday())
    period = timedelta(days=1 if day is None else 7)
    assert -timedelta(minutes=1) < moment - now <= period - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6h", 21600),
        ("90s", 90),
        ("30min", 1800),
        ("30m", 1800),
        ("1h30min", 5400),
        ("2d1s", 172801),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert times.duration(text) == seconds


@pytest.mark.parametrize("text", ["6", "0s", "", "h", "-1h", "1.5h", "30min1h", "1 h", "6H"])
def test_a_duration_without_a_unit_or_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="6h, 30min, 90s"):
        times.duration(text)
