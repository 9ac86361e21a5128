#!/usr/bin/env python3
"""Measures this project's two scripts beside other uploaders, on this machine alone.

The first start makes virtual environments, bench/.venv-*. Writes results.json, results.md and
pictures/ next to this file. See bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import against
import clients
import environments
import lines
import report
import streams
from measure import BENCH, GIB, MIB, Bench, Failed, machine, say

SECTIONS = ("clients", "memory", "lines", "streams")
_PEERS = ("glacier_upload", "awscli", "boto")
_LINES = tuple(scenario.name for scenario in lines.SCENARIOS)


def main() -> int:
    """Do what the command line asks for; return 1 if anything broke."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and what was started ends with it
    with tempfile.TemporaryDirectory() as temporary:
        if options.smoke:  # it proves that all works; the numbers mean nothing
            options.size, options.block, options.rounds = 32 * MIB, 8 * MIB, 1
            options.only, options.lines, options.seconds = SECTIONS, ("mb40",), 4
            options.out = options.scratch = Path(temporary)
        options.scratch.mkdir(parents=True, exist_ok=True)
        options.out.mkdir(parents=True, exist_ok=True)
        try:
            return _run(options)
        except Failed as error:
            say(f"FAILED: {error}")
            return 1


def _run(options: argparse.Namespace) -> int:
    bench = Bench(python=sys.executable, scratch=options.scratch)
    measured = () if options.against or options.draw else options.only
    peers = _PEERS if "clients" in measured else ()
    missing = dict.fromkeys(_PEERS, "not asked for")
    if not options.smoke:
        say("making or checking the virtual environments")
        missing = environments.prepare(("ours", *peers))
        bench.python = str(environments.executable("ours"))
    size, block = options.size, min(options.block, max(MIB, options.size // 4))
    if options.against:
        against.run(bench, options.against, size=size, block_size=block, rounds=options.rounds)
        return 0
    path = options.out / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    if not options.draw:
        results |= {"date": f"{datetime.now(timezone.utc):%Y-%m-%d}", "machine": machine()}
        made = [] if options.smoke else [name for name in ("ours", *peers) if name not in missing]
        results["versions"] = results.get("versions", {}) | environments.versions(made)
    if "clients" in measured:
        results["clients"] = clients.run(
            bench, size=size, block_size=block, rounds=options.rounds, missing=missing
        )
    if "memory" in measured:
        results["memory"] = clients.memory(
            bench, block_size=4 * GIB if size >= GIB else block, threads=16
        )
    if "lines" in measured:
        found = lines.run(bench, options.lines, seconds=options.seconds)
        results["lines"] = results.get("lines", {}) | found
    if "streams" in measured:
        results["streams"] = streams.run(
            bench, size=size, block_size=min(256 * MIB, block), rounds=options.rounds
        )
        print(json.dumps(results["streams"], indent=1))
    report.write(results, options.out)
    code = subprocess.call([bench.python, str(BENCH / "pictures.py"), str(options.out)])
    print((options.out / "results.md").read_text())
    return 1 if bench.troubles or code else 0


def _size(text: str) -> int:
    """Read a size such as 256M or 2G."""
    return int(text[:-1]) << (20, 30)["MG".index(text[-1:])]


def _folder(text: str) -> Path:
    return Path(text).resolve()


def _checkout(text: str) -> Path:
    folder = _folder(text)
    if not (folder / "GlacierMPUP.py").exists():
        raise argparse.ArgumentTypeError(f"there is no GlacierMPUP.py in {text}")
    return folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--size", type=_size, default=2 * GIB, help="of the file (default: 2G)")
    add("--block", type=_size, default=128 * MIB, help="default: 128M")
    add("--rounds", type=int, default=5, help="default: 5")
    add("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="keep the other results")
    add("--lines", nargs="+", choices=_LINES, default=_LINES, help="keep the other lines' results")
    add("--seconds", type=float, default=60, help="of auto on each line (default: 60)")
    add("--against", type=_checkout, metavar="CHECKOUT",
        help="only compare with another checkout of this project, in turn")  # fmt: skip
    add("--smoke", action="store_true",
        help="only prove that it works: tiny, without peers, in this interpreter")  # fmt: skip
    add("--draw", action="store_true", help="only draw results.json anew")
    add("--out", type=_folder, default=BENCH, help="for the results (default: bench/)")
    add("--scratch", type=_folder, default=BENCH / ".venv-scratch",
        help="for the files to upload, on a real disk (default: bench/.venv-scratch)")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
