"""Reads rates out of the server's series of (seconds, bytes so far)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

Series = Sequence[Sequence[float]]


def from_start(series: Series) -> list[tuple[float, float]]:
    """Return the series with its first byte at 0 seconds."""
    began = series[0][0] if series else 0.0
    return [(seconds - began, size) for seconds, size in series]


def size_at(series: Series, seconds: float) -> float:
    """Return how many bytes there were at that time, on the line between two samples."""
    place = bisect_left(series, seconds, key=lambda sample: sample[0])
    if place == 0:
        return 0.0
    if place == len(series):
        return series[-1][1]
    (before, low), (after, high) = series[place - 1], series[place]
    return low + (high - low) * (seconds - before) / (after - before)


def rate(series: Series, start: float, end: float) -> float:
    """Return bytes a second between two times."""
    return (size_at(series, end) - size_at(series, start)) / (end - start)


def highest_rate(series: Series, *, window: float) -> float:
    """Return the highest rate over any such window."""
    starts = [seconds for seconds, _ in series if seconds + window <= series[-1][0]]
    return max((rate(series, start, start + window) for start in starts), default=0.0)


def points(series: Series, *, step: float) -> list[tuple[float, float]]:
    """Return (seconds, bytes a second) for each step, to be drawn."""
    found = []
    end = step
    while series and end <= series[-1][0]:
        found.append((end, rate(series, end - step, end)))
        end += step
    return found
