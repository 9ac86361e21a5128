"""Signals, kills and streams that go away: real processes, and what they leave behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.faults import (
    FOREVER,
    Fault,
    FaultyHandler,
    answer_bare,
    cut_before_reading,
    do,
    faulty,
    never_answer,
)
from tests.support.hanging_drive import with_hanging_drive
from tests.support.hanging_helper import hanging_helper
from tests.support.scripts import ROOT, VAULT, script_environment, started

MIB = 1 << 20
MakeFile = Callable[..., Path]
BOTH = pytest.mark.parametrize("script", ["GlacierMPU.py", "GlacierMPUP.py"])
needs_posix = pytest.mark.skipif(
    os.name == "nt", reason="Windows sends no signals; tests/windows/smoke presses Ctrl-C there"
)


def command(script: str, server: RehearsalServer, source: Path, *arguments: object) -> list[str]:
    words = [sys.executable, ROOT / script, "--source-path", source, "--vault", VAULT]
    return list(map(str, [*words, "--endpoint-url", server.endpoint_url, *arguments]))


def archives(server: RehearsalServer) -> list[bytes]:
    return [path.read_bytes() for path in (server.folder / "archives").iterdir()]


class Gate:
    """A fault that stops reading a block's body half-way, and says that it got there."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, handler: FaultyHandler, call: object) -> None:
        handler.rfile.read(MIB)
        self.reached.set()
        self.opened.wait(60)
        handler.slam()
        raise ConnectionResetError


@needs_posix
@BOTH
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_cuts_a_stalled_block_and_leaves_the_upload_open(
    make_file: MakeFile, tmp_path: Path, script: str, name: str
) -> None:
    number = getattr(signal, name)
    source = make_file(64 * MIB)
    gate = Gate()
    handler = faulty(Fault("UploadMultipartPart", gate, times=FOREVER, after=1))
    with RehearsalServer(tmp_path / "g", handler=handler) as server:
        server.store.create_vault(VAULT)
        process = started(command(script, server, source, "--blocksize", 32), server)
        assert gate.reached.wait(30)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        gate.opened.set()
        assert process.returncode == 128 + number, err
        assert out.startswith("upload-id: ")
        assert "Traceback" not in err
        assert "Exception ignored" not in err
        handler.faults = []
        done = subprocess.run(
            err.splitlines()[-1], shell=True, env=script_environment(server), check=False
        )
        assert done.returncode == 0
        assert archives(server) == [source.read_bytes()]
        assert "AbortMultipartUpload" not in handler.calls


@needs_posix
@BOTH
def test_a_signal_ends_a_wait_between_two_tries(
    make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    """Nothing listens, so the script waits; it is told by its line that a try has failed."""
    with RehearsalServer(tmp_path / "g") as server:
        words = command(script, server, make_file(5))
        environment = script_environment(server)
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "retrying" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


@needs_posix
@BOTH
@pytest.mark.parametrize("flags", [["--resume"], ["--upload-id", "some-upload"]], ids=" ".join)
def test_a_signal_before_the_list_is_there_still_ends_with_the_next_command(
    make_file: MakeFile, tmp_path: Path, script: str, flags: list[str]
) -> None:
    listing = threading.Event()
    gate = Fault("ListMultipartUploads" if flags == ["--resume"] else "ListParts", do(listing.set))
    stall = Fault(gate.operation, never_answer)
    with RehearsalServer(tmp_path / "g", handler=faulty(gate, stall)) as server:
        server.store.create_vault(VAULT)
        process = started(command(script, server, make_file(5), *flags), server)
        assert listing.wait(30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert flags[0] in err.splitlines()[-1]


@needs_posix
@BOTH
def test_a_signal_ends_a_run_whose_drive_hangs_while_it_is_read(
    make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with RehearsalServer(tmp_path / "g") as server:
        server.store.create_vault(VAULT)
        words = command(script, server, make_file(3 * MIB))
        process = started(with_hanging_drive(words, pipe), server)
        assert process.stderr is not None
        while "hangs" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert out.startswith("upload-id: ")
        assert "--upload-id=" in err.splitlines()[-1]


@needs_posix
def test_a_signal_while_the_upload_is_aborted_leaves_it_open(
    make_file: MakeFile, tmp_path: Path
) -> None:
    aborting = threading.Event()
    unlucky = [
        Fault("UploadMultipartPart", answer_bare(503), times=FOREVER),
        Fault("AbortMultipartUpload", do(aborting.set)),
        Fault("AbortMultipartUpload", cut_before_reading, times=FOREVER),
    ]
    with RehearsalServer(tmp_path / "g", handler=faulty(*unlucky)) as server:
        server.store.create_vault(VAULT)
        process = started(
            command("GlacierMPU.py", server, make_file(5), "--retry-minutes", "0.02"), server
        )
        assert aborting.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert out.startswith("upload-id: ")


CLOSED = {
    "stdout is a closed pipe": {"stdout": "pipe"},
    "stderr is a closed pipe": {"stderr": "pipe"},
    "both are closed pipes": {"stdout": "pipe", "stderr": "pipe"},
    "stdout is a full disk": {"stdout": "full"},
    "stderr is a full disk": {"stderr": "full"},
    "stdout is closed": {"stdout": "closed"},
    "stderr is closed": {"stderr": "closed"},
}


@needs_posix
@BOTH
@pytest.mark.parametrize("streams", CLOSED.values(), ids=CLOSED.keys())
def test_a_stream_that_goes_away_does_not_stop_an_upload(
    make_file: MakeFile, tmp_path: Path, script: str, streams: dict[str, str]
) -> None:
    source = make_file(3 * MIB + 1)
    with RehearsalServer(tmp_path / "g") as server:
        server.store.create_vault(VAULT)
        words = command(script, server, source, "--blocksize", 1)
        closed = {"stdout": ">&-", "stderr": "2>&-"}
        redirections = [closed[name] for name, how in streams.items() if how == "closed"]
        kinds: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        opened = []
        for name, how in streams.items():
            if how == "full":
                kinds[name] = os.open("/dev/full", os.O_WRONLY)
                opened.append(kinds[name])
            elif how == "pipe":
                reading, kinds[name] = os.pipe()
                os.close(reading)
                opened.append(kinds[name])
        process = subprocess.Popen(
            ["/bin/sh", "-c", " ".join(['exec "$@"', *redirections]), "sh", *words],
            env=script_environment(server),
            stdout=kinds["stdout"],
            stderr=kinds["stderr"],
            text=True,
        )
        for descriptor in opened:
            os.close(descriptor)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        (archive,) = (server.folder / "archives").iterdir()
        assert archive.read_bytes() == source.read_bytes()
        if len(streams) == 1:
            assert archive.name in (err if "stdout" in streams else out)
        assert "Exception ignored" not in (err or "")


BLOCK_MIB = 8


def killed_and_resumed(
    folder: Path, source: Path, *, kills: int, threads: int, seed: int
) -> tuple[int, int]:
    """Kill the parallel script so often, and let the last one end.

    Half of the kills come at a random moment, half when a random block of the run is on its way.
    Return how many times it was killed before it was done, and the bytes that arrived in all.
    """
    chance = random.Random(seed)
    handler = faulty()
    with RehearsalServer(folder, handler=handler) as server:
        server.store.create_vault(VAULT)
        words = command("GlacierMPUP.py", server, source, "--resume", "--threads", threads)
        words += ["--blocksize", str(BLOCK_MIB)]
        killed, last = 0, None
        while last is None:
            on_its_way = threading.Event()
            a_block = Fault("UploadMultipartPart", do(on_its_way.set), after=chance.randrange(6))
            handler.faults = [a_block]
            process = subprocess.Popen(
                words,
                env=script_environment(server),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if killed == kills:
                last = process.wait(timeout=100)
            elif chance.random() < 0.5:
                on_its_way.wait(30)
            else:
                on_its_way.wait(chance.uniform(0.0, 1.0))
            if last is None:
                process.kill()
                process.wait()
                killed += 1
        assert last == 0
        assert archives(server) == [source.read_bytes()]
        assert handler.calls.count("InitiateMultipartUpload") == 1
        return killed, handler.bytes_in


def assert_little_was_sent_twice(source: Path, killed: int, arrived: int, threads: int) -> int:
    twice = arrived - source.stat().st_size
    assert 0 < twice <= killed * threads * BLOCK_MIB * MIB
    return twice


def test_kills_at_any_moment_end_in_one_intact_archive(make_file: MakeFile, tmp_path: Path) -> None:
    source = make_file(250 * MIB + 7)
    killed, arrived = killed_and_resumed(tmp_path / "g", source, kills=6, threads=3, seed=1)
    assert_little_was_sent_twice(source, killed, arrived, 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_kills_end_in_one_intact_archive(make_file: MakeFile, tmp_path: Path) -> None:
    source = make_file(6000 * MIB + 7)
    killed, arrived = killed_and_resumed(tmp_path / "g", source, kills=100, threads=3, seed=2)
    twice = assert_little_was_sent_twice(source, killed, arrived, 3)
    print(f"{killed} kills, {twice:,} of {arrived:,} bytes sent twice")  # noqa: T201


@needs_posix
@BOTH
def test_a_signal_ends_a_run_whose_credential_helper_hangs(
    make_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    words = [sys.executable, str(ROOT / script), "--source-path", str(make_file(5))]
    with hanging_helper(tmp_path) as helper:
        (tmp_path / "config").write_text(helper.profile)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        process = subprocess.Popen(
            [*words, "--vault", VAULT, "--region", "eu-west-1", "--upload-id", "an-id"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with helper.await_call():
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, err
    assert "Traceback" not in err
