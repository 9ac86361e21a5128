"""The floor: what the machine needs at least, measured in the same run as the clients."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from harness.bench import Bench, CommandFailed, medians
from harness.servers import Server

_PROBE = Path(__file__).with_name("floor_probe.py")
PARTS = ("hash", "hash-all", "read", "send")


def command(bench: Bench, server: Server, work: str, *, path: Path, size: int) -> list[str]:
    """Return what does one of PARTS once."""
    authority = bench.certificates.authority
    words = [bench.python, _PROBE, path, size, server.port(), authority, work]
    return [str(word) for word in words]


def probe(bench: Bench, server: Server, work: str, *, path: Path, size: int) -> dict[str, float]:
    """Do one of PARTS once, in a process of its own."""
    done = subprocess.run(
        command(bench, server, work, path=path, size=size),
        capture_output=True,
        text=True,
        timeout=600,
        env=bench.environment(),
        check=False,
    )
    if done.returncode:
        raise CommandFailed(f"the floor's {work} failed: {done.stderr.strip()[-300:]}")
    record: dict[str, float] = json.loads(done.stdout)
    return record


def computed(rounds: dict[str, list[dict[str, float]]], *, size: int, cores: int) -> dict[str, Any]:
    """Return the floors, in seconds, from the medians of the probes.

    one_stream     hash and send at the same time: the longer of the two
    three_streams  all work spread evenly over the cores, at most four threads of it
    cpu            hash twice + send once, CPU seconds
    """
    parts = {work: medians(runs) for work, runs in rounds.items()}
    hashing, sending = parts["hash"]["wall_seconds"], parts["send"]["wall_seconds"]
    reading = parts["read"]["wall_seconds"]
    cpu = parts["hash"]["cpu_seconds"] + parts["send"]["cpu_seconds"]
    return {
        "parts": parts,
        "raw": rounds,
        "size": size,
        "cpu_seconds": cpu,
        "cpu_seconds_with_read": cpu + parts["read"]["cpu_seconds"],
        "one_stream_seconds": max(hashing + reading, sending),
        "three_streams_seconds": (hashing + sending) / min(cores, 4),
        "hash_all_cores_bytes_per_second": size / parts["hash-all"]["wall_seconds"],
    }
