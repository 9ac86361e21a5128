"""Streams in trouble: the service's, the spool's, and that of commands that behave oddly."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support import faults
from tests.support.faults import FOREVER, Act, Fault, do
from tests.support.in_process import MIB, MakeFile, archives, glacier, handler_of, uploads_ever
from tests.support.producers import streaming
from tests.support.scripts import Ended, script_environment, started

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")

PART = "UploadMultipartPart"
DESCRIBED = ("--resume", "--comment", "a stream", "--blocksize", 1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RehearsalServer]:
    with glacier(tmp_path / "g") as server:
        yield server


def ended(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return Ended(process.returncode, out, err)


def begin(server: RehearsalServer, *words: object) -> subprocess.Popen[str]:
    return started(streaming(server, *DESCRIBED, *words), server)


def reading(source: Path) -> tuple[str, str, str]:
    return "--", "cat", str(source)


def rerun(server: RehearsalServer, before: Ended) -> None:
    """Run the last line of a run as it stands."""
    handler_of(server).faults = []
    line = before.err.splitlines()[-1]
    done = subprocess.run(line, shell=True, env=script_environment(server), check=False)
    assert done.returncode == 0


# -- the service


@pytest.mark.parametrize(
    "act",
    [
        faults.refuse(500, "InternalServerError"),
        faults.cut_in_the_middle,
        faults.lose_the_answer,
        faults.leave_the_hash_out,
        faults.echo_another_hash,
    ],
    ids=["refused", "cut", "unanswered", "no hash", "another hash"],
)
def test_a_block_that_fails_once_is_sent_again_from_the_spool(
    server: RehearsalServer, make_file: MakeFile, act: Act
) -> None:
    source = make_file(6 * MIB + 1)
    handler_of(server).faults = [Fault(PART, act, after=2)]
    assert ended(begin(server, *reading(source))).code == 0
    assert archives(server) == [source.read_bytes()]


def test_credentials_that_expire_meanwhile_leave_an_upload_that_the_last_line_resumes(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(20 * MIB + 1)
    expired = faults.refuse(403, "ExpiredTokenException")
    handler_of(server).faults = [Fault(PART, expired, FOREVER, after=5)]
    first = ended(begin(server, "--retry-minutes", "0.01", *reading(source)))
    assert first.code == 3
    assert "renew the credentials" in first.err
    rerun(server, first)
    assert archives(server) == [source.read_bytes()]
    assert uploads_ever(server.folder) == 1


# -- the spool


def files_open_in(folder: Path, pid: int) -> list[Path]:
    """Return the ways to files in the folder that a process has open, though they have no names."""
    descriptors = Path(f"/proc/{pid}/fd").iterdir()
    return [path for path in descriptors if os.readlink(path).startswith(f"{folder}/")]


@needs_proc
def test_a_block_that_its_spool_has_damaged_is_not_completed(
    server: RehearsalServer, make_file: MakeFile, tmp_path: Path
) -> None:
    source, spool = make_file(6 * MIB + 1), tmp_path / "spool"
    spool.mkdir()

    def damage() -> None:
        for path in files_open_in(spool, process.pid):
            with path.open("r+b") as file:
                file.seek(MIB - 1)
                file.write(b"x")

    again = Fault(PART, faults.refuse(500, "InternalServerError"))
    handler_of(server).faults = [Fault(PART, do(damage)), again]
    process = begin(server, "--threads", 1, "--spool", spool, *reading(source))
    first = ended(process)
    assert first.code == 3
    assert "was not read from the spool folder" in first.err
    assert archives(server) == []
    rerun(server, first)
    assert archives(server) == [source.read_bytes()]


@needs_proc
def test_descriptors_and_memory_do_not_follow_the_number_of_blocks(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(100 * MIB + 1)
    most: list[tuple[int, int]] = []

    def look() -> None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert peak is not None
        most.append((len(os.listdir(f"/proc/{process.pid}/fd")), int(peak[1])))

    handler_of(server).faults = [Fault(PART, do(look), FOREVER)]
    process = begin(server, "--threads", 20, *reading(source))
    assert ended(process).code == 0
    assert max(descriptors for descriptors, _ in most) < 100
    assert max(kilobytes for _, kilobytes in most) < 80 * 1024
    assert archives(server) == [source.read_bytes()]


# -- several runs


def test_a_stream_that_was_not_to_be_finished_is_finished_without_sending_it_again(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(6 * MIB + 1)
    first = ended(begin(server, "--finish-upload", "False", *reading(source)))
    assert first.code == 0
    assert archives(server) == []
    second = ended(begin(server, *reading(source)))
    assert second.code == 0
    assert archives(server) == [source.read_bytes()]
    assert handler_of(server).calls.count(PART) == 7


def test_two_runs_of_the_same_command_end_in_one_archive(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(30 * MIB + 1)
    stop = faults.refuse(400, "InvalidParameterValueException")
    handler_of(server).faults = [Fault(PART, stop, FOREVER, after=10)]
    assert ended(begin(server, *reading(source))).code == 3
    handler_of(server).faults = []
    processes = [begin(server, *reading(source)) for _ in range(2)]
    ends = [ended(process) for process in processes]
    assert [end.code for end in ends] == [0, 0]
    assert archives(server) == [source.read_bytes()]


# -- odd commands


@pytest.mark.parametrize(
    ("script", "code", "size"),
    [
        ("head -c 2500000 /dev/zero; exec >&-; sleep 0.3", 0, 2500000),
        ("head -c 2500000 /dev/zero; exec >&-; sleep 0.3; exit 9", 3, None),
        ("head -c 2500000 /dev/zero; sleep 600 & exit 9", 3, None),
        ("head -c 30000 /dev/zero | dd bs=1 status=none", 0, 30000),
        ("head -c 50000000 /dev/zero >&2; echo abc", 0, 4),
    ],
    ids=["closes early", "closes early and fails", "child holds on", "byte by byte", "says much"],
)
def test_a_command_counts_by_how_it_ends(
    server: RehearsalServer, script: str, code: int, size: int | None
) -> None:
    end = ended(begin(server, "--", "sh", "-c", script))
    assert end.code == code, end.err
    assert [len(archive) for archive in archives(server)] == ([] if size is None else [size])


def test_what_is_not_open_is_no_standard_input(server: RehearsalServer) -> None:
    words = streaming(server, *DESCRIBED, "--source-path", "-")
    process = started(["sh", "-c", 'exec "$@" <&-', "sh", *words], server)
    end = ended(process)
    assert end.code == 2
    assert "standard input is closed" in end.err


def test_a_stop_time_ends_a_command_that_gives_nothing(server: RehearsalServer) -> None:
    script = "head -c 2500000 /dev/zero; exec sleep 600"
    end = ended(begin(server, "--stop-after", "1s", "--", "sh", "-c", script))
    assert end.code == 3
    assert "stopped after 0:00:01 as asked" in end.err
