#!/usr/bin/env python3
"""Measures this project's uploaders beside others, on this machine alone.

The first start makes the virtual environments (bench/.venv and one for each peer), and goes on in
the first of them. Writes results.json, results.md and pictures/ next to this file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from harness import environments

BENCH = Path(__file__).resolve().parent
SECTIONS = (
    *("clients", "lines", "memory", "disk", "verify", "start"),
    *("growth", "threads", "bandwidth", "profile"),
)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def main() -> int:
    options = _parser().parse_args()
    wrong = sorted(set(options.only) - set(SECTIONS))
    if wrong:
        sys.stderr.write(f"no such section: {', '.join(wrong)}; there are {', '.join(SECTIONS)}\n")
        return 2
    if not environments.is_inside():
        sys.stderr.write("making or checking the virtual environments ...\n")
        missing = environments.prepare()
        os.environ["BENCH_MISSING"] = json.dumps(missing)
        environments.step_inside([str(BENCH / "run.py"), *sys.argv[1:]])
    if options.draw:
        return _draw(options.out)
    return _measure(options)


def _measure(options: argparse.Namespace) -> int:
    """Run the sections one after another; what one of them cannot do stops none of the others."""
    from harness import certificates
    from harness.bench import Bench, Options, machine

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and what it started ends with it
    options.scratch.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    results_path = options.out / "results.json"
    known = json.loads(results_path.read_text()) if options.only and results_path.exists() else {}
    results = {**known, "machine": machine(), "date": f"{datetime.now(timezone.utc):%Y-%m-%d}"}
    bench = Bench(
        options=Options(
            size=options.size,
            block_size=min(options.block, max(1 << 20, options.size // 4)),
            rounds=options.rounds,
            only=tuple(options.only),
            quick=options.quick or options.size < _UNITS["G"],
            deep=options.deep,
            scratch=options.scratch,
        ),
        certificates=certificates.make(options.scratch / "certificates"),
        missing=json.loads(os.environ.get("BENCH_MISSING", "{}")),
        results=results,
    )
    for name, reason in bench.missing.items():
        bench.say(f"the environment of {name} could not be made: {reason}")
    results["versions"] = {
        name: environments.versions(name)
        for name in environments.wanted()
        if name not in bench.missing
    }
    failed = []
    for name in options.only or SECTIONS:
        began = time.monotonic()
        try:
            results[name] = importlib.import_module(f"sections.{name}").run(bench)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the code says so
            results[name] = {"failed": f"{type(error).__name__}: {error}"}
            failed.append(name)
            bench.say(f"{name} FAILED: {type(error).__name__}: {error}")
        results[name]["section_seconds"] = round(time.monotonic() - began, 1)
        results_path.write_text(json.dumps(results, indent=1) + "\n")
    code = _draw(options.out)
    _tidy(options.scratch)
    return 1 if failed else code


def _draw(out: Path) -> int:
    """Make the table and the pictures, in a process of its own: matplotlib is large."""
    return subprocess.call([sys.executable, str(BENCH / "draw.py"), str(out)])


def _tidy(scratch: Path) -> None:
    """Leave nothing large behind."""
    for file in scratch.iterdir():
        if file.is_file():
            file.unlink()


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)", text.upper())
    if not match or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 256M or 2G")
    return int(match[1]) * _UNITS[match[2]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--size", type=_size, default=_size("2G"), help="of the file (default: 2G)")
    parser.add_argument("--block", type=_size, default=_size("128M"), help="default: 128M")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=[],
        metavar="SECTION,...",
        help=f"measure these anew, and keep the others' results: {', '.join(SECTIONS)}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="shorter runs; also with a --size below 1G"
    )
    parser.add_argument("--deep", action="store_true", help="every number of threads from 1 to 16")
    parser.add_argument("--draw", action="store_true", help="only draw results.json anew")
    parser.add_argument(
        "--out", type=lambda text: Path(text).resolve(), default=BENCH, help="default: bench/"
    )
    parser.add_argument(
        "--scratch",
        type=lambda text: Path(text).resolve(),
        default=BENCH / ".venv-scratch",
        help="for the files to upload, on a real disk (default: bench/.venv-scratch)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
