"""The commands as pip, pipx and uv install them: from the wheel, in a place of their own."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from glacier_mpu import __version__
from tests.support.in_process import MIB, MakeFile
from tests.support.installed import scripts_folder
from tests.support.scripts import ROOT, VAULT, assert_nothing_secret


@pytest.fixture
def on_path(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the commands where a shell finds them."""
    scripts = scripts_folder(environment)
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
