"""Draws what was measured, with matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

MIB = 1 << 20
_OURS, _PEER, _PALE = "#0b6e4f", "#8d99ae", "#d9a441"


def draw(results: dict[str, Any], folder: Path) -> Iterator[Path]:
    """Draw each picture for which there are numbers."""
    plt.rcParams |= {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    painters: dict[str, Callable[[dict[str, Any]], Any]] = {
        "clients": _clients,
        "memory": _memory,
        "threads": _threads,
    }
    for name, paint in painters.items():
        section = results.get(name)
        if not section or "failed" in section:
            continue
        figure = paint(section)
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=120)
        plt.close(figure)
        yield path


def _clients(section: dict[str, Any]) -> Any:
    """Wall and CPU of each client, 1 and 3 streams side by side."""
    found = section["clients"]
    names = [name for name in section["titles"] if any(key.startswith(f"{name}-") for key in found)]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 1.4 + 0.75 * len(names)), sharey=True, layout="constrained"
    )
    floor = section["floor"]
    _bars(left, section, names, "wall_seconds", "wall time, s")
    _bars(right, section, names, "cpu_seconds", "CPU time of the client, s")
    right.axvline(floor["cpu_seconds"], color="black", lw=1, ls=":")
    label = "hash twice, send once"
    right.annotate(label, (floor["cpu_seconds"], -0.62), ha="left", fontsize=8, xytext=(4, 0),
                   textcoords="offset points", annotation_clip=False)  # fmt: skip
    left.set_yticks(range(len(names)), [section["titles"][name] for name in names])
    left.invert_yaxis()
    right.legend(loc="lower right", frameon=False)
    figure.suptitle(
        f"{section['size'] / (1 << 30):g} GiB over TLS to loopback, blocks of "
        f"{section['block_size'] // MIB} MiB: medians, whole processes"
    )
    return figure


def _bars(axes: Axes, section: dict[str, Any], names: list[str], key: str, label: str) -> None:
    for offset, streams in ((-0.2, 1), (0.2, 3)):
        for row, name in enumerate(names):
            client = section["clients"].get(f"{name}-{streams}")
            if not client:
                continue
            value = client["median"][key]
            color = _OURS if name.startswith("ours") else _PEER
            legend = f"{streams} stream{'s' if streams > 1 else ''}" if name == "naive" else None
            axes.barh(row + offset, value, 0.36, color=color, alpha=0.6 if streams == 1 else 1,
                      label=legend)  # fmt: skip
            axes.annotate(f"{value:.1f}", (value, row + offset), va="center", fontsize=8,
                          xytext=(3, 0), textcoords="offset points")  # fmt: skip
    axes.set_xlabel(label)
    axes.margins(x=0.1)


def _memory(section: dict[str, Any]) -> Any:
    """Peak memory against block size, and against threads."""
    cells = [cell for cell in section["cells"] if "peak_bytes" in cell]
    middle = _middle_block(cells)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    by_block = [cell for cell in cells if cell["threads"] == 3]
    by_threads = [cell for cell in cells if cell["block_mib"] == middle and cell["threads"] != 3]
    _curve(left, [(cell["block_mib"], cell["peak_bytes"] / MIB) for cell in by_block])
    left.set_xscale("log", base=2)
    left.set_xlabel("block size, MiB (3 threads)")
    left.set_ylabel("peak memory, MiB")
    _curve(right, [(cell["threads"], cell["peak_bytes"] / MIB) for cell in by_threads])
    right.set_xlabel(f"threads (blocks of {middle} MiB)")
    for axes, values in (
        (left, [cell["block_mib"] for cell in by_block]),
        (right, [cell["threads"] for cell in by_threads]),
    ):
        axes.xaxis.set_major_locator(FixedLocator(values))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.axhline(80, color="black", lw=1, ls=":")
        axes.annotate("80 MiB, the promise", (values[0], 80), fontsize=8, xytext=(0, 4),
                      textcoords="offset points")  # fmt: skip
        axes.grid(axis="y", alpha=0.3)
    left.set_ylim(0, max(100, *(cell["peak_bytes"] / MIB * 1.1 for cell in cells)))
    figure.suptitle("Peak memory of GlacierMPUP.py")
    return figure


def _middle_block(cells: list[dict[str, Any]]) -> int:
    """Return the block size that was measured with the most numbers of threads."""
    sizes = [cell["block_mib"] for cell in cells if cell["threads"] != 3]
    return max(set(sizes), key=sizes.count)


def _curve(axes: Axes, points: list[tuple[float, float]]) -> None:
    points = sorted(points)
    axes.plot([x for x, _ in points], [y for _, y in points], "o-", color=_OURS)
    for x, y in points:
        axes.annotate(f"{y:.0f}", (x, y), ha="center", fontsize=8, xytext=(0, -14),
                      textcoords="offset points")  # fmt: skip


def _threads(section: dict[str, Any]) -> Any:
    """Each line: rate against threads at the left, what auto did over time at the right."""
    scenarios = section["scenarios"]
    figure, rows = plt.subplots(
        len(scenarios), 2, figsize=(11, 2.9 * len(scenarios)), layout="constrained", squeeze=False
    )
    for (left, right), scenario in zip(rows, scenarios, strict=True):
        _sweep(left, scenario)
        _trace(right, scenario)
    rows[-1][0].set_xlabel("threads")
    rows[-1][1].set_xlabel("seconds since the first byte")
    figure.suptitle("GlacierMPUP.py: fixed numbers of threads (left), and --threads auto (right)")
    return figure


def _sweep(axes: Axes, scenario: dict[str, Any]) -> None:
    points = [(one["threads"], one["settled_rate"] / 1e6) for one in scenario["sweep"]]
    axes.plot([x for x, _ in points], [y for _, y in points], "o-", color=_PEER, label="fixed")
    auto = scenario.get("auto", {})
    highest = max(y for _, y in points)
    if "settled_rate" in auto:
        highest = max(highest, auto["settled_rate"] / 1e6)
        axes.axhline(auto["settled_rate"] / 1e6, color=_OURS, lw=2, label="auto, settled")
        axes.legend(loc="best", fontsize=8)
    axes.set_title(scenario["title"], fontsize=10, loc="left")
    axes.set_ylabel("MB/s")
    axes.set_ylim(bottom=0, top=1.25 * highest or 1)
    axes.set_xticks([x for x, _ in points])
    axes.grid(axis="y", alpha=0.3)


def _trace(axes: Axes, scenario: dict[str, Any]) -> None:
    auto = scenario.get("auto", {})
    if "rates" not in auto:
        axes.axis("off")
        axes.text(0.5, 0.5, "auto was not measured", ha="center", transform=axes.transAxes)
        return
    end = auto["seconds"]
    rates = [(when, size / 1e6) for when, size in auto["rates"] if when <= end]
    axes.plot([when for when, _ in rates], [size for _, size in rates], color=_OURS, lw=1.3)
    axes.set_xlim(0, end)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("MB/s", color=_OURS)
    axes.grid(axis="y", alpha=0.3)
    if not auto["trace"]:
        return
    slots = axes.twinx()
    slots.spines["right"].set_visible(True)
    begin = auto["first_byte_seconds"]
    times = [max(0.0, one["seconds"] - begin) for one in auto["trace"]]
    counts = [one["slots"] for one in auto["trace"]]
    # Each line of the trace is about the time that ends with it; the last number, about the rest.
    times, counts = [0.0, *times, end], [counts[0], *counts, auto["last_slots"] or counts[-1]]
    slots.step(times, counts, where="pre", color=_PALE, lw=1.8)
    slots.yaxis.set_major_locator(MaxNLocator(integer=True))
    slots.set_ylim(0, max(counts) * 1.3)
    slots.set_ylabel("threads", color=_PALE)
