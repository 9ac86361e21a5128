"""How long it takes to be there: --help, and a rehearsal of one byte."""

from __future__ import annotations

import shutil
from typing import Any

from harness.bench import Bench, medians, sparse


def run(bench: Bench) -> dict[str, Any]:
    """Take medians of ten, the two in turn."""
    rounds = 3 if bench.options.quick else 10
    tiny = sparse(bench.path("tiny"), 1)
    folder = bench.path("rehearsal")
    commands = {
        "help": bench.ours("GlacierMPUP", "--help"),
        "rehearsal": bench.ours("GlacierMPUP", "--rehearse", folder, "--source-path", tiny),
    }
    raw: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            raw[name].append(bench.measure(command, env=bench.environment()))
        shutil.rmtree(folder, ignore_errors=True)
    found = {name: {"median": medians(runs), "runs": runs} for name, runs in raw.items()}
    for name, result in found.items():
        bench.say(f"start: {name}: {result['median']['wall_seconds']:.3f} s")
    return found
