"""The bench's virtual environments: one for this project, one for each peer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import BENCH, ROOT, Failed

_MARK = "# venv:"
_TOLD = ("boto3", "botocore", "glacier-upload", "awscli", "boto")


def executable(name: str, program: str = "python") -> Path:
    """Return a program of this environment; it is there once `prepare` has made it."""
    return BENCH / f".venv-{name}" / "bin" / program


def wanted() -> dict[str, list[str]]:
    """Return the requirement lines of each environment, by its name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (BENCH / "requirements.txt").read_text().splitlines():
        if line.startswith(_MARK):
            name = line.removeprefix(_MARK).split()[0]
        elif line and not line.startswith("#"):
            found.setdefault(name, []).append(line)
    return found


def prepare(names: Iterable[str]) -> dict[str, str]:
    """Make the environments that are not there yet; return why some could not be, by their name.

    Raises Failed if the one of this project could not be made.
    """
    wants = {name: lines for name, lines in wanted().items() if name in names}
    with ThreadPoolExecutor(len(wants)) as pool:
        reasons = dict(zip(wants, pool.map(_make, wants, wants.values()), strict=True))
    if reasons.get("ours"):
        raise Failed(f"this project's own environment cannot be made: {reasons['ours']}")
    return {name: reason for name, reason in reasons.items() if reason}


def _make(name: str, lines: list[str]) -> str:
    """Make one environment, if it is not there as wanted; return why it could not be, or ''."""
    folder = BENCH / f".venv-{name}"
    stamp = folder / "bench-requirements"
    own = (ROOT / "requirements.txt").read_text() if name == "ours" else ""
    state = "\n".join([sys.version, own, *lines])
    if stamp.exists() and stamp.read_text() == state:
        return ""
    words = [word for line in lines for word in line.split()]
    for step in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(executable(name)), "-m", "pip", "install", "-q", *words],
    ):
        done = subprocess.run(step, cwd=BENCH, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip() or done.stdout.strip() or "no reason given")[-400:]
    stamp.write_text(state)
    return ""


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of what is compared; of boto3, this project's."""
    found: dict[str, str] = {}
    for name in names:
        words = [executable(name), "-m", "pip", "freeze"]
        listing = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        packages = dict(line.split("==") for line in listing.splitlines() if "==" in line)
        found = {told: packages[told] for told in _TOLD if told in packages} | found
    return found
