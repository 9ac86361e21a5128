"""By which shell a line is run, and whether it sees every program of a pipeline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.source.shell import Shell, find_shell

needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")


def only(**found: str) -> Callable[[str], str | None]:
    """Return a search that finds no other programs than these."""
    return found.get


def status(shell: Shell, line: str) -> int:
    return subprocess.run(shell.invocation(line), check=False).returncode


@pytest.fixture
def modern_sh(tmp_path: Path) -> str:
    """Return a sh that knows pipefail, as that of POSIX 2024: bash by another name."""
    (tmp_path / "sh").symlink_to(shutil.which("bash") or "")
    return str(tmp_path / "sh")


@pytest.fixture
def old_sh(tmp_path: Path) -> str:
    """Return a sh that knows no option of the name."""
    path = tmp_path / "old_sh"
    path.write_text('#!/bin/sh\ncase $* in *pipefail*) exit 2 ;; esac\nexec /bin/sh "$@"\n')
    path.chmod(0o755)
    return str(path)


@needs_posix
@needs_bash
def test_bash_is_the_first_choice_and_sees_every_program_of_a_pipeline() -> None:
    bash = shutil.which("bash") or ""
    shell = find_shell(which=only(bash=bash, sh="/bin/sh"))
    assert (shell.words[0], shell.sees_pipeline) == (bash, True)
    assert (status(shell, "exit 3 | cat"), status(shell, "echo | cat >/dev/null")) == (3, 0)


@needs_posix
@needs_bash
def test_without_bash_a_sh_that_knows_pipefail_sees_every_program(modern_sh: str) -> None:
    shell = find_shell(which=only(sh=modern_sh))
    assert (shell.words[0], shell.sees_pipeline) == (modern_sh, True)
    assert status(shell, "exit 3 | cat") == 3


@needs_posix
def test_a_sh_that_does_not_know_pipefail_runs_the_line_and_is_said_to_see_the_last_program(
    old_sh: str,
) -> None:
    shell = find_shell(which=only(sh=old_sh))
    assert (shell.words[0], shell.sees_pipeline) == (old_sh, False)
    assert (status(shell, "exit 3 | cat"), status(shell, "exit 4")) == (0, 4)


def test_a_sh_that_cannot_be_asked_is_said_to_see_the_last_program_only() -> None:
    assert not find_shell(which=only(sh="/nowhere/sh"), platform="linux").sees_pipeline


def test_on_windows_cmd_gets_the_line_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMSPEC", r"C:\WINDOWS\system32\cmd.exe")
    shell = find_shell(which=only(bash="bash"), platform="win32")
    assert not shell.sees_pipeline
    line = r'"C:\Program Files\7z.exe" a "-so" x'
    assert shell.invocation(line) == rf'C:\WINDOWS\system32\cmd.exe /d /s /c "{line}"'


@pytest.mark.skipif(sys.platform != "win32", reason="Windows only")
def test_cmd_keeps_quotes_and_tells_the_exit_status() -> None:
    assert status(find_shell(), f'"{sys.executable}" -c "import sys; sys.exit(7)"') == 7
