"""Writes results.md: what was reached, and the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from verdicts import MIB, verdicts

_GIB = 1 << 30


def report(results: dict[str, Any]) -> str:
    """Return the whole page."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: dict[str, Any]) -> Iterator[str]:
    machine = results["machine"]
    yield "# Results of the bench"
    yield ""
    yield (
        f"{results['date']}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / _GIB:.0f} GiB, {machine['system']}, Python "
        f"{machine['python']}. {_packages(results)}"
    )
    for title, table in (
        ("In short", _short(results.get("clients"))),
        ("To reach", _verdicts(results)),
        ("Clients", _clients(results.get("clients"))),
        ("The floor", _floor(results.get("clients"))),
        ("Where the CPU goes", _profile(results.get("profile"))),
        ("Memory", _memory(results.get("memory"))),
        ("Growth", _growth(results.get("growth"))),
        ("Threads", _threads(results.get("threads"))),
    ):
        rows = list(table)
        if rows:
            yield from ("", f"## {title}", "", *rows)


def _packages(results: dict[str, Any]) -> str:
    names = {"main": ("boto3", "botocore"), "boto": ("boto",)}
    told = [
        f"{package} {found[package]}"
        for environment, found in results.get("versions", {}).items()
        for package in names.get(environment, (environment.replace("_", "-"),))
        if package in found
    ]
    return ", ".join(told) + "."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _verdicts(results: dict[str, Any]) -> Iterator[str]:
    rows = [(v.number, v.promise, v.measured, v.word) for v in verdicts(results)]
    return _table(("no.", "promise", "measured", ""), rows)


def _clients(section: dict[str, Any] | None) -> Iterator[str]:
    if not section or "clients" not in section:
        return
    rows = [_client_row(key, value, section) for key, value in section["clients"].items()]
    runs = max(len(value["runs"]) for value in section["clients"].values())
    yield (
        f"{section['size'] / _GIB:g} GiB of random bytes from the page cache, blocks of "
        f"{section['block_size'] // MIB} MiB, TLS to a server on loopback that discards; medians "
        f"of up to {runs} interleaved rounds, whole processes. Memory is that of a client's "
        "largest process; the last column is the server's own CPU, which no client is charged with."
    )
    yield ""
    head = ("client", "streams", "wall s", "CPU s", "CPU s a GiB", "peak MiB", "file read")
    yield from _table((*head, "read calls", "rounds", "server CPU s"), rows)
    for name, reason in section["skipped"].items():
        yield from ("", f"`{name}` was left out: {reason}")


def _short(section: dict[str, Any] | None) -> Iterator[str]:
    """Yield the table that the README repeats: a row for each client."""
    if not section or "clients" not in section:
        return
    rows = []
    for name, title in section["titles"].items():
        one, three = (section["clients"].get(f"{name}-{n}", {}).get("median") for n in (1, 3))
        if not three:
            continue
        row = [title, f"{one['wall_seconds']:.1f}" if one else "", f"{three['wall_seconds']:.1f}"]
        row += [f"{three['cpu_seconds_per_gib']:.1f}", f"{three['peak_bytes'] / MIB:.0f}"]
        rows.append([*row, f"{three['read_bytes'] / section['size']:.1f} x"])
    head = (
        "client",
        "1 stream: wall s",
        "3 streams: wall s",
        "CPU s a GiB",
        "peak MiB",
        "file read",
    )
    yield from _table(head, rows)


def _client_row(key: str, value: dict[str, Any], section: dict[str, Any]) -> tuple[str, ...]:
    name, _, streams = key.rpartition("-")
    median = value["median"]
    read = median.get("read_bytes")
    return (
        section["titles"][name],
        streams,
        f"{median['wall_seconds']:.2f}",
        f"{median['cpu_seconds']:.2f}",
        f"{median['cpu_seconds_per_gib']:.2f}",
        f"{median['peak_bytes'] / MIB:.0f}",
        f"{read / section['size']:.2f} x" if read else "",
        f"{median['read_calls']:,.0f}" if "read_calls" in median else "",
        str(len(value["runs"])),
        f"{median['server_cpu_seconds']:.2f}",
    )


def _floor(section: dict[str, Any] | None) -> Iterator[str]:
    if not section or "floor" not in section:
        return
    floor = section["floor"]
    titles = {
        "hash": "two SHA-256 passes, one core",
        "hash-all": "read and two SHA-256 passes, all cores",
        "read": "one read from the page cache",
        "send": "one TLS send, one core",
    }
    rows = [
        (titles[name], f"{part['wall_seconds']:.2f}", f"{part['cpu_seconds']:.2f}")
        for name, part in floor["parts"].items()
    ]
    rows += [
        ("1 stream: max(read + hash, send)", f"{floor['one_stream_seconds']:.2f}", ""),
        ("3 streams: hash + send, over the cores", f"{floor['three_streams_seconds']:.2f}", ""),
    ]
    yield from _table(("work, the same size", "wall s", "CPU s"), rows)


def _profile(section: dict[str, Any] | None) -> Iterator[str]:
    if not section or "seconds" not in section:
        return
    columns = {
        "ours-3": "`GlacierMPUP.py --threads 3`",
        "hash": "two SHA-256 passes",
        "send": "one TLS send",
    }
    found = section["seconds"]
    kinds = sorted(found["ours-3"], key=found["ours-3"].get, reverse=True)
    rows = [(kind, *(f"{found[name].get(kind, 0):.2f}" for name in columns)) for kind in kinds]
    rows.append(("together", *(f"{sum(found[name].values()):.2f}" for name in columns)))
    yield "CPU seconds, by the samples of perf; one run of each, perf's own cost included."
    yield ""
    yield from _table(("in", *columns.values()), rows)


def _memory(section: dict[str, Any] | None) -> Iterator[str]:
    if not section or "cells" not in section:
        return
    rows = [
        (
            str(cell["block_mib"]),
            str(cell["threads"]),
            f"{cell['file_mib'] / 1024:g}",
            f"{cell['peak_bytes'] / MIB:.1f}" if "peak_bytes" in cell else cell["failed"],
        )
        for cell in section["cells"]
    ]
    yield from _table(("block MiB", "threads", "file GiB", "peak MiB"), rows)


def _growth(section: dict[str, Any] | None) -> Iterator[str]:
    if not section or "cells" not in section:
        return
    rows = [
        (
            f"{cell['blocks']:,}",
            *(f"{cell[f'{name}_seconds'] * 1000:.2f}" for name in ("plan", "list", "finish")),
            f"{cell['upload'].get('wall_seconds', 0):.2f}",
            f"{cell['upload'].get('peak_bytes', 0) / MIB:.1f}",
        )
        for cell in section["cells"]
    ]
    head = ("blocks of 1 MiB", "plan ms", "list ms", "finish ms", "upload s", "peak MiB")
    yield from _table(head, rows)


def _threads(section: dict[str, Any] | None) -> Iterator[str]:
    if not section or "scenarios" not in section:
        return
    for scenario in section["scenarios"]:
        yield f"{scenario['title']}, MB/s by threads:"
        yield ""
        columns = [(str(one["threads"]), one["settled_rate"]) for one in scenario["sweep"]]
        if "settled_rate" in scenario.get("auto", {}):
            columns.append(("auto", scenario["auto"]["settled_rate"]))
        rates = [f"{value / 1e6:.1f}" for _, value in columns]
        yield from _table([name for name, _ in columns], [rates])
        yield ""
