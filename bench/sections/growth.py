"""What grows with the number of blocks: planning, listing, finishing, whole uploads, memory."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from harness.bench import MIB, ROOT, Bench, CommandFailed, sparse
from harness.servers import Server

from sections import memory

_PROBE = Path(__file__).with_name("growth_probe.py")
_MOST_BLOCKS, _LARGEST_BLOCK = 10_000, 4096 * MIB
_39_TIB = 39 << 40


def run(bench: Bench) -> dict[str, Any]:
    """Do it with 100, 1,000 and 10,000 blocks."""
    counts = (10, 100) if bench.options.quick else (100, 1_000, 10_000)
    cells = []
    with bench.server() as server:
        for blocks in counts:
            cell = _probe(bench, server, blocks)
            bench.say(f"growth: {blocks} blocks: {cell}")
            upload = memory.one(bench, server, block=1, threads=3, total=blocks)
            cells.append({"blocks": blocks, **cell, "upload": upload})
    return {"cells": cells, "plan_39_tib": _plan_39_tib(bench)}


def _probe(bench: Bench, server: Server, blocks: int) -> dict[str, Any]:
    """Take the best of three of each: they are short."""
    runs = []
    for _ in range(3):
        upload_id = server.claim(parts=blocks, part_size=MIB)
        runs.append(_call(bench, server.url(tls=False), upload_id, blocks, MIB, server))
    return {name: min(run[name] for run in runs) for name in runs[0]}


def _call(
    bench: Bench, url: str, upload_id: str, blocks: int, block_size: int, server: Server | None
) -> dict[str, float]:
    words = [bench.python, _PROBE, ROOT, url, upload_id, blocks, block_size]
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=300,
        env=bench.environment(server, tls=False),
        check=False,
    )
    if done.returncode:
        raise CommandFailed(f"the growth probe failed: {done.stderr.strip()[-300:]}")
    record: dict[str, float] = json.loads(done.stdout)
    return record


def _plan_39_tib(bench: Bench) -> dict[str, Any]:
    """Time the largest plan in its process, and as a dry run where a file may be that large."""
    blocks = _39_TIB // _LARGEST_BLOCK
    found: dict[str, Any] = _call(bench, "", "", blocks, _LARGEST_BLOCK, None)
    for folder in (bench.options.scratch, Path("/dev/shm")):
        file = folder / "bench-39-tib"
        try:
            sparse(file, _39_TIB)
            command = bench.ours("GlacierMPUP", "--dry-run", "--source-path", file)
            found["dry_run"] = bench.measure(command, env=bench.environment())
        except OSError as error:
            found["dry_run_skipped"] = f"no such large file can be made here: {error.strerror}"
        else:
            found.pop("dry_run_skipped", None)
            break
        finally:
            file.unlink(missing_ok=True)
    bench.say(f"growth: the plan of 39 TiB takes {found['plan_seconds'] * 1000:.1f} ms")
    return found
