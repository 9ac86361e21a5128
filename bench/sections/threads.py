"""Rates of 1 to 16 threads and of `--threads auto` on five lines."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from typing import Any

from harness import raw_client
from harness.bench import MIB, Bench, CommandFailed, sparse
from harness.series import from_start, points, rate
from harness.servers import Server

from sections.scenarios import MB, SCENARIOS, Scenario

_TRACE = re.compile(r"slots: (\d+)(?: \(([\d.,]+) MiB/s\))?")
_CHANGED = re.compile(r"auto: .*?(\d+) (?:blocks at once|from now on)")
_TERMINATED = 143
_MOST_BLOCKS = 10_000


def run(bench: Bench) -> dict[str, Any]:
    """Check the line itself, then sweep and let auto run, on each line."""
    has_auto = bench.knows("--threads", "auto")
    if not has_auto:
        bench.say("threads: this GlacierMPUP.py has no --threads auto yet; only numbers are swept")
    with ExitStack() as stack:
        fast = stack.enter_context(bench.server())
        slow = stack.enter_context(bench.server(line=True))
        found: dict[str, Any] = {"pacing_check": _check_pacing(bench, slow)}
        found["auto"] = "" if has_auto else "skipped: --threads auto is not there"
        found["scenarios"] = [
            _scenario(bench, slow if scenario.is_paced else fast, scenario, has_auto=has_auto)
            for scenario in SCENARIOS
        ]
    return found


def _check_pacing(bench: Bench, server: Server) -> list[dict[str, float]]:
    """Compare what a raw client gets with what the line should give."""
    seconds = 1.5 if bench.options.quick else 5.0
    found = []
    lines = ((40 * MB, 8 * MB, 3), (25 * MB // 2, MB, 16), (25 * MB // 2, MB, 4))
    for total, each, connections in lines[: 2 if bench.options.quick else None]:
        server.pace(rate=total, each=each)
        raw_client.push(server, connections=connections, seconds=seconds)
        series = from_start(server.stats()["series"])
        measured = rate(series, 0.5, seconds - 0.2)
        wanted = min(total, each * connections)
        error = measured / wanted - 1
        found.append({"connections": connections, "wanted": wanted, "error": error})
        bench.say(f"threads: line of {wanted / MB:.1f} MB/s is {error:+.2%} off")
    return found


def _scenario(
    bench: Bench, server: Server, scenario: Scenario, *, has_auto: bool
) -> dict[str, Any]:
    quick = bench.options.quick
    numbers: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 10, 12, 14, 16)
    if bench.options.deep:
        numbers = tuple(range(1, 17))
    elif quick:
        numbers = (1, 4)
    longer = 1.5 if scenario.halves else 1.0
    seconds = (1.0 if quick else 7.0) * longer
    found: dict[str, Any] = {"name": scenario.name, "title": scenario.title}
    found["sweep"] = [
        _run(bench, server, scenario, threads=number, seconds=seconds) for number in numbers
    ]
    rates = [one.get("settled_rate", 0) for one in found["sweep"]]
    found["best_rate"] = max(rates)
    found["best_threads"] = numbers[rates.index(max(rates))]
    if has_auto:
        seconds = (3.0 if quick else 60.0) * longer
        if (
            not scenario.is_paced
        ):  # only noise tells such rates apart, and the highest has most of it
            number = found["best_threads"]
            again = _run(bench, server, scenario, threads=number, seconds=seconds)
            found["best_rate"] = again["settled_rate"]
        auto = _run(bench, server, scenario, threads="auto", seconds=seconds)
        found["auto"] = auto | _judged(auto, found["best_rate"])
    return found


def _judged(auto: dict[str, Any], best: float) -> dict[str, float]:
    """Set auto's rate against the best fixed number's, once it has settled and from its start.

    `seconds_to_95_percent`: so long must an upload be for auto's start to cost it less than 5 %.
    """
    if "failed" in auto or not best:
        return {}
    lost = best * auto["seconds"] - auto["bytes"]
    return {
        "settled_share": auto["settled_rate"] / best,
        "whole_share": auto["whole_rate"] / best,
        "seconds_to_95_percent": max(0.0, lost / (0.05 * best)),
    }


def _run(
    bench: Bench, server: Server, scenario: Scenario, *, threads: int | str, seconds: float
) -> dict[str, Any]:
    """Upload for so long, then interrupt; the server's own count says what got through."""
    line = scenario.line(seconds)
    server.pace(**line)
    fastest = 2.5e9 if not scenario.is_paced else scenario.rate or 16 * scenario.each
    size = min(int(fastest * seconds * 1.3), _MOST_BLOCKS * scenario.block_mib * MIB)
    file = sparse(bench.path("sparse"), size)
    words = ["--source-path", file, "--blocksize", scenario.block_mib, "--threads", threads]
    command = [word for word in bench.ours("GlacierMPUP", *words) if word != "--quiet"]
    trace: list[dict[str, float]] = []
    last_slots = 0

    def on_line(when: float, text: str) -> None:
        nonlocal last_slots
        if match := _CHANGED.search(text):
            last_slots = int(match[1])
        if match := _TRACE.search(text):
            told = float((match[2] or "0").replace(",", ""))
            trace.append({"seconds": when, "slots": int(match[1]), "rate": told * MIB})

    told: dict[str, Any] = {"threads": threads, "seconds": seconds}
    began = time.monotonic()
    try:
        record = bench.measure(
            [*command, "--verbose"],
            env=bench.environment(server),
            stop_after=seconds + 1,  # a second to start
            codes=(0, _TERMINATED),
            timeout=seconds * 3 + 30,
            on_line=on_line,
        )
    except CommandFailed as error:
        bench.say(f"threads: {scenario.name}, {threads}: {error}")
        return {**told, "failed": str(error), "settled_rate": 0}
    finally:
        file.unlink()
    stats = server.stats()
    told |= _summary(stats, scenario, threads=threads, seconds=seconds)
    told["first_byte_seconds"] = stats["series"][0][0] - began if stats["series"] else 0.0
    told |= {"trace": trace, "last_slots": last_slots, "cpu_seconds": record["cpu_seconds"]}
    bench.say(
        f"threads: {scenario.name}, {threads}: {told['settled_rate'] / MB:.1f} MB/s settled, "
        f"{told['refused']} refused, trace of {len(trace)}"
    )
    return told


def _summary(
    stats: dict[str, Any], scenario: Scenario, *, threads: int | str, seconds: float
) -> dict[str, Any]:
    series = from_start(stats["series"])
    end = min(seconds, series[-1][0]) if series else seconds
    settling = 0.6 if threads == "auto" else 0.25
    spans = scenario.windows(end, settling=settling)
    rates = [rate(series, start, stop) for start, stop in spans]
    step = max(end / 60, 0.1)
    return {
        "seconds": end,
        "bytes": rate(series, 0, end) * end,
        "whole_rate": rate(series, 0, end),
        "settled_rate": sum(rates) / len(rates),
        "settled_rates": rates,
        "refused": stats["refused"],
        "most_parallel": stats["most_parallel"],
        "rates": points(series, step=step),
    }
