"""Figures written for people: sizes, rates, times, numbers of blocks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from glacier_mpu.source.blocks import MIB, Plan, as_ranges
from glacier_mpu.transfer.deadline import StopAt, StopTime


def blocks_left(numbers: Sequence[int], count: int) -> str:
    """Say which blocks have still to be sent: `57 of 72 blocks left (15-71)`."""
    return f"{len(numbers):,} of {counted(count)} left ({as_ranges(numbers)})"


def as_size(size: int) -> str:
    """Write a number of bytes for people: `60.1 MiB`."""
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.1f} {unit}" if unit != "B" else f"{size} B"
        number /= 1024
    return f"{number:.1f} TiB"


def as_limit(rate: int | None) -> str:
    """Write a limit in decimal units, as it is given: `1.25 MB/s`; None is `no limit`."""
    if rate is None:
        return "no limit"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if rate >= size:
            return f"{rate / size:.4g} {unit}/s"
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


def counted(count: int, *, kind: str = "") -> str:
    """Write a number of blocks with the word: `1 block`, `15 stored blocks`."""
    return f"{count:,} {kind}block{'s' * (count != 1)}"


def as_plan(plan: Plan) -> str:
    """Say what a file is cut into: `480 blocks of 128 MiB`."""
    return f"{counted(plan.count)} of {plan.block_size // MIB} MiB" if plan.count > 1 else "1 block"


def as_minute(moment: datetime) -> str:
    """Write a moment by this machine's time."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def as_rate(rate: float) -> str:
    """Write bytes a second for people: `5.2 MiB/s`, and KiB/s below one of them."""
    if rate < MIB:
        return f"{rate / 1024:.1f} KiB/s"
    return f"{rate / MIB:,.1f} MiB/s"
