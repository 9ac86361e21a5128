"""Where the CPU goes, by the samples of perf: our parallel script beside its floor."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from typing import Any

from harness import floor
from harness.bench import MIB, Bench, CommandFailed, filled, warm

_SAMPLES_A_SECOND = 999
_ROW = re.compile(r"^\s*[\d.]+%\s+(\d+)\s+(\S+)")
# What a library is in the table, by a part of its name; the first that fits.
_KINDS = {
    "libcrypto": "libcrypto: SHA-256, AES",
    "libssl": "libssl",
    "kernel": "the kernel: reading, sending",
    "python": "Python",
}
REST = "the rest"


def run(bench: Bench) -> dict[str, Any]:
    """Take samples of one run of each. Without perf, or the leave to use it, say so."""
    perf = shutil.which("perf")
    if perf is None:
        return {"skipped": "there is no perf on this machine"}
    options = bench.options
    file = filled(bench.path("random"), options.size)
    block = options.block_size // MIB
    ours = bench.ours("GlacierMPUP", "--source-path", file, "--blocksize", block, "--threads", 3)
    found = {}
    try:
        with bench.server() as server:
            floors = [
                floor.command(bench, server, work, path=file, size=options.size)
                for work in ("hash", "send")
            ]
            for name, command in zip(("ours-3", "hash", "send"), (ours, *floors), strict=True):
                warm(file)
                server.pace()
                found[name] = _sampled(bench, perf, command, env=bench.environment(server))
    except CommandFailed as error:
        return {"skipped": f"perf cannot be used: {error}"}
    bench.say(f"profile: {found['ours-3']}")
    return {"seconds": found, "size": options.size}


def _sampled(bench: Bench, perf: str, command: list[str], *, env: dict[str, str]) -> dict[str, Any]:
    """Return the CPU seconds that a command spent in each kind of library."""
    data = bench.path("perf.data")
    rate = str(_SAMPLES_A_SECOND)
    bench.measure([perf, "record", "-q", "-F", rate, "-o", str(data), "--", *command], env=env)
    told = subprocess.run(
        [perf, "report", "-i", str(data), "--stdio", "--no-children", "-s", "dso", "-n"],
        capture_output=True,
        text=True,
        check=False,
    )
    seconds: Counter[str] = Counter()
    for row in map(_ROW.match, told.stdout.splitlines()):
        if row:
            seconds[_kind(row[2])] += int(row[1]) / _SAMPLES_A_SECOND
    return dict(seconds)


def _kind(library: str) -> str:
    return next((kind for part, kind in _KINDS.items() if part in library), REST)
