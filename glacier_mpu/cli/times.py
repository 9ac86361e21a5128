"""What flags say of time: rates by the clock, times of the day, durations. Pure, as `values` is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from glacier_mpu.cli.values import rate
from glacier_mpu.transfer.bandwidth import MINUTES_A_DAY, Timetable

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY_NUMBERS = {
    name: number for number, day in enumerate(DAYS) for name in (day.lower(), day[:3].lower())
}
_DURATION = re.compile(
    r"(?:(?P<days>\d{1,6})d)?(?:(?P<hours>\d{1,6})h)?"
    r"(?:(?P<minutes>\d{1,6})m(?:in)?)?(?:(?P<seconds>\d{1,6})s)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A minute of every day, or of one day of the week; day 0 is Monday."""

    day: int | None
    minute: int

    def next(self, now: datetime) -> datetime:
        """Return when it next begins, or began if `now` is in this very minute."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        days = 0 if self.day is None else (self.day - now.weekday()) % 7
        moment = midnight + timedelta(days=days, minutes=self.minute)
        if now >= moment + timedelta(minutes=1):
            moment += timedelta(days=1 if self.day is None else 7)
        return moment


def bandwidth(text: str) -> Timetable:
    """Read a rate such as 6MB, `off`, or a timetable such as `08:00,1MB Sat-00:00,off`.

    The grammar is that of rclone's --bwlimit. At a time for which there is an entry of one day and
    one of every day, that of the day counts.
    """
    if "," not in text:
        return Timetable.always(_limit(text))
    entries: dict[ClockTime, str] = {}
    for entry in text.replace(";", " ").split():
        time = _entry_time(entry)
        if time in entries:
            raise ValueError(f"entry {entry[:40]!r} has the time of {entries[time][:40]!r}")
        entries[time] = entry
    rates: dict[int, int | None] = {}
    for time in sorted(entries, key=lambda time: time.day is not None):
        for day in range(7) if time.day is None else [time.day]:
            rates[day * MINUTES_A_DAY + time.minute] = _entry_limit(entries[time])
    return Timetable.of(rates)


def clock_time(text: str) -> ClockTime:
    """Read a time such as 07:00 or Sat-07:00."""
    day, hyphen, time = text.rpartition("-")
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", time, re.ASCII):
        raise ValueError(f"{text[:40]!r} is not a time; write it as 07:00 or Sat-07:00")
    if hyphen and day.lower() not in _DAY_NUMBERS:
        raise ValueError(f"{day[:40]!r} is not a day of the week; write it as Mon, Tue ... Sun")
    minute = int(time[:2]) * 60 + int(time[3:])
    return ClockTime(_DAY_NUMBERS[day.lower()] if hyphen else None, minute)


def duration(text: str) -> float:
    """Read a duration such as 6h, 30min or 1h30min, and return it in seconds."""
    match = _DURATION.fullmatch(text)
    parts = {unit: int(count) for unit, count in match.groupdict("0").items()} if match else {}
    seconds = timedelta(**parts).total_seconds()
    if not seconds:
        raise ValueError(f"{text[:40]!r} is not a duration; write it as 6h, 30min, 90s or 1h30min")
    return seconds


def _entry_time(entry: str) -> ClockTime:
    time, comma, _ = entry.partition(",")
    if not comma:
        raise ValueError(f"entry {entry[:40]!r} has no rate; write it as 08:00,RATE")
    try:
        return clock_time(time)
    except ValueError as error:
        raise ValueError(f"entry {entry[:40]!r}: {error}") from error


def _entry_limit(entry: str) -> int | None:
    try:
        return _limit(entry.partition(",")[2])
    except ValueError as error:
        raise ValueError(f"entry {entry[:40]!r}: {error}") from error


def _limit(text: str) -> int | None:
    """Read a rate; None is `off`."""
    if text == "off":
        return None
    upload, colon, download = text.partition(":")
    if colon and re.search(r"[A-Za-z]", upload + download):
        raise ValueError(f"{text[:40]!r} also limits a download, and there is none; write one rate")
    return rate(text)
