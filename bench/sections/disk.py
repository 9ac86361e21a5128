"""What is read from storage with a cold cache, and what is left in the page cache afterwards."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.bench import GIB, MIB, Bench, filled


def run(bench: Bench) -> dict[str, Any]:
    """Upload a file that is only on the disk, with both scripts."""
    if not hasattr(os, "posix_fadvise"):
        return {"skipped": "this platform cannot drop a file from its page cache"}
    size = max(bench.options.size, 2 * GIB) if not bench.options.quick else bench.options.size
    file = filled(bench.path("random-disk" if size != bench.options.size else "random"), size)
    found: dict[str, Any] = {"size": size, "runs": []}
    with bench.server() as server:
        for script in ("GlacierMPU", "GlacierMPUP"):
            for mib in (16, 128):
                drop(file)
                before = cached(file)
                server.pace()
                command = bench.ours(script, "--source-path", file, "--blocksize", mib)
                record: dict[str, Any] = dict(bench.measure(command, env=bench.environment(server)))
                record |= {"script": script, "block_mib": mib, "cached_bytes_before": before}
                record["cached_bytes_after"] = cached(file)
                found["runs"].append(record)
                bench.say(f"disk: {script}, {mib} MiB: {_told(record)}")
    return found


def drop(file: Path) -> None:
    """Put the file on the disk and out of the page cache."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def cached(file: Path) -> int | None:
    """Return how many bytes of the file are in the page cache; None where that cannot be told."""
    try:
        return _resident(file)
    except (OSError, AttributeError):
        return None


def _resident(file: Path) -> int:
    """Ask mincore, piece by piece, about a mapping that touches nothing."""
    mincore: Callable[..., int] = ctypes.CDLL(None, use_errno=True).mincore
    page, piece, total = mmap.PAGESIZE, 256 * MIB, 0
    size = file.stat().st_size
    with file.open("r+b") as handle:
        for start in range(0, size, piece):
            length = min(piece, size - start)
            pages = -(-length // page)
            answer = (ctypes.c_ubyte * pages)()
            with mmap.mmap(handle.fileno(), length, offset=start) as window:
                first = ctypes.c_char.from_buffer(window)
                code = mincore(ctypes.c_void_p(ctypes.addressof(first)), length, answer)
                del first  # or the mapping could not be closed
            if code:
                raise OSError(ctypes.get_errno(), "mincore")
            total += sum(flag & 1 for flag in answer) * page
    return min(total, size)


def _told(record: dict[str, Any]) -> str:
    read, left = record.get("storage_read_bytes"), record["cached_bytes_after"]
    return ", ".join(
        f"{name} " + ("unknown" if value is None else f"{value / MIB:.0f} MiB")
        for name, value in (("read from storage", read), ("still cached", left))
    )
