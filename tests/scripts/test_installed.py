"""The commands as pip, pipx and uv install them: from the wheel, in a place of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from glacier_mpu import __version__
from tests.support.in_process import MIB, MakeFile
from tests.support.scripts import ROOT, VAULT, assert_nothing_secret


def ran(*words: object, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    ran(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Install the wheel without any network: what it needs is taken from the tests' environment.

    There is a space in the path, as in that of pipx on macOS.
    """
    folder = tmp_path_factory.mktemp("installed") / "Application Support"
    venv.create(folder)
    pip = [sys.executable, "-m", "pip", "--python", folder, "install", "--no-deps", "--no-index"]
    ran(*pip, wheel)
    packages = sysconfig.get_path("purelib", vars={"base": str(folder)})
    neighbours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(packages) / "of_the_tests.pth").write_text("\n".join(neighbours), encoding="utf-8")
    return folder


@pytest.fixture
def on_path(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the commands where a shell finds them."""
    scripts = Path(sysconfig.get_path("scripts", vars={"base": str(environment)}))
    monkeypatch.setenv("PATH", os.pathsep.join([str(scripts), os.environ["PATH"]]))
    return scripts


def pasted(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        line, shell=True, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert_nothing_secret(done.stdout + done.stderr)
    return done


@pytest.mark.parametrize("name", ["glacier-mpu", "glacier-mpup"])
def test_a_command_is_found_by_its_name_and_calls_itself_by_it(
    name: str, environment: Path, on_path: Path, tmp_path: Path
) -> None:
    assert pasted(f"{name} --version", tmp_path).stdout == f"{name} {__version__}\n"
    assert pasted(f"{name} --help", tmp_path).stdout.startswith(f"usage: {name} ")
    assert pasted(f"{name} --vault v", tmp_path).stderr.count(".py") == 0
    assert (environment / "share" / "man" / "man1" / f"{name}.1").is_file()


def test_the_next_command_is_the_installed_one_and_finishes_the_upload_from_anywhere(
    on_path: Path, make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(3 * MIB + 7)
    flags = f"--rehearse g --source-path {source.name} --vault {VAULT} --blocksize 1"
    begun = pasted(
        f"glacier-mpup {flags} --end 1 --finish-upload False --output json", cwd=tmp_path
    )
    assert begun.returncode == 0, begun.stderr
    command = json.loads(begun.stdout)["resumeCommand"]
    assert command == begun.stderr.splitlines()[-1]
    assert str(on_path / "glacier-mpup") in command
    assert str(on_path / "python") not in command
    finished = pasted(command, cwd=ROOT)
    assert finished.returncode == 0, finished.stderr
    (archive,) = (tmp_path / "g" / "archives").iterdir()
    assert archive.read_bytes() == source.read_bytes()


def test_the_wheel_needs_what_requirements_txt_names(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        lines = archive.read(name).decode().splitlines()
    needed = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")]
    assert needed == (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
