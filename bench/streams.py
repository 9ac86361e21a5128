"""A stream beside the same file by its path, in turn: speed, memory, and what lies in the spool."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from clients import one_upload, told
from measure import MIB, Bench, say, scratch_file

_THREADS = 3
_SECONDS_BETWEEN_LOOKS = 0.05


def run(bench: Bench, *, size: int, block_size: int, rounds: int) -> dict[str, Any]:
    """Upload the file by its path and through a pipe, in turn, and the one that was second first.

    `pace` is the median of what a round's time by path was of its time through the pipe: 1 is as
    fast. The spool lies in the scratch folder.
    """
    runs: dict[str, list[dict[str, float]]] = {"path": [], "pipe": []}
    with bench.server() as server, scratch_file(bench.scratch, size) as file:
        words = ["--blocksize", block_size // MIB, "--threads", _THREADS]
        by_path = bench.script("GlacierMPUP.py", "--source-path", file, *words)
        spool = ["--source-path", "-", "--spool", bench.scratch]
        by_pipe = bench.script("GlacierMPUP.py", *spool, *words)
        commands = {"path": by_path, "pipe": ["sh", "-c", 'cat "$0" | "$@"', file, *by_pipe]}
        for number in range(rounds + 1):  # the first is not counted
            for way in sorted(commands, reverse=bool(number % 2)):
                with _spool_watched(bench.scratch) as most:
                    record = one_upload(bench, server, commands[way], file)
                record["spool_bytes"] = most[0]
                say(f"streams, round {number} of {rounds}: {way}: {told(record)}")
                if number:
                    runs[way].append(record)
    ratios = [
        path["wall_seconds"] / pipe["wall_seconds"]
        for path, pipe in zip(runs["path"], runs["pipe"], strict=True)
    ]
    return {
        "size": size,
        "block_size": block_size,
        "threads": _THREADS,
        "pace": round(median(ratios), 3),
        "paces": [round(ratio, 3) for ratio in sorted(ratios)],
        "wall_seconds": {way: median(r["wall_seconds"] for r in runs[way]) for way in runs},
        "cpu_seconds": {way: median(r["cpu_seconds"] for r in runs[way]) for way in runs},
        "peak_bytes": max(record["peak_bytes"] for record in runs["pipe"]),
        "spool_bytes": max(record["spool_bytes"] for record in runs["pipe"]),
    }


@contextmanager
def _spool_watched(folder: Path) -> Iterator[list[int]]:
    """Yield a list that holds the most that lay in the folder's spool at one moment, in bytes.

    Its files have no names: they are found as open files of processes.
    """
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.is_set():
            most[0] = max(most[0], sum(_spooled(folder).values()))
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def _spooled(spool: Path) -> dict[int, int]:
    """Return the size of each file of a spool, by its inode."""
    sizes = {}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            for entry in os.scandir(folder):
                with suppress(OSError):
                    target = os.readlink(entry.path)
                    if target.startswith(f"{spool}/") and target.endswith(" (deleted)"):
                        status = os.stat(entry.path)
                        sizes[status.st_ino] = status.st_size
    return sizes
