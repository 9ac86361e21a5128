"""Five lines that `--threads auto` has to find its way on, beside fixed numbers of threads."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from measure import MIB, Bench, Failed, Server, say, scratch_file

_MB = 1_000_000
_NUMBERS = (1, 2, 3, 4, 6, 8, 12, 16)
_MOST_BLOCKS = 10_000
_UNLIMITED = 2.5e9  # bytes a second that no machine reaches here
_POINTS = 60

Series = Sequence[tuple[float, int, int]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A line; rates in bytes a second, 0 for no limit. `halves`: midway, to half of `rate`."""

    name: str
    title: str
    block_mib: int
    rate: int = 0
    each: int = 0
    most_parallel: int = 0
    halves: bool = False

    def windows(self, seconds: float, *, settling: float) -> list[tuple[float, float]]:
        """Return the spans to judge a run by: all of it, or each half, less its first part."""
        span = seconds / 2 if self.halves else seconds
        starts = (0, span) if self.halves else (0,)
        return [(start + settling * span, start + span) for start in starts]


SCENARIOS = (
    Scenario("mbit100", "100 Mbit/s in all, 1 MB/s a connection", 2, rate=25 * _MB // 2, each=_MB),
    Scenario("mb40", "40 MB/s in all, 8 MB/s a connection", 4, rate=40 * _MB, each=8 * _MB),
    Scenario("unlimited", "no limit", 16),
    Scenario("halving", "40 MB/s in all, midway 20 MB/s, 8 MB/s a connection", 4,
             rate=40 * _MB, each=8 * _MB, halves=True),
    Scenario("refusing", "4 MB/s a connection, 408 above 6", 4, each=4 * _MB, most_parallel=6),
)  # fmt: skip


def run(bench: Bench, names: Sequence[str], *, seconds: float) -> dict[str, Any]:
    """Measure these lines, with so many seconds for auto, and an eighth of it for a number."""
    found = {}
    for scenario in SCENARIOS:
        if scenario.name in names:
            try:
                found[scenario.name] = _measured(bench, scenario, seconds)
            except Failed as error:
                bench.trouble(f"line {scenario.name}: {error}")
    return found


def _measured(bench: Bench, scenario: Scenario, seconds: float) -> dict[str, Any]:
    longer = 1.5 if scenario.halves else 1.0
    short, long = max(2.0, seconds / 8) * longer, seconds * longer
    numbers = _NUMBERS if seconds >= 20 else (1, 4)
    is_paced = bool(scenario.rate or scenario.each)
    with bench.server(narrow=is_paced) as server:
        fixed = {n: _upload(bench, server, scenario, n, short)["settled"] for n in numbers}
        best_threads, best = max(fixed.items(), key=lambda item: item[1])
        if not is_paced:
            # Only noise tells such numbers apart, and the best of many has most luck: once more.
            best = _upload(bench, server, scenario, best_threads, long)["settled"]
        auto = _upload(bench, server, scenario, "auto", long)
    return {
        "title": scenario.title,
        "fixed": {str(number): round(rate / _MB, 2) for number, rate in fixed.items()},
        "best_threads": best_threads,
        "best": round(best / _MB, 2),
        "auto": round(auto["settled"] / _MB, 2),
        "auto_to_best": round(auto["settled"] / best, 3),
        "whole_to_best": round(auto["whole"] / best, 3),
        "seconds": auto["seconds"],
        "curve": auto["curve"],
    }


def _upload(
    bench: Bench, server: Server, scenario: Scenario, threads: int | str, seconds: float
) -> dict[str, Any]:
    """Upload for so long, then interrupt; the server's own count says what got through."""
    server.reset({
        "rate": scenario.rate, "each": scenario.each, "most_parallel": scenario.most_parallel,
        "halves_after": seconds / 2 if scenario.halves else 0,
    })  # fmt: skip
    fastest = scenario.rate or 32 * scenario.each or _UNLIMITED
    size = min(int(fastest * seconds * 1.3), _MOST_BLOCKS * scenario.block_mib * MIB)
    with scratch_file(bench.scratch, size, sparse=True) as file:
        words = ["--source-path", file, "--blocksize", scenario.block_mib, "--threads", threads]
        command = bench.script("GlacierMPUP.py", *words)
        bench.measure(command, server, stop_after=seconds + 1, timeout=seconds * 3 + 30)
    counts = server.reset()
    series: Series = [(0.0, 0, 0), *counts["series"]]
    end = min(seconds, series[-1][0])
    if end < seconds / 2:
        raise Failed(f"{threads} threads sent for {end:.1f} s only")
    spans = scenario.windows(end, settling=0.6 if threads == "auto" else 0.25)
    settled = sum(_rate(series, *span) for span in spans) / len(spans)
    rate, refused = f"{settled / _MB:.1f} MB/s settled", f"{counts['refused']} blocks refused"
    say(f"line {scenario.name}, {threads} threads: {rate}, {refused}")
    whole, curve = _rate(series, 0, end), _curve(series, end)
    return {"settled": settled, "whole": whole, "seconds": round(end, 1), "curve": curve}


def _bytes_at(series: Series, seconds: float) -> float:
    """Return how many bytes there were at that time, on the line between two samples."""
    place = bisect_left(series, seconds, key=lambda sample: sample[0])
    if place in (0, len(series)):
        return series[min(place, len(series) - 1)][1]
    (before, low, _), (after, high, _) = series[place - 1], series[place]
    return low + (high - low) * (seconds - before) / (after - before)


def _rate(series: Series, start: float, end: float) -> float:
    """Return bytes a second between two times."""
    return (_bytes_at(series, end) - _bytes_at(series, start)) / (end - start)


def _curve(series: Series, end: float) -> dict[str, Any]:
    """Return MB/s and the most blocks at once in each of some equal steps, to be drawn."""
    step = end / _POINTS
    spans = [(number * step, (number + 1) * step) for number in range(_POINTS)]
    rates = [round(_rate(series, *span) / _MB, 1) for span in spans]
    blocks = [max((most for when, _, most in series if start < when <= stop), default=0)
              for start, stop in spans]  # fmt: skip
    return {"step": round(step, 3), "rates": rates, "blocks": blocks}
