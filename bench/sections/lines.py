"""The serial script on lines of several speeds: is it as fast as hashing or the line allow?"""

from __future__ import annotations

from statistics import median
from typing import Any

from harness import floor
from harness.bench import MIB, Bench, sparse, warm
from harness.servers import Server

MB = 1_000_000
# Long enough that starting, and hashing the first block with nothing to send yet, are a small part.
_SECONDS = 12


def run(bench: Bench) -> dict[str, Any]:
    """Compare the serial script's time with max(hash time, send time) at each rate."""
    quick = bench.options.quick
    rates = (200 * MB,) if quick else (100 * MB, 200 * MB, 400 * MB, 800 * MB)
    rounds = 1 if quick else 3
    with bench.server() as fast, bench.server(line=True) as line:
        found = [_on_line(bench, fast, line, rate, rounds) for rate in rates]
    return {"lines": found}


def _on_line(bench: Bench, fast: Server, line: Server, rate: int, rounds: int) -> dict[str, Any]:
    """Upload over one line. The time to hash and the time to send are measured in the same run."""
    size = bench.options.size if bench.options.quick else rate * _SECONDS // MIB * MIB
    file = sparse(bench.path("line"), size)
    block = bench.options.block_size // MIB
    command = bench.ours("GlacierMPU", "--source-path", file, "--blocksize", block)
    walls, hashing, sending = [], [], []
    for _ in range(rounds):
        hashing.append(floor.probe(bench, fast, "hash", path=file, size=size)["wall_seconds"])
        line.pace(rate=rate)
        sending.append(floor.probe(bench, line, "send", path=file, size=size)["wall_seconds"])
        line.pace(rate=rate)
        warm(file)
        walls.append(bench.measure(command, env=bench.environment(line))["wall_seconds"])
    file.unlink()
    record = {"hash_seconds": median(hashing), "send_seconds": median(sending)}
    wall, best = median(walls), max(record.values())
    bench.say(f"lines: {rate // MB} MB/s: {wall:.2f} s for {best:.2f} s")
    return {**record, "rate": rate, "size": size, "wall_seconds": wall, "ratio": wall / best}
