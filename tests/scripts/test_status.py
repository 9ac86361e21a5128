"""How far a run is, for whoever asks by a signal or reads the status file: real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.faults import FOREVER, Fault, answer_bare, do, faulty
from tests.support.hanging_drive import with_hanging_drive
from tests.support.in_process import BOTH, archives
from tests.support.scripts import ROOT, VAULT, Ended, assert_nothing_secret, run, started

MIB = 1 << 20
MakeFile = Callable[..., Path]
needs_sigusr1 = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def command(script: str, server: RehearsalServer, source: Path, *arguments: object) -> list[str]:
    words = [sys.executable, ROOT / script, "--source-path", source, "--vault", VAULT]
    return list(map(str, [*words, "--endpoint-url", server.endpoint_url, *arguments]))


class Hold:
    """A fault that holds a call until it is let go, and says that it got there."""

    def __init__(self, operation: str) -> None:
        self.reached = threading.Event()
        self.let_go = threading.Event()
        self.fault = Fault(operation, do(self._hold), times=FOREVER)

    def _hold(self) -> None:
        self.reached.set()
        assert self.let_go.wait(60)


@contextmanager
def held(
    tmp_path: Path, operation: str, script: str, source: Path, *arguments: object
) -> Iterator[tuple[subprocess.Popen[str], Hold, RehearsalServer]]:
    """Yield a run that is held in such a call."""
    hold = Hold(operation)
    with RehearsalServer(tmp_path / "g", handler=faulty(hold.fault)) as server:
        server.store.create_vault(VAULT)
        process = started(command(script, server, source, "--blocksize", 1, *arguments), server)
        try:
            assert hold.reached.wait(30)
            yield process, hold, server
        finally:
            hold.let_go.set()
            process.kill()
            process.communicate()


def said(process: subprocess.Popen[str], what: str) -> str:
    """Return the next line on stderr that says this."""
    assert process.stderr is not None
    for line in process.stderr:
        if what in line:
            return line
    raise AssertionError(what)


def finished(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=30)
    assert_nothing_secret(out + err)
    return Ended(process.returncode, out, err)


def status_in(path: Path) -> dict[str, Any]:
    text = path.read_text()
    assert_nothing_secret(text)
    status = json.loads(text)
    assert isinstance(status, dict)
    return status


@needs_sigusr1
@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("ListMultipartUploads", "opening the upload"),
        ("InitiateMultipartUpload", "opening the upload"),
        ("UploadMultipartPart", "sending: 0 of 3 blocks"),
        ("CompleteMultipartUpload", "completing the upload: 3 of 3 blocks"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--quiet"]], ids=["", "--quiet"])
def test_a_signal_is_answered_at_every_step_and_ends_nothing(
    make_file: MakeFile, tmp_path: Path, operation: str, answer: str, flags: list[str]
) -> None:
    source = make_file(3 * MIB)
    with held(tmp_path, operation, "GlacierMPUP.py", source, "--resume", *flags) as run_held:
        process, hold, server = run_held
        for _ in range(2):
            process.send_signal(signal.SIGUSR1)
            assert said(process, answer)
        hold.let_go.set()
        ended = finished(process)
        assert ended.code == 0, ended.err
        assert archives(server) == [source.read_bytes()]


@needs_sigusr1
def test_a_signal_is_answered_during_an_outage(make_file: MakeFile, tmp_path: Path) -> None:
    handler = faulty(Fault("UploadMultipartPart", answer_bare(503), times=FOREVER))
    with RehearsalServer(tmp_path / "g", handler=handler) as server:
        server.store.create_vault(VAULT)
        process = started(command("GlacierMPUP.py", server, make_file(3 * MIB)), server)
        assert said(process, "retrying")
        process.send_signal(signal.SIGUSR1)
        assert said(process, "sending: 0 of 1 blocks")
        handler.faults = []
        ended = finished(process)
        assert ended.code == 0, ended.err


@needs_sigusr1
def test_a_signal_is_answered_while_the_first_block_is_read(
    make_file: MakeFile, tmp_path: Path, server: RehearsalServer
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = command("GlacierMPU.py", server, make_file(3 * MIB))
    process = started(with_hanging_drive(words, pipe), server)
    assert said(process, "hangs")
    process.send_signal(signal.SIGUSR1)
    assert said(process, "sending: 0 of 1 blocks")
    pipe.open("w").close()
    ended = finished(process)
    assert ended.code == 0, ended.err


@needs_sigusr1
@BOTH
def test_signals_from_the_result_on_do_not_change_the_exit_code(
    make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source, hold = make_file(5), "CompleteMultipartUpload"
    with held(tmp_path, hold, script, source) as (process, held_call, server):
        held_call.let_go.set()
        assert process.stdout is not None
        assert process.stdout.readline().startswith("archive-id: ")
        while process.poll() is None:
            process.send_signal(signal.SIGUSR1)
        assert process.returncode == 0
        assert archives(server) == [source.read_bytes()]


@BOTH
def test_whoever_reads_the_status_finds_a_whole_object_at_any_moment(
    make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source, path = make_file(20 * MIB), tmp_path / "status.json"
    with RehearsalServer(tmp_path / "g", handler=faulty()) as server:
        server.store.create_vault(VAULT)
        words = command(script, server, source, "--blocksize", 1, "--status-file", path)
        process = started(words, server)
        phases: list[str] = []
        while process.poll() is None:
            if path.exists():
                status = status_in(path)
                assert (status["pid"], status["sourcePath"]) == (process.pid, str(source))
                phases.append(status["phase"])
        ended = finished(process)
        assert ended.code == 0, ended.err
        assert set(phases) <= {"opening", "sending", "completing", "ended"}
        last = status_in(path)
        assert (last["phase"], last["status"], last["exitCode"]) == ("ended", "completed", 0)
        assert (last["bytes"], last["size"], last["blocksDone"]) == (20 * MIB, 20 * MIB, 20)
        assert last["vault"] == VAULT
        assert not path.with_name("status.json.glacier-mpu.tmp").exists()


def test_each_step_is_in_the_status_as_it_begins(make_file: MakeFile, tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    flags = ["--status-file", path]
    hold = ("CompleteMultipartUpload", "GlacierMPU.py", make_file(3 * MIB))
    with held(tmp_path, *hold, *flags) as (process, held_call, _):
        while status_in(path)["phase"] != "completing":
            assert process.poll() is None
        status = status_in(path)
        assert (status["bytes"], status["exitCode"]) == (3 * MIB, None)
        held_call.let_go.set()
        assert finished(process).result["archive-id"]


@needs_sigusr1
@BOTH
def test_after_ctrl_c_the_status_is_open_and_nothing_is_on_its_way(
    make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    path = tmp_path / "status.json"
    flags = ["--resume", "--status-file", path]
    hold = ("UploadMultipartPart", script, make_file(3 * MIB))
    with held(tmp_path, *hold, *flags) as (process, _, _):
        process.send_signal(signal.SIGINT)
        assert finished(process).code == 130
        last = status_in(path)
        assert (last["phase"], last["status"], last["exitCode"]) == ("ended", "open", 130)
        assert (last["bytes"], last["size"], last["secondsLeft"]) == (0, 3 * MIB, None)


def test_after_a_kill_the_last_status_stays_until_the_next_run(
    make_file: MakeFile, tmp_path: Path
) -> None:
    source, path = make_file(3 * MIB), tmp_path / "status.json"
    flags = ["--resume", "--status-file", path]
    hold = ("UploadMultipartPart", "GlacierMPUP.py", source)
    with held(tmp_path, *hold, *flags) as (process, held_call, server):
        while status_in(path)["phase"] != "sending":
            assert process.poll() is None
        process.kill()
        process.wait()
        left = status_in(path)
        assert (left["phase"], left["status"], left["exitCode"]) == ("sending", None, None)
        assert (left["pid"], left["updatedUnix"] >= left["beganUnix"]) == (process.pid, True)
        path.with_name("status.json.glacier-mpu.tmp").write_text(
            '{"phase": "sen'
        )  # as a kill may leave it
        held_call.let_go.set()
        ended = run("GlacierMPUP.py", *command("", server, source, *flags)[2:], server=server)
        assert ended.code == 0, ended.err
        assert status_in(path)["uploadId"] == left["uploadId"]
        assert status_in(path)["status"] == "completed"
        assert not path.with_name("status.json.glacier-mpu.tmp").exists()


def test_a_folder_that_is_lost_meanwhile_is_warned_of_once_and_ends_nothing(
    make_file: MakeFile, tmp_path: Path
) -> None:
    folder = tmp_path / "monitor"
    folder.mkdir()
    flags = ["--status-file", folder / "status.json"]
    hold = ("UploadMultipartPart", "GlacierMPU.py", make_file(3 * MIB))
    with held(tmp_path, *hold, *flags) as (process, held_call, _):
        shutil.rmtree(folder)
        held_call.let_go.set()
        ended = finished(process)
        assert ended.code == 0, ended.err
        (warning,) = [line for line in ended.err.splitlines() if "status file" in line]
        assert "warning: " in warning
        assert "No such file" in warning


@pytest.mark.parametrize("path", ["no/such/folder", ".", "source.bin"])
def test_a_status_that_cannot_be_written_is_refused_before_anything_is_sent(
    make_file: MakeFile, tmp_path: Path, server: RehearsalServer, path: str
) -> None:
    source = make_file(5)
    words = ["--source-path", source, "--vault", VAULT, "--status-file", tmp_path / path]
    ended = run("GlacierMPUP.py", *words, server=server)
    assert ended.code == 2
    assert "--status-file" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert source.stat().st_size == 5
    assert list((server.folder / "uploads").iterdir()) == []


def test_a_run_that_is_refused_says_so_in_the_status(
    tmp_path: Path, server: RehearsalServer
) -> None:
    path = tmp_path / "status.json"
    words = ["--source-path", tmp_path / "missing", "--vault", VAULT, "--status-file", path]
    ended = run("GlacierMPUP.py", *words, server=server)
    assert ended.code == 2
    last = status_in(path)
    assert (last["phase"], last["status"], last["exitCode"]) == ("ended", "failed", 2)
    assert last["error"]["message"] in ended.err


def test_a_dry_run_writes_no_status(make_file: MakeFile, tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    words = ["--source-path", make_file(5), "--vault", VAULT, "--dry-run", "--status-file", path]
    assert run("GlacierMPUP.py", *words).code == 0
    assert not os.path.exists(path)
