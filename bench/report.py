"""Writes results.json, with medians only, and results.md: the table, and what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from measure import GIB, MIB


def write(results: dict[str, Any], folder: Path) -> None:
    """Write both files."""
    text = json.dumps(results, indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
    (folder / "results.json").write_text(text + "\n")
    (folder / "results.md").write_text("\n".join(_lines(results)) + "\n")


def _lines(results: dict[str, Any]) -> Iterator[str]:
    machine = results["machine"]
    packages = {"Python": machine["python"], **results["versions"]}
    yield from ("# Results of the bench", "")
    yield (
        f"{results['date']}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / GIB:.0f} GiB, {machine['system']}; "
        f"{', '.join(' '.join(item) for item in packages.items())}."
    )
    if "clients" in results:
        yield from ("", "## In short", "", *_clients(results["clients"]))
        yield from ("", "## The floor", "", *_floor(results["clients"]))
    if "memory" in results:
        found = results["memory"]
        yield from ("", "## Memory and start", "")
        yield (
            f"{found['threads']} threads with blocks of {found['block_size'] // MIB:,} MiB need "
            f"{found['peak_bytes'] / MIB:.0f} MiB. `--help` takes {found['help_seconds']:.3f} s."
        )
    if "lines" in results:
        yield from ("", "## Lines for `--threads auto`", "", *_auto(results["lines"]))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _clients(section: dict[str, Any]) -> Iterator[str]:
    """Yield the table that docs/bench.md repeats: a row for each client, mostly of 3 streams."""
    rows = []
    for name, title in section["titles"].items():
        one, three = (section["medians"].get(f"{name}-{streams}") for streams in (1, 3))
        if three:
            cpu = three["cpu_seconds"] * GIB / section["size"]
            row = [title, f"{one['wall_seconds']:.1f}" if one else ""]
            row += [f"{three['wall_seconds']:.1f}", f"{cpu:.1f}"]
            row += [f"{three['peak_bytes'] / MIB:.0f}"]
            rows.append([*row, f"{three['read_bytes'] / section['size']:.1f} x"])
    head = "client", "1 stream: wall s", "3 streams: wall s", "CPU s a GiB", "peak MiB", "file read"
    yield from _table(head, rows)


def _floor(section: dict[str, Any]) -> Iterator[str]:
    floor, medians = section["floor"], section["medians"]
    wall = {work: f"{part['wall_seconds']:.2f} s" for work, part in floor["parts"].items()}
    yield (
        f"The same {section['size'] / GIB:g} GiB, each by itself on one core: two SHA-256 passes "
        f"{wall['hash']}, one read from the page cache {wall['read']}, one TLS send "
        f"{wall['send']}; read and two passes on all cores {wall['hash-all']}."
    )
    yield ""
    for streams in (1, 3):
        if ours := medians.get(f"ours-{streams}"):
            wall, cpu = ours["wall_seconds"], ours["cpu_seconds"]
            least, least_cpu = floor["bounds"][str(streams)], floor["bounds"]["cpu"]
            yield (
                f"- This project, {streams} at once: {wall:.2f} s, {wall / least:.2f} times the "
                f"floor of {least:.2f} s; CPU {cpu:.2f} s, {cpu / least_cpu:.2f} times the floor "
                f"of {least_cpu:.2f} s; beside it the server's {ours['server_cpu_seconds']:.2f} s."
            )
    for name, reason in section["left_out"].items():
        yield f"- {name} was left out: {reason}"


def _auto(section: dict[str, Any]) -> Iterator[str]:
    rows = []
    for line in section.values():
        row = [line["title"], f"{line['best']:.1f} with {line['best_threads']}"]
        row += [f"{line['auto']:.1f}", f"{line['auto_to_best']:.2f}"]
        rows.append([*row, f"{line['whole_to_best']:.2f} in {line['seconds']:.0f} s"])
    head = "line", "best number: MB/s", "auto, settled: MB/s", "auto/best", "with its start"
    yield from _table(head, rows)
