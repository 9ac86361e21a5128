"""A day of two users, each from the installation to the receipt: with a terminal, and with cron."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, REGION, SECRET_KEY
from tests.support import faults
from tests.support.faults import FOREVER, Fault, HoldBack
from tests.support.in_process import MIB, MakeFile, assert_one_intact_archive, glacier, handler_of
from tests.support.installed import make_environment, scripts_folder
from tests.support.screen import CTRL_C, Screen, screen_of
from tests.support.scripts import ROOT, VAULT

PART = "UploadMultipartPart"
SLOW = faults.slow(seconds=0.7, when="before")


def home(folder: Path) -> dict[str, str]:
    """Return the environment of a user who has run `aws configure`."""
    (folder / ".aws").mkdir()
    (folder / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    (folder / ".aws" / "config").write_text(f"[default]\nregion = {REGION}\n")
    return {"HOME": str(folder), "PATH": "/usr/bin:/bin"}


def receipt_of(file: Path, server: RehearsalServer) -> dict[str, object]:
    """Return the one receipt, which must name the one archive that is stored."""
    (line,) = file.read_text().splitlines()
    receipt = json.loads(line)
    assert isinstance(receipt, dict)
    assert [path.name for path in (server.folder / "archives").iterdir()] == [receipt["archiveId"]]
    return receipt


class Terminal:
    """A shell on a screen, into which a person types."""

    def __init__(self, screen: Screen, *, folder: Path, environment: dict[str, str]) -> None:
        self._screen = screen
        self._entered = 0
        self.shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            cwd=folder,
            env=environment | {"PS1": "$ ", "TERM": "xterm"},
            stdin=screen.tty,
            stdout=screen.tty,
            stderr=screen.tty,
            start_new_session=True,
            preexec_fn=screen.take_over,
        )

    def enter(self, line: str) -> None:
        """Type a line; what stood on the screen before goes."""
        self._entered += 1
        typed = f'clear; {line}; echo "exit code $? of {self._entered}"\n'
        self._screen.press(typed.encode())

    def result(self, *, code: int) -> str:
        """Return what stands there once the command has ended, which must be with this code."""
        ended = re.compile(rf"exit code (\d+) of {self._entered}")
        self._screen.wait(lambda screen: ended.search(screen.text) is not None)
        assert ended.findall(self._screen.text) == [str(code)]
        return self._screen.text


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_photographer_installs_looks_uploads_interrupts_pastes_and_has_a_receipt(
    environment: Path, make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(8 * MIB + 5, "Fotos 2024 & Süden.zip")
    shell = home(tmp_path) | {"LC_ALL": "C.UTF-8"}
    shell["PATH"] = f"{scripts_folder(environment)}:{shell['PATH']}"
    hold = HoldBack(drops=True)
    held = Fault(PART, hold, times=FOREVER, after=3)
    with glacier(tmp_path / "g", held) as server, screen_of(80) as screen:
        terminal = Terminal(screen, folder=tmp_path, environment=shell)
        upload = f"glacier-mpup --resume --source-path '{source.name}' --vault {VAULT}"
        upload += f" --blocksize 1 --receipts receipts.jsonl --endpoint-url {server.endpoint_url}"
        try:
            terminal.enter(f"{upload} --dry-run")
            assert "requests: 11 " in terminal.result(code=0)
            assert handler_of(server).calls == []

            terminal.enter(upload)
            screen.wait(lambda screen: re.search(r"\d\d%\|.* 3/9", screen.text) is not None)
            screen.press(CTRL_C)
            stopped = terminal.result(code=130)
            hold.opened.set()
            assert "stored so far: 3 of 9 blocks" in stopped
            assert not (tmp_path / "receipts.jsonl").read_text()
            (command,) = re.findall(r"to resume, run: +(.*?) +exit code", stopped)

            handler_of(server).faults = []
            terminal.enter(command)
            assert "Keep the archive id" in terminal.result(code=0)
        finally:
            terminal.shell.kill()
            terminal.shell.wait()
        receipt = receipt_of(tmp_path / "receipts.jsonl", server)
        assert receipt["sourcePath"] == str(source)
        assert_one_intact_archive(server, source)


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what a clone of the project holds, and its environment."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "glacier_mpu", folder / "glacier_mpu")
    shutil.copy(ROOT / "GlacierMPUP.py", folder)
    make_environment(folder / ".venv")
    return folder


def cron_script(folder: Path, settings: dict[str, object]) -> Path:
    """Copy cron's recipe, and write one's own settings into its top."""
    text = (ROOT / "docs" / "cron.sh").read_text(encoding="utf-8")
    for name, value in settings.items():
        text, count = re.subn(rf"^{name}=\S+", f"{name}='{value}'", text, flags=re.M)
        assert count == 1, name
    script = folder / "cron.sh"
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    return script


@pytest.mark.skipif(shutil.which("flock") is None, reason="needs flock")
def test_an_administrator_installs_and_lets_cron_work_by_night_and_gets_mail_of_trouble_alone(
    project: Path, make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(8 * MIB + 5, "big.tar")
    state = tmp_path / "state"
    state.mkdir()
    bare = home(tmp_path)
    script = cron_script(
        tmp_path,
        {
            "SOURCE": source,
            "VAULT": VAULT,
            "REGION": REGION,
            "PROJECT": project,
            "STATE": state,
        },
    )

    def night(*flags: str) -> tuple[int, str]:
        """Do as cron does, and return the exit code and the mail."""
        line = " ".join([str(script), "--blocksize 1 --threads 1", *flags])
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            env=bare,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    with glacier(tmp_path / "g", Fault(PART, SLOW, times=FOREVER)) as server:
        there = f"--endpoint-url {server.endpoint_url}"
        assert night(there, "--stop-after 1s") == (3, "")

        handler_of(server).faults = [Fault(PART, faults.cut_before_reading, times=FOREVER)]
        code, mail = night(there, "--retry-minutes 0.01")
        assert code == 3
        assert str(source) in mail.splitlines()[0]
        assert "error: " in mail

        handler_of(server).faults = []
        monitor = state / "status.json"
        code, mail = night(there, f"--status-file {monitor}")
        assert (code, mail.count("\n")) == (0, 1)
        assert f"{source} is stored. Keep a copy of {state / 'big.tar.receipt'} elsewhere" in mail
        assert json.loads(monitor.read_text())["exitCode"] == 0
        receipt = receipt_of(state / "big.tar.receipt", server)
        assert receipt["sourcePath"] == str(source)
        assert_one_intact_archive(server, source)

        calls = len(handler_of(server).calls)
        assert night(there) == (0, "")
        assert len(handler_of(server).calls) == calls
    assert os.path.exists(state / "big.tar.done")
