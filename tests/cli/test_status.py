"""What a monitor is told of one run, and when."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.cli.options import UsageError, parse
from glacier_mpu.cli.report import as_record
from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.cli.status import StatusReport
from glacier_mpu.cli.status_file import StatusFile
from glacier_mpu.errors import SourceUnreadable
from glacier_mpu.transfer.request import Outcome, Status
from tests.support.documents import section
from tests.support.kit import Clock
from tests.support.scripts import script_parser

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=timezone.utc)
SENDING = Snapshot(
    phase=Phase.SENDING,
    upload_id="an-id",
    size=1000,
    blocks=10,
    bytes_done=350,
    blocks_done=3,
    blocks_failed=1,
    to_compare=4,
    compared=2,
    bytes_on_the_way=50,
    rate=12.6,
    seconds_left=51.6,
    stalled_seconds=0.4,
    retries=7,
)
MID_STREAM = Snapshot(
    phase=Phase.SENDING,
    upload_id="an-id",
    bytes_done=900,
    blocks_done=2,
    bytes_on_the_way=100,
    bytes_read=1000,
    bytes_spooled=200,
    source_silent_seconds=12.4,
)


class Kept(StatusFile):
    """A status file that keeps what would be written."""

    def __init__(self, path: str, first: Mapping[str, object], **_: object) -> None:
        self.records: list[Mapping[str, object]] = [first]
        self.failing = ""

    @property
    def trouble(self) -> str:
        return self.failing

    def put(self, record: Mapping[str, object]) -> None:
        self.records.append(record)

    def end(self, last: Mapping[str, object], *, seconds: float) -> str:
        assert seconds <= 1
        self.put(last)
        return self.failing


class Monitored:
    """A run whose time passes by hand, and what its status file was told."""

    def __init__(self, *flags: str, source: Sequence[str] = ("--source-path", "a.zip")) -> None:
        self.clock = Clock()
        began = self.clock()
        words = ["--vault", "photos", "--status-file", "s.json", *flags, *source]
        self.warnings: list[str] = []
        made: list[Kept] = []

        def make(*given: Any, **rest: Any) -> Kept:
            made.append(Kept(*given, **rest))
            return made[0]

        self.report = StatusReport(
            parse(script_parser("GlacierMPUP.py"), words, command=["GlacierMPUP.py"]),
            warn=self.warnings.append,
            clock=self.clock,
            now=lambda: NOON + timedelta(seconds=self.clock() - began),
            make_file=make,
        )
        self.file = made[0]

    def ends(self, outcome: Outcome, *, exit_code: int) -> Mapping[str, object]:
        self.report.end(as_record(outcome, None, seconds=1), exit_code=exit_code)
        return self.file.records[-1]


def test_the_first_object_says_that_the_upload_is_being_opened() -> None:
    (first,) = Monitored().file.records
    assert (first["phase"], first["exitCode"], first["pid"]) == ("opening", None, os.getpid())
    assert first["sourcePath"] == str(Path.cwd() / "a.zip")
    assert (first["vault"], first["uploadId"], first["size"]) == ("photos", None, None)


def test_an_object_tells_how_far_the_run_is() -> None:
    run = Monitored()
    run.clock.passes(90)
    run.report.see(SENDING)
    assert run.file.records[-1] == {
        "phase": "sending",
        "status": None,
        "exitCode": None,
        "error": None,
        "sourcePath": str(Path.cwd() / "a.zip"),
        "sourceCommand": None,
        "vault": "photos",
        "uploadId": "an-id",
        "bytes": 350,
        "size": 1000,
        "blocksDone": 3,
        "blocks": 10,
        "blocksFailed": 1,
        "blocksCompared": 2,
        "blocksToCompare": 4,
        "rate": 13,
        "secondsLeft": 52,
        "secondsStalled": 0,
        "bytesRead": None,
        "bytesSpooled": None,
        "secondsSilent": 0,
        "retries": 7,
        "pid": os.getpid(),
        "began": "2026-01-02T12:00:00+00:00",
        "beganUnix": 1767355200,
        "updated": "2026-01-02T12:01:30+00:00",
        "updatedUnix": 1767355290,
    }


def test_an_object_tells_of_a_stream_what_is_known_before_its_end() -> None:
    run = Monitored(source=("--", "tar", "c", "/data"))
    run.report.see(MID_STREAM)
    told = run.file.records[-1]
    assert (told["sourcePath"], told["sourceCommand"]) == (None, "tar c /data")
    assert (told["bytes"], told["size"], told["blocksDone"], told["blocks"]) == (900, None, 2, None)
    assert (told["bytesRead"], told["bytesSpooled"], told["secondsSilent"]) == (1000, 200, 12)
    ended = run.ends(Outcome(status=Status.OPEN), exit_code=3)
    assert (ended["bytesRead"], ended["bytesSpooled"], ended["secondsSilent"]) == (1000, 0, 0)


def test_the_file_is_replaced_every_five_seconds_and_in_each_new_phase() -> None:
    run = Monitored()
    seen = []
    for tick in range(60):
        run.report.see(replace(SENDING, bytes_done=tick))
        run.clock.passes(0.25)
        seen.append(run.file.records[-1]["bytes"])
    assert [seen[0], seen[19], seen[20], seen[39], seen[40], seen[59]] == [0, 0, 20, 20, 40, 40]
    run.report.see(replace(SENDING, phase=Phase.COMPLETING))
    assert run.file.records[-1]["phase"] == "completing"


def test_the_last_object_says_how_the_run_ended_and_that_nothing_is_on_its_way() -> None:
    run = Monitored()
    run.report.see(SENDING)
    outcome = Outcome(status=Status.OPEN, error=SourceUnreadable("a.zip: EIO"))
    last = run.ends(outcome, exit_code=3)
    assert (last["phase"], last["status"], last["exitCode"]) == ("ended", "open", 3)
    assert (last["bytes"], last["rate"], last["secondsLeft"]) == (300, 0, None)
    assert isinstance(last["error"], dict)
    assert last["error"]["code"] == "SourceUnreadable"
    assert list(last) == list(run.file.records[0])


def test_trouble_with_the_file_is_warned_of_once() -> None:
    run = Monitored()
    run.report.see(SENDING)
    assert run.warnings == []
    run.file.failing = "No space left on device"
    run.report.see(SENDING)
    run.report.see(SENDING)
    run.ends(Outcome(status=Status.COMPLETED), exit_code=0)
    assert run.warnings == ["the status file 's.json' cannot be written: No space left on device"]


def test_without_the_flag_nothing_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--source-path", "a.zip", "--vault", "photos"]
    options = parse(script_parser("GlacierMPU.py"), words, command=["GlacierMPU.py"])
    report = StatusReport(options, warn=lambda text: pytest.fail(text))
    report.see(SENDING)
    report.end(as_record(Outcome(status=Status.COMPLETED), None, seconds=1), exit_code=0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("flag", ["--source-path", "--receipts"])
def test_the_status_replaces_neither_the_source_nor_the_receipts(flag: str) -> None:
    words = ["--source-path", "a.zip", "--vault", "photos", "--status-file", "b", f"{flag}=./b"]
    options = parse(script_parser("GlacierMPU.py"), words, command=["GlacierMPU.py"])
    with pytest.raises(UsageError, match="cannot write the status to 'b': it is the file"):
        StatusReport(options, warn=lambda text: pytest.fail(text))


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_the_documented_line_makes_metrics_for_prometheus_of_it(tmp_path: Path) -> None:
    section_of_it = section("docs/json.md", "The status file")
    (line,) = (line for line in section_of_it.splitlines() if line.startswith("jq "))
    run = Monitored("--comment", "x", "--source-path", 'C:\\a "b".zip')
    run.report.see(SENDING)
    last = run.ends(Outcome(status=Status.COMPLETED), exit_code=0)

    def metrics(record: Mapping[str, object]) -> list[str]:
        (tmp_path / "status.json").write_text(json.dumps(record))
        subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
        return (tmp_path / "glacier.prom").read_text().splitlines()

    source = json.dumps(last["sourcePath"])
    of = f'{{vault="photos",source={source}}}'
    assert metrics(run.file.records[1]) == [
        f"glacier_mpu_bytes{of} 350",
        f"glacier_mpu_size_bytes{of} 1000",
        f"glacier_mpu_rate{of} 13",
        f"glacier_mpu_seconds_left{of} 52",
        f"glacier_mpu_stalled_seconds{of} 0",
        f"glacier_mpu_blocks_failed{of} 1",
        f"glacier_mpu_retries{of} 7",
        f"glacier_mpu_updated{of} 1767355200",
        f"glacier_mpu_failed{of} 0",
    ]
    assert f"glacier_mpu_exit_code{of} 0" in metrics(last)
    assert not any("seconds_left" in line for line in metrics(last))
    assert f"glacier_mpu_failed{of} 1" in metrics(dict(last) | {"error": {"code": "NoVault"}})
