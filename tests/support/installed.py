"""The project installed as users install it, without any network."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.support.scripts import ROOT


def ran(*words: object, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_environment(folder: Path) -> None:
    """Make a virtual environment in which packages are found that the tests' own has."""
    venv.create(folder)
    packages = sysconfig.get_path("purelib", vars={"base": str(folder)})
    neighbours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(packages) / "of_the_tests.pth").write_text("\n".join(neighbours), encoding="utf-8")


def install(wheel: Path, folder: Path) -> None:
    """Install a wheel into an environment."""
    pip = [sys.executable, "-m", "pip", "--python", folder, "install", "--no-deps", "--no-index"]
    ran(*pip, wheel)


def scripts_folder(environment: Path) -> Path:
    """Return the folder of an environment's commands."""
    return Path(sysconfig.get_path("scripts", vars={"base": str(environment)}))
