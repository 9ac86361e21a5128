"""Signals while a command's output is uploaded: the upload stays open, and the command ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.faults import Fault, do
from tests.support.in_process import MIB, MakeFile, archives, glacier, handler_of, uploads_ever
from tests.support.producers import Life, streaming
from tests.support.scripts import script_environment, started

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

SMALL = ("--blocksize", 1)
# Writes half of the file, and the rest once there is no file "$2" any more.
HALTING = (
    'head -c 2500000 "$1"; while [ -e "$2" ]; do sleep 600 & wait; done; tail -c +2500001 "$1"'
)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path / "life")
    yield life
    life.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RehearsalServer]:
    with glacier(tmp_path / "g") as server:
        yield server


@pytest.fixture
def halt(tmp_path: Path) -> Path:
    """Return the file for which a command waits."""
    (tmp_path / "halt").touch()
    return tmp_path / "halt"


def signalled(
    server: RehearsalServer,
    words: list[str],
    number: int,
    *,
    before: Callable[[], object] = lambda: None,
) -> tuple[int, str]:
    """Run ours, signal it at its second part, and return its exit code and what it said."""

    def send() -> None:
        before()
        process.send_signal(number)

    handler_of(server).faults = [Fault("UploadMultipartPart", do(send), after=1)]
    process = started(words, server)
    _, err = process.communicate(timeout=60)
    handler_of(server).faults = []
    assert "Traceback" not in err
    return process.returncode, err


@pytest.mark.parametrize(
    ("name", "script"),
    [("SIGINT", "GlacierMPUP.py"), ("SIGTERM", "GlacierMPU.py"), ("SIGHUP", "GlacierMPUP.py")],
)
def test_a_signal_ends_the_command_too_and_the_last_line_resumes(
    server: RehearsalServer, make_file: MakeFile, life: Life, halt: Path, name: str, script: str
) -> None:
    source, number = make_file(5 * MIB + 1), getattr(signal, name)
    words = streaming(
        server, "--blocksize", 1, "--", *life.words(HALTING, source, halt), script=script
    )
    code, err = signalled(server, words, number)
    assert code == 128 + number, err
    life.await_end()
    halt.unlink()
    last = subprocess.run(
        err.splitlines()[-1], shell=True, env=script_environment(server), check=False
    )
    assert last.returncode == 0
    assert archives(server) == [source.read_bytes()]
    assert uploads_ever(server.folder) == 1


def test_a_command_that_is_halted_does_not_hold_up_a_signal(
    server: RehearsalServer, make_file: MakeFile, life: Life, halt: Path
) -> None:
    words = streaming(
        server, "--blocksize", 1, "--", *life.words(HALTING, make_file(5 * MIB), halt)
    )
    code, err = signalled(
        server, words, signal.SIGINT, before=lambda: os.kill(life.pid(), signal.SIGSTOP)
    )
    assert code == 130, err
    life.await_end()


@pytest.mark.soak
def test_a_command_that_does_not_heed_a_signal_is_killed_after_ten_seconds(
    server: RehearsalServer, make_file: MakeFile, life: Life, halt: Path
) -> None:
    deaf = f"trap '' TERM; {HALTING}"
    words = streaming(server, *SMALL, "--", *life.words(deaf, make_file(5 * MIB), halt))
    code, err = signalled(server, words, signal.SIGINT)
    assert code == 130, err
    life.await_end()


def test_ctrl_c_at_a_terminal_reaches_the_command_only_by_way_of_ours(
    server: RehearsalServer, make_file: MakeFile, life: Life, halt: Path
) -> None:
    """The command tidies up when it is asked to end, and says by which signal it was."""
    heard = f"trap 'echo INT >&9; exit' INT; trap 'echo TERM >&9; exit' TERM; {HALTING}"
    words = streaming(server, *SMALL, "--", *life.words(heard, make_file(5 * MIB), halt))
    process: list[subprocess.Popen[str]] = []

    def press() -> None:
        life.pid()
        os.killpg(process[0].pid, signal.SIGINT)  # what a terminal does

    handler_of(server).faults = [Fault("UploadMultipartPart", do(press), after=1)]
    process.append(
        subprocess.Popen(
            words,
            env=script_environment(server),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    )
    process[0].communicate(timeout=60)
    assert process[0].returncode == 130
    assert life.said() == "TERM"
