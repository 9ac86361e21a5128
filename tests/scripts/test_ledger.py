"""The ledger by the scripts: where it lies, what a killed run leaves in it, what users are told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.cli.main import main
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source import file as source_file
from glacier_mpu.source.file import inspect
from glacier_mpu.source.ledger import Ledger
from tests.support.engine import Readings
from tests.support.faults import FOREVER, Fault, faulty, never_answer
from tests.support.scripts import (
    ROOT,
    VAULT,
    Ended,
    assert_nothing_secret,
    run,
    script_environment,
    script_parser,
)
from tests.support.shells import words_of
from tests.support.wire_client import wait_until

MIB = 1 << 20
MakeFile = Callable[..., Path]
needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
# Takes each file as at rest, so that nobody has to wait until it is.
IMPATIENT = """
import sys
from glacier_mpu.source import file
file.REST_NS = -1
import GlacierMPU
GlacierMPU.run_script(GlacierMPU.build_parser)
"""


@pytest.fixture
def rehearse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Return a runner of the parallel script in this process, which takes each file as at rest."""
    monkeypatch.setattr(source_file, "REST_NS", -1)

    def run(source: Path, *words: object) -> Ended:
        arguments = ["--rehearse", tmp_path / "glacier", "--vault", VAULT, "--blocksize", 1]
        arguments += ["--source-path", source, *words]
        script = "GlacierMPUP.py"
        code = main(script_parser(script), list(map(str, arguments)), command=(script,))
        shown = capsys.readouterr()
        assert_nothing_secret(shown.out + shown.err)
        return Ended(code, shown.out, shown.err)

    return run


Rehearse = Callable[..., Ended]
PART = ("--resume", "--finish-upload", "False")


def lines_of(folder: Path) -> int:
    """Return how many blocks the ledger in this folder tells of, of whatever file."""
    return sum(len(path.read_text().splitlines()) - 1 for path in folder.glob("*.jsonl"))


@needs_posix
def test_a_ledger_is_kept_in_the_users_cache_folder_unless_told_otherwise(
    rehearse: Rehearse, make_file: MakeFile, own_cache_folder: Path
) -> None:
    assert rehearse(make_file(3 * MIB), *PART).code == 0
    assert lines_of(own_cache_folder / "glacier_mpu" / "ledger") == 3


def test_ledger_names_another_folder_and_none_is_no_folder(
    rehearse: Rehearse, make_file: MakeFile, own_cache_folder: Path, tmp_path: Path
) -> None:
    ended = rehearse(make_file(3 * MIB), *PART, "--ledger", "none")
    assert ended.code == 0
    assert "the ledger in " not in ended.err
    assert not Path("none").exists()
    assert rehearse(make_file(3 * MIB), *PART, "--ledger", tmp_path / "mine").code == 0
    assert lines_of(tmp_path / "mine") == 3
    assert list(own_cache_folder.rglob("*.jsonl")) == []


def test_the_next_night_reads_only_what_it_sends_and_says_so(
    rehearse: Rehearse, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(6 * MIB)
    assert rehearse(source, *PART, "--end", 3).code == 0
    readings = Readings(monkeypatch)
    ended = rehearse(source, "--resume")
    assert ended.code == 0, ended.err
    assert sorted(readings.hashed) == [4, 5]
    assert "blocks 0-3, 4.0 MiB; not read again" in ended.err
    assert "compared" not in ended.err


def test_recheck_reads_what_is_known(
    rehearse: Rehearse, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(4 * MIB)
    assert rehearse(source, *PART).code == 0
    readings = Readings(monkeypatch)
    assert rehearse(source, "--resume", "--recheck").code == 0
    assert sorted(readings.hashed) == [0, 1, 2, 3]


@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["", "quiet"])
def test_a_ledger_that_cannot_be_written_is_one_line_and_no_failure(
    rehearse: Rehearse, make_file: MakeFile, tmp_path: Path, quiet: list[str]
) -> None:
    place = tmp_path / "mine"
    place.write_bytes(b"no folder")
    ended = rehearse(make_file(3 * MIB), "--ledger", place, *quiet)
    assert ended.code == 0, ended.err
    (line,) = [line for line in ended.err.splitlines() if "the ledger in " in line]
    assert str(place) in line


def test_a_dry_run_touches_no_ledger(
    rehearse: Rehearse, make_file: MakeFile, own_cache_folder: Path
) -> None:
    assert rehearse(make_file(MIB), "--dry-run").code == 0
    assert list(own_cache_folder.iterdir()) == []


@needs_posix
def test_what_a_killed_run_had_stored_is_known_to_the_next(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source, folder = make_file(5 * MIB), tmp_path / "ledger"
    handler = faulty(Fault("UploadMultipartPart", never_answer, times=FOREVER, after=3))
    with RehearsalServer(tmp_path / "glacier", handler=handler) as server:
        server.store.create_vault(VAULT)
        words = [sys.executable, "-c", IMPATIENT, "--source-path", source, "--vault", VAULT]
        words += ["--blocksize", 1, "--verbose", "--ledger", folder]
        words += ["--endpoint-url", server.endpoint_url]
        with subprocess.Popen(
            list(map(str, words)),
            env=script_environment(server),
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert any("block 2 is stored" in line for line in process.stderr)
            # The lines are written beside the upload, of which the next block gets no answer.
            wait_until(lambda: b'"block": 2,' in b"".join(f.read_bytes() for f in folder.iterdir()))
            process.kill()
    ledger = Ledger(str(folder), inspect(str(source)), on_trouble=pytest.fail)
    assert set(ledger.recall(MIB)) == {0, 1, 2}
    assert process.returncode == -signal.SIGKILL


def test_a_file_whose_times_are_not_yet_over_is_not_in_the_ledger(
    server: RehearsalServer, make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(MIB)
    later = time.time() + 3600  # however long the script takes to start
    os.utime(source, (later, later))
    words = ["--source-path", source, "--vault", VAULT, "--finish-upload", "False"]
    ended = run("GlacierMPU.py", *words, "--ledger", tmp_path / "mine", server=server)
    assert ended.code == 0, ended.err
    assert not (tmp_path / "mine").exists()


@needs_posix
def test_with_a_relative_ledger_the_next_command_finds_it_from_anywhere(
    rehearse: Rehearse, make_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = rehearse(make_file(3 * MIB), "--end", 1, "--finish-upload", "False", "--ledger", "mine")
    assert lines_of(tmp_path / "mine") == 2
    command = ended.err.splitlines()[-1]
    assert f"--ledger={tmp_path / 'mine'}" in words_of(command)
