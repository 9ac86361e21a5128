"""The bench's virtual environments: one for the bench and this project, one for each peer."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
REQUIREMENTS = BENCH / "requirements.txt"
_MARK = "# venv:"
_STAMP = "bench-requirements"


def folder(name: str) -> Path:
    """Return where the environment of this name is."""
    return BENCH / (".venv" if name == "main" else f".venv-{name}")


def executable(name: str, program: str = "python") -> Path:
    """Return a program of this environment; it is there once `prepare` has made it."""
    return folder(name) / "bin" / program


def wanted() -> dict[str, list[str]]:
    """Return the requirement lines of each environment, by its name."""
    found: dict[str, list[str]] = {}
    name = "main"
    for line in REQUIREMENTS.read_text().splitlines():
        if line.startswith(_MARK):
            name = line.removeprefix(_MARK).split()[0]
        elif line.strip() and not line.startswith("#"):
            found.setdefault(name, []).append(line)
    return found


def prepare() -> dict[str, str]:
    """Make the environments that are not there yet; return why some could not be, by their name.

    Raises RuntimeError if the bench's own could not be made.
    """
    wants = wanted()
    with ThreadPoolExecutor(len(wants)) as pool:
        reasons = dict(zip(wants, pool.map(_make, wants, wants.values()), strict=True))
    if reasons["main"]:
        raise RuntimeError(f"the bench's own environment cannot be made: {reasons['main']}")
    return {name: reason for name, reason in reasons.items() if reason}


def _make(name: str, lines: list[str]) -> str:
    """Make one environment, if it is not there as wanted; return why it could not be, or ''."""
    stamp = folder(name) / _STAMP
    own = (BENCH.parent / "requirements.txt").read_text() if name == "main" else ""
    state = hashlib.sha256("\n".join([sys.version, own, *lines]).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == state:
        return ""
    list_file = folder(name).with_suffix(f"{folder(name).suffix}.txt")
    list_file.write_text("\n".join(lines) + "\n")  # beside the requirements: -r is relative
    python = str(executable(name))
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(folder(name))],
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(list_file)],
    )
    try:
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                return (done.stderr.strip() or done.stdout.strip() or "no reason given")[-400:]
    except OSError as error:
        return str(error)
    finally:
        list_file.unlink(missing_ok=True)
    stamp.write_text(state)
    return ""


def is_inside() -> bool:
    """Tell whether this process already runs in the bench's own environment."""
    return Path(sys.prefix).resolve() == folder("main").resolve()


def step_inside(arguments: list[str]) -> None:
    """Run the bench again, in its own environment, in place of this process."""
    python = str(executable("main"))
    os.execv(python, [python, *arguments])


def versions(name: str) -> dict[str, str]:
    """Return the packages of an environment and their versions."""
    listing = subprocess.run(
        [executable(name), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in listing.stdout.splitlines() if "==" in line]
    return dict(line.split("==", 1) for line in lines)
