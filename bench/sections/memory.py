"""Peak memory of our parallel script: for each block size, number of threads, number of blocks."""

from __future__ import annotations

from typing import Any

from harness.bench import GIB, MIB, Bench, CommandFailed, sparse
from harness.servers import Server

_LIMIT_SECONDS = 600


def run(bench: Bench) -> dict[str, Any]:
    """Upload sparse files whose blocks fill all threads at least once."""
    options = bench.options
    largest = 64 if options.quick else 4096
    sizes = [mib for mib in (1, 4, 16, 64, 256, 1024, 4096) if mib <= largest]
    cells = [(mib, 3, 4 * mib) for mib in sizes]  # three on their way, one being hashed
    threads = (1, 16) if options.quick else (1, 2, 4, 8, 16)
    middle = 16 if options.quick else 64
    cells += [(middle, count, (count + 1) * middle) for count in threads]
    if not options.quick:
        cells += [(4096, 16, 17 * 4096)]
    found = []
    with bench.server() as server:
        for block, count, total in cells:
            found.append(one(bench, server, block=block, threads=count, total=total))
    return {"cells": found, "largest_bytes": max(cell.get("peak_bytes", 0) for cell in found)}


def one(bench: Bench, server: Server, *, block: int, threads: int, total: int) -> dict[str, Any]:
    """Upload `total` MiB in blocks of `block` MiB."""
    server.pace()
    file = sparse(bench.path("sparse"), total * MIB)
    command = bench.ours("GlacierMPUP", "--source-path", file, "--blocksize", block)
    told = {"block_mib": block, "threads": threads, "file_mib": total, "blocks": -(-total // block)}
    try:
        record = bench.measure(
            [*command, "--threads", str(threads)],
            env=bench.environment(server),
            timeout=_LIMIT_SECONDS,
        )
    except CommandFailed as error:
        bench.say(f"memory: {error}")
        return {**told, "failed": str(error)}
    finally:
        file.unlink()
    parallel = server.stats()["most_parallel"]
    bench.say(
        f"memory: blocks of {block} MiB, {threads} threads ({parallel} at once), "
        f"{total * MIB / GIB:.1f} GiB: {record['peak_bytes'] / MIB:.1f} MiB, "
        f"{record['wall_seconds']:.1f} s"
    )
    return {**told, **record, "most_parallel": parallel}
