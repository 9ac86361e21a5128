"""All clients side by side, in turn, round after round; the floor in the same rounds."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import floor
from measure import BENCH, MIB, Bench, Failed, Server, medians, say, scratch_file, warm

_OURS = "--vault bench --quiet --ledger none --source-path {file} --blocksize {mib}"


@dataclass(frozen=True, slots=True)
class Client:
    """A way to upload: its environment, and its command with places for what differs."""

    name: str
    title: str
    environment: str
    command: str
    streams: tuple[int, ...] = (1, 3)
    most_rounds: int = 1000

    def words(self, **places: object) -> list[str]:
        """Return the command for these places; a path with spaces stays one word."""
        return [word.format(**places) for word in self.command.split()]


CLIENTS = (
    Client("ours", "this project", "ours",
           "{python} {root}/GlacierMPU.py " + _OURS, streams=(1,)),
    Client("ours", "this project", "ours",
           "{python} {root}/GlacierMPUP.py --threads {streams} " + _OURS, streams=(3,)),
    Client("ours_auto", "this project, --threads auto", "ours",
           "{python} {root}/GlacierMPUP.py --threads auto " + _OURS, streams=(3,)),
    Client("glacier_upload", "glacier_upload (PyPI)", "glacier_upload",
           "{bench}/.venv-glacier_upload/bin/glacier upload bench {file} -d bench -p {mib} "
           "-t {streams}"),
    Client("awscli", "AWS CLI v1, split files", "awscli",
           "sh {bench}/peers/awscli.sh {bench}/.venv-awscli/bin/aws {file} {block} {streams} "
           "parts"),
    # boto 2 compares the server's name with the certificate's DNS names only.
    Client("boto2", "boto 2, as it is", "boto",
           "{bench}/.venv-boto/bin/python {bench}/peers/boto2.py {file} {block} {streams} "
           "https://localhost:{port}", most_rounds=1),
    Client("boto2_quiet", "boto 2 less a debug line", "boto",
           "{bench}/.venv-boto/bin/python {bench}/peers/boto2.py {file} {block} {streams} "
           "https://localhost:{port} --without-debug-line"),
    Client("naive", "boto3, naive script", "ours",
           "{python} {bench}/peers/naive.py {file} {block} {streams}"),
)  # fmt: skip


def run(
    bench: Bench, *, size: int, block_size: int, rounds: int, missing: dict[str, str]
) -> dict[str, Any]:
    """Measure every client whose environment is not missing, and the floor."""
    clients = [client for client in CLIENTS if client.environment not in missing]
    left_out = {c.title: missing[c.environment] for c in CLIENTS if c not in clients}
    runs: dict[str, list[dict[str, float]]] = {}
    floors: dict[str, list[dict[str, float]]] = {work: [] for work in floor.WORKS}
    with bench.server() as server, scratch_file(bench.scratch, size) as file:
        places = {"python": bench.python, "root": BENCH.parent, "bench": BENCH, "file": file,
                  "block": block_size, "mib": block_size // MIB, "port": server.port}  # fmt: skip
        for number in range(rounds):
            for work, found in floors.items():
                warm(file)
                found.append(_floor(bench, server, file, work))
            turns = [(c, n) for c in clients if number < c.most_rounds for n in c.streams]
            for client, streams in turns:
                key = f"{client.name}-{streams}"
                if key in left_out:
                    continue
                command = client.words(**places, streams=streams)
                try:
                    record = one_upload(bench, server, command, file)
                except Failed as error:
                    left_out[key] = str(error)
                    bench.trouble(f"{key}: {error}")
                    continue
                runs.setdefault(key, []).append(record)
                say(f"clients, round {number + 1} of {rounds}: {key}: {told(record)}")
    parts = {work: medians(found) for work, found in floors.items()}
    return {
        "size": size,
        "block_size": block_size,
        "titles": {client.name: client.title for client in CLIENTS},
        "left_out": left_out,
        "medians": {key: {**medians(found), "rounds": len(found)} for key, found in runs.items()},
        "floor": {"parts": parts, "bounds": floor.bounds(parts, cores=os.cpu_count() or 1)},
    }


def one_upload(
    bench: Bench, server: Server, command: Sequence[object], file: Path
) -> dict[str, float]:
    """Measure one whole upload, and the server's share. Raises Failed if bytes lack."""
    warm(file)
    server.reset()
    record = bench.measure(command, server)
    counts = server.reset()
    if counts["bytes"] < file.stat().st_size:
        raise Failed(f"only {counts['bytes']:,} bytes arrived")
    return {**record, "server_cpu_seconds": counts["cpu_seconds"]}


def told(record: dict[str, float]) -> str:
    """Return a measurement in words."""
    return (
        f"{record['wall_seconds']:.2f} s, CPU {record['cpu_seconds']:.2f} s, "
        f"{record['peak_bytes'] / MIB:.0f} MiB"
    )


def _floor(bench: Bench, server: Server, file: Path, work: str) -> dict[str, float]:
    words = [bench.python, BENCH / "floor.py", file, str(server.port), server.authority, work]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise Failed(f"the floor's {work}: {done.stderr.strip()[-300:]}")
    record: dict[str, float] = json.loads(done.stdout)
    return record


def memory(bench: Bench, *, block_size: int, threads: int) -> dict[str, Any]:
    """Measure the peak memory with a large block in each thread, and the start: `--help`."""
    size = block_size * threads
    with bench.server() as server, scratch_file(bench.scratch, size, sparse=True) as file:
        words = ["--source-path", file, "--blocksize", block_size // MIB, "--threads", threads]
        record = bench.measure(bench.script("GlacierMPUP.py", *words), server, timeout=1800)
        most = max((blocks for _, _, blocks in server.reset()["series"]), default=0)
        help_command = bench.script("GlacierMPUP.py", "--help")
        start = medians([bench.measure(help_command, server) for _ in range(10)])["wall_seconds"]
    say(f"memory: {threads} blocks, {most} at once: {told(record)}; --help: {start:.3f} s")
    return {"block_size": block_size, "threads": threads, "most_at_once": most,
            "peak_bytes": record["peak_bytes"], "help_seconds": start}  # fmt: skip
