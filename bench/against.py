"""This checkout against another one of the same project: the ratios of wall time and CPU."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from clients import one_upload, told
from measure import MIB, ROOT, Bench, say, scratch_file

_SCRIPTS: dict[str, tuple[object, ...]] = {
    "GlacierMPU.py": (),
    "GlacierMPUP.py": ("--threads", 3),
}


def run(bench: Bench, other: Path, *, size: int, block_size: int, rounds: int) -> None:
    """Let both checkouts take turns, and print the medians of the ratios this/other.

    A ratio is that of two neighbours in time, so that a machine that slows down does not show in
    it; and the one that was second goes first in the next round. What a checkout's first upload
    costs more, when Python compiles it, counts for neither.
    """
    ratios: dict[tuple[str, str], list[float]] = {}
    with bench.server() as server, scratch_file(bench.scratch, size) as file:
        for number in range(rounds + 1):
            for name, words in _SCRIPTS.items():
                records = [{}, {}]
                for place in (0, 1) if number % 2 else (1, 0):
                    what = ("--source-path", file, "--blocksize", block_size // MIB, *words)
                    command = bench.script(name, *what, checkout=(ROOT, other)[place])
                    records[place] = one_upload(bench, server, command, file)
                which = f"round {number}" if number else "not counted"
                say(f"{which}: {name}: {' against '.join(map(told, records))}")
                for key in ("wall_seconds", "cpu_seconds") if number else ():
                    ratio = records[0][key] / records[1][key]
                    ratios.setdefault((name, key), []).append(ratio)
    print(f"this/other, medians of {rounds} rounds (least to most):")
    for (name, key), found in ratios.items():
        spread = f"({min(found):.3f} to {max(found):.3f})"
        print(f"{name:<15} {key:<12} {median(found):.3f}  {spread}")
