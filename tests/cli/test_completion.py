"""--print-completion: the scripts are read by the real shells, and complete flags and values."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import GlacierMPUP
from tests.support.scripts import run

NAMES = pytest.mark.parametrize("name", ["glacier-mpup", "GlacierMPUP.py"])
# Asks the function that the script registered for the command, as bash does on Tab.
ASK_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$(complete -p "$1" | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""
ASK_FISH = "source $argv[1]; complete -C (string join -- ' ' $argv[2..-1])"


def script_for(shell: str, name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    with pytest.raises(SystemExit) as ended:
        GlacierMPUP.build_parser(name).parse_args(["--print-completion", shell])
    assert ended.value.code == 0
    path = folder / f"completion.{shell}"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


def said(*words: object) -> str:
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def asked_of(shell: str, script: Path) -> Callable[..., list[str]]:
    """Return what this shell offers for the last of the words."""

    def ask(*words: object) -> list[str]:
        if shell == "bash":
            lines = said("bash", "-c", ASK_BASH, "bash", script, *words)
        else:
            lines = said("fish", "--no-config", "-c", ASK_FISH, script, *words)
        return [line.partition("\t")[0] for line in lines.splitlines() if line]

    return ask


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


@NAMES
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_itself_accepts_its_script(
    shell: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs(shell)
    script = script_for(shell, name, tmp_path, capsys)
    assert f"{name}\n" in script.read_text() or f" {name} " in script.read_text()
    assert said(shell, "-n", script) == ""


@NAMES
@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_flags_values_and_paths_are_completed(
    shell: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs(shell)
    (tmp_path / "photos.zip").touch()
    (tmp_path / "phones").mkdir()
    ask = asked_of(shell, script_for(shell, name, tmp_path, capsys))
    assert set(ask(name, "--re")) >= {"--resume", "--recheck", "--region", "--receipts"}
    assert ask(name, "--resu") == ["--resume"]
    assert ask(name, "--output", "j") == ["json"]
    assert ask(name, "--finish-upload", "F") == ["False"]
    assert ask(name, "--threads", "a") == ["auto"]
    for flag in ("--source-path", "--receipts"):
        assert f"{tmp_path}/photos.zip" in ask(name, "--vault", "v", flag, f"{tmp_path}/pho")
    for flag in ("--ledger", "--rehearse", "--spool"):
        folders = ask(name, flag, f"{tmp_path}/pho")
        assert [folder.rstrip("/") for folder in folders] == [f"{tmp_path}/phones"]


def test_the_completion_of_an_unknown_shell_is_refused() -> None:
    ended = run("GlacierMPUP.py", "--print-completion", "tcsh")
    assert (ended.code, ended.out) == (2, "")
    assert "'bash', 'zsh', 'fish'" in ended.err


def test_a_completion_is_printed_by_the_script_though_the_required_flags_are_missing() -> None:
    ended = run("GlacierMPU.py", "--print-completion", "bash")
    assert (ended.code, ended.err) == (0, "")
    assert "--source-path" in ended.out
    assert "--threads" not in ended.out
