"""Verification on resume: all blocks are stored, and are hashed only to prove it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness import floor
from harness.bench import GIB, MIB, Bench, sparse, warm
from harness.servers import Server


def run(bench: Bench) -> dict[str, Any]:
    """Go on with uploads that lack nothing, and compare the rate with what all cores can hash."""
    size = bench.options.size if bench.options.quick else max(8 * GIB, bench.options.size)
    rounds = min(3, bench.options.rounds)
    large, small = [], []
    hashing = []
    with bench.server() as server:
        for _ in range(rounds):
            hashing.append(_hash_rate(bench, server, size))
            large.append(_seconds(bench, server, size))
            small.append(_seconds(bench, server, MIB))
    rate, start = sorted(hashing)[rounds // 2], sorted(small)[rounds // 2]
    seconds = sorted(large)[rounds // 2]
    found = {
        "size": size,
        "hash_all_cores_bytes_per_second": rate,
        "wall_seconds": seconds,
        "start_seconds": start,
        "share_of_all_cores": size / seconds / rate,
        "share_less_start": size / (seconds - start) / rate,
        "raw": {"large": large, "small": small, "hash_rate": hashing},
    }
    bench.say(f"verify: {found['share_less_start']:.0%} of what all cores can hash")
    return found


def _hash_rate(bench: Bench, server: Server, size: int) -> float:
    file = sparse(bench.path("verify"), size)
    warm(file)
    record = floor.probe(bench, server, "hash-all", path=file, size=size)
    return size / record["wall_seconds"]


def _seconds(bench: Bench, server: Server, size: int) -> float:
    """Store all blocks of a file, then time the run that verifies them and finishes."""
    file = sparse(bench.path("verify"), size)
    command = bench.ours("GlacierMPUP", "--source-path", file, "--output", "json")
    answer = bench.path("verify.json")
    _run(bench, server, [*command, "--finish-upload", "False"], answer)
    upload_id = json.loads(answer.read_text())["uploadId"]
    warm(file)  # the upload has put it out of the page cache
    seconds = _run(bench, server, [*command, f"--upload-id={upload_id}"], answer)
    told = json.loads(answer.read_text())
    if told["bytesSkipped"] != size or told["bytesSent"]:
        raise RuntimeError(f"verification sent blocks again: {told}")
    file.unlink()
    return seconds


def _run(bench: Bench, server: Server, command: list[str], answer: Path) -> float:
    with answer.open("wb") as file:
        record = bench.measure(command, env=bench.environment(server), stdout=file)
    return record["wall_seconds"]
