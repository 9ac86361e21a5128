"""Kills of ours, of the command whose output is uploaded, and of both, at any moment."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.faults import Fault, FaultyHandler, faulty
from tests.support.in_process import archives, uploads_ever
from tests.support.producers import Life, kill, streaming
from tests.support.scripts import VAULT, script_environment

MIB = 1 << 20
BLOCK_MIB = 2
MakeFile = Callable[..., Path]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

OURS, PRODUCER, BOTH = "ours", "producer", "both"
FIRST_CALLS = ("ListMultipartUploads", "InitiateMultipartUpload")
LATER_CALLS = ("ListMultipartUploads", "ListParts")


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path / "life")
    yield life
    life.close()


class Runs:
    """Runs of ours, one after the other; `pid` is that of the last, which may read from a pipe."""

    def __init__(self, words: Sequence[str], server: RehearsalServer, *, fed_by: Sequence[str]):
        self.pid = 0
        self._words = words
        self._environment = script_environment(server)
        self._fed_by = fed_by or ("true",)

    def another(self) -> int:
        """Run it once more, and return how it ended."""
        with (
            subprocess.Popen(self._fed_by, stdout=subprocess.PIPE) as feeding,
            subprocess.Popen(
                self._words,
                env=self._environment,
                stdin=feeding.stdout,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as running,
        ):
            self.pid = running.pid
            assert feeding.stdout is not None
            feeding.stdout.close()
            return running.wait(timeout=60)


class Kill:
    """A fault that kills when a call arrives: before a part is read, or somewhere in it."""

    def __init__(self, victim: str, runs: Runs, life: Life) -> None:
        self.bytes_read_before = 0
        self.bytes_read = 0
        self._victim = victim
        self._runs = runs
        self._life = life

    def __call__(self, handler: FaultyHandler, call: object) -> None:
        if self.bytes_read_before:
            self.bytes_read = len(handler.rfile.read(self.bytes_read_before))
        if self._victim != PRODUCER:
            kill(self._runs.pid)
        if self._victim != OURS:
            kill(self._life.pid())
        if self.bytes_read_before:
            handler.slam()
            raise ConnectionResetError


def at_a_moment(act: Kill, chance: random.Random, *, victim: str, is_first: bool) -> Fault:
    """Return the fault at a random call of a run, most often one that sends a part."""
    if chance.random() < 0.2:
        return Fault(chance.choice(FIRST_CALLS if is_first else LATER_CALLS), act)
    if victim != PRODUCER and chance.random() < 0.5:
        act.bytes_read_before = chance.randrange(1, BLOCK_MIB * MIB)
    return Fault("UploadMultipartPart", act, after=chance.randrange(4))


def killed_and_resumed(
    words: Sequence[str],
    source: Path,
    folder: Path,
    *,
    life: Life,
    victims: Sequence[str],
    fed_by: Sequence[str] = (),
) -> int:
    """Kill as many runs as there are victims, and let the last one end; return the bytes sent.

    After each there is no archive, nothing of the command runs, and the spool's folder is empty.
    """
    chance = random.Random(len(victims))
    handler, bytes_cut = faulty(), 0
    spool = folder / "spool"
    spool.mkdir(parents=True)
    with RehearsalServer(folder / "g", handler=handler) as server:
        server.store.create_vault(VAULT)
        ours = streaming(
            *(server, "--resume", "--comment", "a stream", "--blocksize", BLOCK_MIB),
            *("--threads", 3, "--spool", spool, *words),
        )
        runs = Runs(ours, server, fed_by=fed_by)
        for victim in victims:
            act = Kill(victim, runs, life)
            is_first = "InitiateMultipartUpload" not in handler.calls
            handler.faults = [at_a_moment(act, chance, victim=victim, is_first=is_first)]
            assert runs.another() == (3 if victim == PRODUCER else -signal.SIGKILL)
            life.await_end()
            bytes_cut += act.bytes_read
            assert list(spool.iterdir()) == []
            assert archives(server) == []
        handler.faults = []
        assert runs.another() == 0
        assert list(spool.iterdir()) == []
        assert archives(server) == [source.read_bytes()]
        assert uploads_ever(server.folder) == 1
        return handler.bytes_in + bytes_cut


def in_all_ways(count: int) -> list[str]:
    """Return victims by turns, in a random order."""
    victims = [(OURS, PRODUCER, BOTH)[number % 3] for number in range(count)]
    random.Random(count).shuffle(victims)
    return victims


@pytest.mark.parametrize("in_shell", [False, True], ids=["program", "pipeline"])
def test_kills_at_any_moment_end_in_one_intact_archive_of_the_commands_output(
    make_file: MakeFile, tmp_path: Path, life: Life, in_shell: bool
) -> None:
    source = make_file(90 * MIB + 7)
    command = life.words('exec cat "$1"', source)
    words = ["--source-command", f"{shlex.join(command)} | cat"] if in_shell else ["--", *command]
    killed_and_resumed(words, source, tmp_path / "run", life=life, victims=in_all_ways(4))


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_fifty_kills_end_in_one_intact_archive_of_the_commands_output(
    make_file: MakeFile, tmp_path: Path, life: Life
) -> None:
    source = make_file(1200 * MIB + 7)
    words = ["--", *life.words('exec cat "$1"', source)]
    victims, began = in_all_ways(50), time.monotonic()
    sent = killed_and_resumed(words, source, tmp_path / "run", life=life, victims=victims)
    again, seconds = sent - source.stat().st_size, time.monotonic() - began
    print(f"{dict(Counter(victims))}, {again:,} bytes sent again, {seconds:.0f} s")  # noqa: T201


# -- through a pipe


def test_ours_is_killed_and_resumes_from_a_pipe(
    make_file: MakeFile, tmp_path: Path, life: Life
) -> None:
    source = make_file(30 * MIB + 7)
    killed_and_resumed(
        ["--source-path", "-"],
        source,
        tmp_path / "run",
        life=life,
        victims=[OURS, OURS],
        fed_by=life.words('exec cat "$1"', source),
    )


def test_only_the_callers_shell_learns_that_what_wrote_to_a_pipe_was_killed(
    make_file: MakeFile, server: RehearsalServer
) -> None:
    """A pipe ends alike for a writer that is done and for one that was killed.

    So half an archive is completed, which `--source-command` and `--` never do: `pipefail` gives
    the whole line another status, and nothing tells ours.
    """
    source = make_file(5 * MIB)
    half = f"(head -c 2500000 {source}; kill -9 $BASHPID)"
    line = f"{half} | {shlex.join(streaming(server, '--blocksize', 1, '--source-path', '-'))}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'{line}; echo "$? ${{PIPESTATUS[1]}}" >&2'],
        env=script_environment(server),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == "137 0"
    assert archives(server) == [source.read_bytes()[:2500000]]
