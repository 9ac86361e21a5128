"""Draws clients.png and threads.png: `pictures.py FOLDER`, where results.json is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

try:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator
    from PIL import Image
except ImportError:
    print("no pictures: matplotlib is not installed")
    sys.exit(0)

_OURS, _PEER, _BLOCKS = "#0b6e4f", "#8d99ae", "#c8862a"
_GIB, _MIB = 1 << 30, 1 << 20


def main() -> None:
    """Draw each picture for which there are numbers."""
    folder = Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())
    plt.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    (folder / "pictures").mkdir(exist_ok=True)
    for name, section, draw in (("clients", "clients", clients), ("threads", "lines", threads)):
        if results.get(section):
            path = folder / "pictures" / f"{name}.png"
            draw(results[section]).savefig(path, dpi=100)
            Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)
            print(f"drawn: {path.name}")


def clients(section: dict[str, Any]) -> Any:
    """Wall time, CPU and memory of each client, 1 and 3 streams."""
    medians, floor = section["medians"], section["floor"]["bounds"]
    names = [name for name in section["titles"] if f"{name}-3" in medians]
    figure, panels = plt.subplots(
        1, 3, figsize=(11, 1.3 + 0.55 * len(names)), sharey=True, layout="constrained"
    )
    for axes, key, unit, digits, label in (
        (panels[0], "wall_seconds", 1, 1, "wall time, s"),
        (panels[1], "cpu_seconds", 1, 1, "CPU time, s"),
        (panels[2], "peak_bytes", _MIB, 0, "peak memory of the largest process, MiB"),
    ):
        for row, name in enumerate(names):
            for offset, streams in ((-0.2, 1), (0.2, 3)):
                if f"{name}-{streams}" in medians:
                    value = medians[f"{name}-{streams}"][key] / unit
                    color = _OURS if name.startswith("ours") else _PEER
                    axes.barh(row + offset, value, 0.36, color=color,
                              alpha=0.55 if streams == 1 else 1)  # fmt: skip
                    axes.annotate(f"{value:,.{digits}f}", (value, row + offset),
                                  xytext=(3, 0), textcoords="offset points",
                                  fontsize=8, va="center")  # fmt: skip
        axes.set_xlabel(label)
        axes.margins(x=0.12)
    panels[1].axvline(floor["cpu"], color="black", lw=1, ls=":")
    panels[1].annotate("hash twice, send once", (floor["cpu"], 1), fontsize=8, xytext=(4, 0),
                       xycoords=("data", "axes fraction"), textcoords="offset points")  # fmt: skip
    panels[0].set_yticks(range(len(names)), [section["titles"][name] for name in names])
    panels[0].invert_yaxis()
    shades = [Patch(color="#444444", alpha=alpha, label=label)
              for alpha, label in ((0.45, "1 stream"), (0.9, "3 streams"))]  # fmt: skip
    panels[0].legend(handles=shades, loc="lower right", frameon=False)
    figure.suptitle(
        f"{section['size'] / _GIB:g} GiB over TLS to loopback, blocks of "
        f"{section['block_size'] // _MIB} MiB: medians, whole processes"
    )
    return figure


def threads(section: dict[str, Any]) -> Any:
    """Each line: rate against threads at the left, what auto did over time at the right."""
    figure, rows = plt.subplots(
        len(section), 2, figsize=(10, 0.6 + 2.1 * len(section)), layout="constrained", squeeze=False
    )
    for (left, right), line in zip(rows, section.values(), strict=True):
        top = 1.15 * max(*line["fixed"].values(), *line["curve"]["rates"])
        _fixed(left, line, top)
        _over_time(right, line, top)
    rows[0][0].legend(loc="lower right", frameon=False)
    rows[-1][0].set_xlabel("threads")
    rows[-1][1].set_xlabel("seconds since the first byte")
    figure.suptitle("GlacierMPUP.py: fixed numbers of threads (left) and --threads auto (right)")
    return figure


def _fixed(axes: Axes, line: dict[str, Any], top: float) -> None:
    numbers = [int(number) for number in line["fixed"]]
    axes.plot(numbers, list(line["fixed"].values()), "o-", color=_PEER, label="fixed number")
    axes.axhline(line["auto"], color=_OURS, lw=1.5, label="auto, settled")
    axes.set_title(line["title"], fontsize=9, loc="left", fontweight="bold")
    axes.set_ylabel("MB/s")
    axes.set_ylim(0, top)
    axes.set_xticks(numbers)
    axes.grid(axis="y", alpha=0.3)


def _over_time(axes: Axes, line: dict[str, Any], top: float) -> None:
    curve = line["curve"]
    edges = [number * curve["step"] for number in range(len(curve["rates"]) + 1)]
    axes.stairs(curve["rates"], edges, baseline=None, color=_OURS, lw=1.3)
    axes.set_title(f"auto/best {line['auto_to_best']:.2f}", fontsize=9, loc="right")
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(0, top)
    axes.set_ylabel("MB/s", color=_OURS)
    axes.grid(axis="y", alpha=0.3)
    blocks = axes.twinx()
    blocks.spines["right"].set_visible(True)
    blocks.stairs(curve["blocks"], edges, baseline=None, color=_BLOCKS, lw=1.5)
    blocks.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    blocks.set_ylim(0, max(1, *curve["blocks"]) * 1.3)
    blocks.set_ylabel("blocks at once", color=_BLOCKS)


if __name__ == "__main__":
    main()
