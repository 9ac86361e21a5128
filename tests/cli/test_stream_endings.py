"""What a run of a stream says from beginning to end, and whether its next command completes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.scripts import ROOT, VAULT, Ended, run

MIB = 1 << 20
# Gives its file, and fails as long as the file `broken` is there.
COMMAND = "cat data && echo all read >&2 && test ! -e broken"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a shell of POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").write_bytes(os.urandom(3 * MIB + 5))
    (tmp_path / "broken").touch()
    return tmp_path


def upload(folder: Path, *source: str) -> Ended:
    words = ["--rehearse", "glacier", "--vault", VAULT, "--blocksize", "1", *source]
    return run("GlacierMPUP.py", *words, cwd=folder)


def test_the_command_that_is_printed_completes_the_upload_once_the_source_succeeds(
    folder: Path,
) -> None:
    ended = upload(folder, "--source-command", COMMAND)
    assert ended.code == 3, ended.err
    assert list(ended.result) == ["upload-id"]
    assert "command: all read" in ended.err
    (folder / "broken").unlink()
    *_, command = ended.err.splitlines()
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "3 blocks stored; the stream is read from its beginning" in done.stderr
    (archive,) = (folder / "glacier" / "archives").iterdir()
    assert archive.read_bytes() == (folder / "data").read_bytes()


def test_a_clean_run_of_a_quiet_command_says_nothing_though_the_command_does(folder: Path) -> None:
    (folder / "broken").unlink()
    ended = upload(folder, "--quiet", "--source-command", COMMAND)
    assert (ended.code, ended.err) == (0, "")


def test_a_quiet_run_shows_what_a_command_said_only_when_that_fails(folder: Path) -> None:
    ended = upload(folder, "--quiet", "--source-command", COMMAND)
    assert ended.code == 3
    assert "command: all read" in ended.err


def test_a_named_pipe_is_uploaded_and_said_to_hide_its_writers_failure(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"cat data > {pipe.name}"], cwd=folder):
        ended = upload(folder, "--source-path", pipe.name)
    assert ended.code == 0, ended.err
    assert f"uploading '{pipe.name}' to vault {VAULT}" in ended.err
    assert "a pipe cannot tell" in ended.err
