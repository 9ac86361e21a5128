"""The serial script on lines of several speeds: is it as fast as hashing or the line allow?"""

from __future__ import annotations

from statistics import median
from typing import Any

from harness import floor
from harness.bench import MIB, Bench, filled, warm

MB = 1_000_000


def run(bench: Bench) -> dict[str, Any]:
    """Compare the serial script's time with max(hash time, send time) at each rate."""
    options = bench.options
    file = filled(bench.path("random"), options.size)
    rates = (200 * MB,) if options.quick else (100 * MB, 200 * MB, 400 * MB, 800 * MB)
    command = bench.ours(
        "GlacierMPU", "--source-path", file, "--blocksize", options.block_size // MIB
    )
    found = []
    with bench.server() as server, bench.server(line=True) as line:
        hashing = median(
            floor.probe(bench, server, "hash", path=file, size=options.size)["wall_seconds"]
            for _ in range(3)
        )
        for rate in rates:
            line.pace(rate=rate)
            warm(file)
            record = bench.measure(command, env=bench.environment(line))
            best = max(hashing, options.size / rate)
            record |= {"rate": rate, "best_seconds": best, "ratio": record["wall_seconds"] / best}
            found.append(record)
            bench.say(f"lines: {rate // MB} MB/s: {record['wall_seconds']:.2f} s for {best:.2f} s")
    return {"hash_seconds": hashing, "lines": found, "size": options.size}
