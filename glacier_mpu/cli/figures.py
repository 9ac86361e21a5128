"""Figures written for people: sizes, rates, times. Pure."""

from __future__ import annotations

from glacier_mpu.transfer.deadline import StopAt, StopTime


def as_size(size: int) -> str:
    """Write a number of bytes for people: `60.1 MiB`."""
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.1f} {unit}" if unit != "B" else f"{size} B"
        number /= 1024
    return f"{number:.1f} TiB"


def as_limit(rate: int | None) -> str:
    """Write a limit in decimal units, as it is given: `1.0 MB/s`; None is `no limit`."""
    if rate is None:
        return "no limit"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if rate >= size:
            return f"{rate / size:.1f} {unit}/s"
    return f"{rate} B/s"


def as_stop_time(stop_time: StopTime) -> str:
    """Write when a run is to stop: `at 07:00`, or `after 6:00:00`."""
    if isinstance(stop_time, StopAt):
        return f"at {stop_time.moment:%H:%M}"
    return f"after {as_duration(stop_time.seconds)}"


def as_duration(seconds: float) -> str:
    """Write a time for people: `3:05:09`, with days in front where there are any."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hour}:{minute:02}:{second:02}"
