"""The numbers of issue 4's "To reach", from the results: what was reached, never asserted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MIB = 1 << 20
GIB = 1 << 30
PEERS = ("glacier_upload", "awscli", "boto2", "boto2_quiet")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise; `met` is None where it could not be judged."""

    number: str
    promise: str
    measured: str
    met: bool | None

    @property
    def word(self) -> str:
        """The verdict in words."""
        return {True: "met", False: "not met", None: "not judged"}[self.met]


def verdicts(results: dict[str, Any]) -> list[Verdict]:
    """Return a verdict on each number that was measured."""
    found: list[Verdict] = []
    for name, judge in _JUDGES.items():
        reason = _why_not(results.get(name))
        if reason:
            found.append(Verdict("-", name, reason, None))
        else:
            found.extend(judge(results[name]))
    return found


def _why_not(section: dict[str, Any] | None) -> str:
    """Return why a section cannot be judged, or nothing. (Peers that are skipped are a table.)"""
    if not section:
        return "not measured"
    skipped = section.get("skipped")
    return str(section.get("failed") or (skipped if isinstance(skipped, str) else ""))


def wall(section: dict[str, Any], key: str) -> float | None:
    """Return a client's median wall time, if it ran."""
    client = section["clients"].get(key)
    return client["median"]["wall_seconds"] if client else None


def best_peer(section: dict[str, Any], streams: int) -> tuple[str, float] | None:
    """Return the fastest peer with so many streams, and its time."""
    times = {name: wall(section, f"{name}-{streams}") for name in PEERS}
    ran = {name: seconds for name, seconds in times.items() if seconds}
    return min(ran.items(), key=lambda item: item[1]) if ran else None


def _clients(section: dict[str, Any]) -> Iterator[Verdict]:
    floor = section["floor"]
    for number, streams, wanted in (("1", 1, 2.0), ("2", 3, 1.5)):
        ours, best = wall(section, f"ours-{streams}"), best_peer(section, streams)
        if ours and best:
            ratio = best[1] / ours
            measured = f"{ratio:.2f} times ({ours:.2f} s against {best[1]:.2f} s of {best[0]})"
            promise = f"{streams} stream(s): at least {wanted} times as fast as the best peer"
            yield Verdict(number, promise, measured, ratio >= wanted)
    yield from _against_the_floor(section, floor)
    ours, auto = wall(section, "ours-3"), wall(section, "ours_auto-3")
    if ours and auto:
        promise = "auto costs a small file at most 5 % more than --threads 3"
        yield Verdict(
            "auto", promise, f"{auto / ours - 1:+.1%} ({auto:.2f} s)", auto <= ours * 1.05
        )
    ours_cpu = section["clients"].get("ours-3")
    if ours_cpu:
        cpu = ours_cpu["median"]["cpu_seconds"]
        ratio, per_gib = cpu / floor["cpu_seconds"], ours_cpu["median"]["cpu_seconds_per_gib"]
        measured = f"{ratio:.2f} times ({cpu:.2f} s against {floor['cpu_seconds']:.2f} s)"
        promise = "CPU at most 1.35 times two SHA-256 passes and one TLS send"
        yield Verdict("3", promise, measured, ratio <= 1.35)
        floor_per_gib = floor["cpu_seconds"] * GIB / section["size"]
        promise = "CPU at most 1.9 s a GiB on a machine where those take 1.41 s"
        measured = f"{per_gib:.2f} s a GiB; here they take {floor_per_gib:.2f} s"
        yield Verdict("3", promise, measured, None)


def _against_the_floor(section: dict[str, Any], floor: dict[str, Any]) -> Iterator[Verdict]:
    serial, parallel = wall(section, "ours-1"), wall(section, "ours-3")
    if serial:
        share = serial / floor["one_stream_seconds"]
        measured = f"{share:.2f} times ({serial:.2f} s, whole process, against "
        measured += f"{floor['one_stream_seconds']:.2f} s)"
        promise = "1 stream: within 10 % of max(hash, send), unlimited line"
        yield Verdict("1", promise, measured, share <= 1.10)
    if parallel:
        share = floor["three_streams_seconds"] / parallel
        measured = f"{share:.0%} (whole process; floor {floor['three_streams_seconds']:.2f} s)"
        yield Verdict("2", "3 streams: at least 85 % of the floor", measured, share >= 0.85)
        server = section["clients"]["ours-3"]["median"]["server_cpu_seconds"]
        cores = section.get("cores", 1)
        floor_and_server = floor["three_streams_seconds"] + server / cores
        share = floor_and_server / parallel
        measured = f"{share:.0%} (floor {floor_and_server:.2f} s)"
        promise = "the same, with the server's own CPU in the floor: for information"
        yield Verdict("2", promise, measured, None)


def _lines(section: dict[str, Any]) -> Iterator[Verdict]:
    for line in section["lines"]:
        measured = f"{line['ratio']:.2f} times ({line['wall_seconds']:.2f} s; hash "
        measured += f"{line['hash_seconds']:.2f} s, send {line['send_seconds']:.2f} s)"
        promise = f"1 stream: within 10 % of max(hash, send) at {line['rate'] / 1e6:.0f} MB/s"
        yield Verdict("1", promise, measured, line["ratio"] <= 1.10)


def _memory(section: dict[str, Any]) -> Iterator[Verdict]:
    largest = section["largest_bytes"] / MIB
    cells = section["cells"]
    span = f"{min(c['block_mib'] for c in cells)} to {max(c['block_mib'] for c in cells)} MiB"
    promise = f"memory at most 80 MiB, blocks of {span}, up to 16 threads"
    failed = any("failed" in cell for cell in cells)
    yield Verdict("4", promise, f"{largest:.1f} MiB", None if failed else largest <= 80)


def _disk(section: dict[str, Any]) -> Iterator[Verdict]:
    size = section["size"]
    for run in section["runs"]:
        name = f"{run['script']}, {run['block_mib']} MiB blocks"
        read, left = run.get("storage_read_bytes"), run["cached_bytes_after"]
        if read is not None:
            measured, met = f"{read / size:.3f} times", read <= size * 1.005
            yield Verdict("5", f"{name}: storage is read once", measured, met)
        if left is not None:
            measured, met = f"{left / MIB:.0f} MiB", left <= 300 * MIB
            yield Verdict("5", f"{name}: at most 300 MiB still cached", measured, met)


def _verify(section: dict[str, Any]) -> Iterator[Verdict]:
    share = section["share_less_start"]
    measured = f"{share:.0%} ({section['share_of_all_cores']:.0%} with start)"
    promise = "verification at 90 % of what all cores can hash"
    yield Verdict("5", promise, measured, share >= 0.90)


def _start(section: dict[str, Any]) -> Iterator[Verdict]:
    for name, limit in (("help", 0.15), ("rehearsal", 1.0)):
        seconds = section[name]["median"]["wall_seconds"]
        title = {"help": "--help", "rehearsal": "a 1-byte rehearsal"}[name]
        yield Verdict("6", f"{title} in under {limit} s", f"{seconds:.3f} s", seconds < limit)


def _growth(section: dict[str, Any]) -> Iterator[Verdict]:
    cells = section["cells"]
    for name in ("plan", "list", "finish"):
        each = [cell[f"{name}_seconds"] / cell["blocks"] * 1e6 for cell in cells]
        told = ", ".join(f"{value:.1f}" for value in each)
        # Linear is: a block costs no more among many than among few.
        met = each[-1] <= each[0] * 1.25
        yield Verdict("7", f"{name} is linear in the blocks", f"{told} µs a block", met)
    peaks = [cell["upload"].get("peak_bytes") for cell in cells]
    if all(peaks):
        told = ", ".join(f"{peak / MIB:.1f}" for peak in peaks)
        measured = f"{told} MiB for {', '.join(str(cell['blocks']) for cell in cells)} blocks"
        met = peaks[-1] <= peaks[0] * 1.10
        yield Verdict("4", "memory is flat: 10,000 blocks cost no more than 100", measured, met)
    seconds = section["plan_39_tib"]["plan_seconds"]
    measured = f"{seconds * 1000:.1f} ms"
    yield Verdict("7", "the plan of 39 TiB in under 0.1 s", measured, seconds < 0.1)


def _threads(section: dict[str, Any]) -> Iterator[Verdict]:
    for scenario in section["scenarios"]:
        best = f"best is {scenario['best_threads']} with {scenario['best_rate'] / 1e6:.1f} MB/s"
        promise = f"auto at 95 % of the best fixed number: {scenario['title']}"
        auto = scenario.get("auto", {})
        if "settled_share" not in auto:
            yield Verdict("auto", promise, f"{best}; {section['auto'] or 'failed'}", None)
            continue
        measured = (
            f"{auto['settled_share']:.0%} once settled, {auto['whole_share']:.0%} of the whole "
            f"{auto['seconds']:.0f} s, 95 % from {auto['seconds_to_95_percent']:.0f} s on; {best}"
        )
        yield Verdict("auto", promise, measured, auto["settled_share"] >= 0.95)


def _bandwidth(section: dict[str, Any]) -> Iterator[Verdict]:
    for run in section["runs"]:
        name = f"--max-bandwidth {run['asked']}"
        over = f"{section['seconds']:.0f} s"
        met = abs(run["error"]) <= 0.03
        yield Verdict("rate", f"{name}: within 3 % over {over}", f"{run['error']:+.2%}", met)
        highest = run["highest_share_of_a_second"]
        measured = f"{highest:.2f} times the rate in the fastest second"
        yield Verdict("rate", f"{name}: no bursts over 1 s", measured, highest <= 1.10)


_JUDGES = {
    "clients": _clients,
    "lines": _lines,
    "memory": _memory,
    "disk": _disk,
    "verify": _verify,
    "start": _start,
    "growth": _growth,
    "threads": _threads,
    "bandwidth": _bandwidth,
}
