"""What a run of weeks meets: dead lines, refusals out of nowhere, drives that come and go."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.http import Handler
from glacier_mpu.rehearsal.wire import Answer, Call
from glacier_mpu.stop import Waits
from tests.support import faults
from tests.support.faults import FOREVER, Act, Fault, FaultyHandler
from tests.support.flaky_file import BadSpot, Flaky
from tests.support.in_process import (
    BOTH,
    MIB,
    SOON,
    End,
    MakeFile,
    archives,
    assert_one_intact_archive,
    glacier,
    handler_of,
    open_uploads,
)

PART = "UploadMultipartPart"
LIST = "ListParts"
COMPLETE = "CompleteMultipartUpload"
Run = Callable[..., End]


# -- a dead line


@BOTH
@pytest.mark.parametrize("blocks", [24, 2400])
def test_a_dead_line_ends_the_run_as_one_with_no_block_failed_and_nothing_aborted(
    run: Run, tmp_path: Path, script: str, blocks: int
) -> None:
    source = tmp_path / "source.bin"
    with source.open("wb") as file:
        file.truncate(blocks * MIB)
    dead = Fault(PART, faults.cut_before_reading, times=FOREVER, after=2)
    deaf = Fault(LIST, faults.cut_before_reading, times=FOREVER)
    with glacier(tmp_path / "g", dead, deaf) as server:
        end = run(script, server, source, "--blocksize", 1, *SOON)
        assert end.code == 3, end.err
        assert end.error_code == "ConnectionClosedError"
        assert end.record["failedBlocks"] == []
        assert len(end.record["missingBlocks"]) == blocks - 2  # type: ignore[arg-type]
        assert len(open_uploads(server)) == 1
    assert end.err.count("no connection") == 1
    assert "retrying until" in end.err
    assert end.err.count("could not send block") < 8  # until the last of the threads has met it
    assert "failed" not in end.err


@BOTH
def test_a_line_that_comes_back_in_time_is_told_once_and_the_upload_completes(
    run: Run, make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(12 * MIB)
    dead = Fault(PART, faults.cut_before_reading, times=40, after=2)
    with glacier(tmp_path / "g", dead) as server:
        end = run(script, server, source, "--blocksize", 1)
        assert end.code == 0, end.err
        assert_one_intact_archive(server, source)
    assert end.record["retries"] == 40
    lines = [line for line in end.err.splitlines() if "no connection" in line or " again" in line]
    assert [("no connection" in line, "get through again" in line) for line in lines] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("call", [PART, COMPLETE], ids=["a block", "complete"])
def test_a_service_that_accepts_and_never_answers_is_given_up_after_one_read_timeout(
    run: Run, make_file: MakeFile, tmp_path: Path, call: str
) -> None:
    silent = Fault(call, faults.never_answer, times=FOREVER)
    waits = Waits(longest=0.01, connect=2, read=0.4, complete=0.4)
    with glacier(tmp_path / "g", silent) as server:
        end = run("GlacierMPU.py", server, make_file(MIB), "--retry-minutes", 0.005, waits=waits)
        assert end.code in (3, 4), end.err
        assert handler_of(server).calls.count(call) == 1


@pytest.mark.parametrize(
    ("script", "ends"), [("GlacierMPU.py", "aborted"), ("GlacierMPUP.py", "open")]
)
def test_a_service_that_answers_by_5xx_until_time_is_over_has_refused_the_block(
    run: Run, make_file: MakeFile, tmp_path: Path, script: str, ends: str
) -> None:
    """The lists may be answered all the same."""
    down = Fault(PART, faults.refuse(503, "ServiceUnavailableException"), times=FOREVER, after=1)
    with glacier(tmp_path / "g", down) as server:
        end = run(script, server, make_file(40 * MIB), "--blocksize", 1, *SOON)
        assert end.record["status"] == ends, end.err
        assert end.record["failedBlocks"] != []
        assert len(end.record["failedBlocks"]) <= 4  # type: ignore[arg-type]


def test_408_until_time_is_over_is_a_slow_line_and_aborts_nothing(
    run: Run, make_file: MakeFile, tmp_path: Path
) -> None:
    slow = Fault(PART, faults.refuse(408, "RequestTimeoutException"), times=FOREVER, after=1)
    with glacier(tmp_path / "g", slow) as server:
        end = run("GlacierMPU.py", server, make_file(4 * MIB), "--blocksize", 1, *SOON)
        assert end.code == 3, end.err
        assert len(open_uploads(server)) == 1


def test_a_dead_line_whose_last_answer_is_a_503_aborts_nothing(
    run: Run, make_file: MakeFile, tmp_path: Path
) -> None:
    """A load balancer is back before the service is."""
    dead = Fault(PART, faults.cut_before_reading, times=3, after=1)
    down = Fault(PART, faults.refuse(503, "ServiceUnavailableException"), times=FOREVER, after=4)
    with glacier(tmp_path / "g", dead, down) as server:
        end = run("GlacierMPU.py", server, make_file(4 * MIB), "--blocksize", 1, *SOON)
        assert end.code == 3, end.err
        assert len(open_uploads(server)) == 1


@pytest.mark.parametrize("threads", [1, 3, 32])
def test_one_block_that_never_gets_through_keeps_no_other_from_being_sent(
    run: Run, make_file: MakeFile, tmp_path: Path, threads: int
) -> None:
    poisoned = Fault(PART, faults.cut_before_reading, times=FOREVER, blocks=[2])
    with glacier(tmp_path / "g", poisoned) as server:
        words = ("--blocksize", 1, "--threads", threads, *SOON)
        end = run("GlacierMPUP.py", server, make_file(12 * MIB), *words)
        assert end.code == 3, end.err
        assert end.record["failedBlocks"] == end.record["missingBlocks"] == [2]


def test_many_connections_that_break_at_once_are_told_in_few_lines(
    run: Run, make_file: MakeFile, tmp_path: Path
) -> None:
    broken = Fault(PART, faults.cut_before_reading, times=32)
    with glacier(tmp_path / "g", broken) as server:
        words = ("--blocksize", 1, "--threads", 32)
        end = run("GlacierMPUP.py", server, make_file(64 * MIB), *words)
        assert end.code == 0, end.err
    assert end.record["retries"] >= 32  # type: ignore[operator]
    assert len([line for line in end.err.splitlines() if "retrying" in line]) <= 4


# -- refusals that contradict what has worked

OUT_OF_NOWHERE: dict[str, Act] = {
    "signature": faults.refuse(403, "InvalidSignatureException"),
    "mismatch": faults.refuse(403, "SignatureDoesNotMatch"),
    "unknown key": faults.refuse(403, "UnrecognizedClientException"),
    "token": faults.refuse(403, "InvalidClientTokenId"),
    "no token": faults.refuse(403, "MissingAuthenticationTokenException"),
}


@pytest.mark.parametrize(
    ("call", "script", "refusal"),
    [
        *((PART, "GlacierMPU.py", refusal) for refusal in OUT_OF_NOWHERE),
        (PART, "GlacierMPUP.py", "signature"),
        (COMPLETE, "GlacierMPU.py", "token"),
    ],
)
def test_a_lone_refusal_of_credentials_that_worked_is_tried_again(
    run: Run, make_file: MakeFile, tmp_path: Path, script: str, call: str, refusal: str
) -> None:
    source = make_file(3 * MIB)
    lone = Fault(call, OUT_OF_NOWHERE[refusal], times=1, after=1 if call == PART else 0)
    with glacier(tmp_path / "g", lone) as server:
        end = run(script, server, source, "--blocksize", 1)
        assert end.code == 0, end.err
        assert_one_intact_archive(server, source)


@BOTH
def test_credentials_that_are_refused_for_minutes_end_the_run_and_abort_nothing(
    run: Run, make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    refused = Fault(PART, OUT_OF_NOWHERE["signature"], times=FOREVER, after=1)
    with glacier(tmp_path / "g", refused) as server:
        end = run(script, server, make_file(3 * MIB), "--blocksize", 1)
        assert end.code == 3, end.err
        assert end.error_code == "InvalidSignatureException"
        assert handler_of(server).calls.count(PART) >= 12
        assert len(open_uploads(server)) == 1


def test_credentials_that_never_worked_end_the_run_at_once(
    run: Run, make_file: MakeFile, tmp_path: Path
) -> None:
    refused = Fault("InitiateMultipartUpload", OUT_OF_NOWHERE["unknown key"], times=FOREVER)
    with glacier(tmp_path / "g", refused) as server:
        end = run("GlacierMPU.py", server, make_file(MIB))
        assert end.code == 1, end.err
        assert handler_of(server).calls == ["InitiateMultipartUpload"]


# -- the file's side


@pytest.mark.parametrize(
    ("script", "code", "after"),
    [
        ("GlacierMPU.py", errno.EIO, 2),
        ("GlacierMPU.py", errno.ESTALE, 3),
        ("GlacierMPUP.py", errno.EIO, 7),
        ("GlacierMPUP.py", errno.ENOTCONN, 4),
    ],
)
def test_a_file_that_cannot_be_read_for_a_moment_costs_nothing(
    run: Run,
    make_file: MakeFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    code: int,
    after: int,
) -> None:
    source = make_file(4 * MIB)
    flaky = Flaky(code=code, after=after, times=3)
    with glacier(tmp_path / "g") as server, monkeypatch.context() as patch:
        patch.setattr("glacier_mpu.source.file.open", flaky, raising=False)
        end = run(script, server, source, "--blocksize", 1)
        assert end.code == 0, end.err
        assert flaky.failures == 3
        assert_one_intact_archive(server, source)


@BOTH
def test_a_drive_that_is_away_for_a_while_costs_nothing(
    run: Run, make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(24 * MIB)
    away = tmp_path / "away.bin"
    timer = threading.Timer(0.3, lambda: away.rename(source))

    def unplug() -> None:
        source.rename(away)
        timer.start()

    unplugged = Fault(PART, faults.do(unplug), after=2)
    with glacier(tmp_path / "g", unplugged) as server:
        end = run(script, server, source, "--blocksize", 1)
        timer.join()
        assert end.code == 0, end.err
        assert_one_intact_archive(server, source)
    assert "No such file" in end.err
    assert "can be read again" in end.err


@BOTH
def test_a_drive_that_stays_away_ends_the_run_as_one_with_no_block_failed_and_nothing_aborted(
    run: Run, make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(40 * MIB)
    unplugged = Fault(PART, faults.do(lambda: source.rename(tmp_path / "away.bin")), after=2)
    with glacier(tmp_path / "g", unplugged) as server:
        end = run(script, server, source, "--blocksize", 1, *SOON)
        assert end.code == 3, end.err
        assert end.error_code == "SourceLost"
        assert end.record["failedBlocks"] == []
        assert len(open_uploads(server)) == 1


@pytest.mark.parametrize("threads", [1, 3, 32])
@pytest.mark.parametrize("number", [0, 2, 11])
def test_one_block_on_a_bad_spot_of_the_disk_keeps_no_other_from_being_sent(
    run: Run,
    make_file: MakeFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    number: int,
) -> None:
    source = make_file(12 * MIB)
    with glacier(tmp_path / "g") as server, monkeypatch.context() as patch:
        spot = range(number * MIB, (number + 1) * MIB)
        patch.setattr("glacier_mpu.source.file.open", BadSpot(spot), raising=False)
        words = ("--blocksize", 1, "--threads", threads, *SOON)
        end = run("GlacierMPUP.py", server, source, *words)
        assert end.code == 3, end.err
        assert end.record["failedBlocks"] == end.record["missingBlocks"] == [number]


def rewrite_unseen(path: Path, offset: int) -> None:
    """Change a byte and put the times back, as `touch -r` and tools that restore do."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"changed")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@BOTH
def test_bytes_that_change_under_an_unchanged_time_leave_the_upload_open(
    run: Run, make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    """Block 1 is hashed while block 0 is sent at a limited rate, then changed."""
    source = make_file(3 * MIB)

    @faults.at_send
    def rewrite(handler: FaultyHandler, call: Call, answer: Answer) -> None:
        rewrite_unseen(source, MIB)
        Handler.send(handler, call, answer)

    changes = Fault(PART, rewrite, blocks=[0])
    with glacier(tmp_path / "g", changes) as server:
        one = ["--threads", 1] if script == "GlacierMPUP.py" else []
        end = run(script, server, source, "--blocksize", 1, "--max-bandwidth", "2MiB", *one)
        assert end.code == 3, end.err
        assert end.error_code == "SourceChanged"
        assert "block 1" in end.err
        assert "read again" in end.err
        assert len(open_uploads(server)) == 1


@BOTH
def test_a_line_that_damages_one_block_twice_aborts_nothing(
    run: Run, make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    damage = faults.refuse(400, "InvalidParameterValueException", "Checksum mismatch: expected 0")
    damages = Fault(PART, damage, times=2, blocks=[1])
    with glacier(tmp_path / "g", damages) as server:
        end = run(script, server, make_file(3 * MIB), "--blocksize", 1)
        assert end.code == 3, end.err
        assert end.error_code == "InvalidParameterValueException"
        assert end.record["failedBlocks"] == [1]
        assert len(open_uploads(server)) == 1
        assert archives(server) == []
