"""What a dry run tells of a stream: what is known before its end, and the room in the spool."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.cli.plan import plan_record
from glacier_mpu.cli.request import look
from glacier_mpu.cli.stream_plan import stream_lines, stream_record, stream_warnings
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.transfer.request import StreamRequest
from tests.support.asked import asked
from tests.support.scripts import run

GIB = 1024 * MIB
EVENING = datetime(2026, 11, 24, 18)


def record(*arguments: str, script: str = "GlacierMPUP.py") -> dict[str, Any]:
    options, request = look(asked("--source-path=-", *arguments, script=script))
    assert isinstance(request, StreamRequest)
    return stream_record(options, request, now=EVENING)


def lines(*arguments: str, script: str = "GlacierMPUP.py") -> dict[str, str]:
    options, request = look(asked("--source-path=-", *arguments, script=script))
    assert isinstance(request, StreamRequest)
    return dict(line.split(": ", 1) for line in stream_lines(options, request, now=EVENING))


def test_before_its_end_nothing_is_known_of_a_stream_but_its_blocks_and_its_spool() -> None:
    made = record()
    known = ("status", "blockSize", "mostSize", "blocksAtOnce", "spool", "spoolSize")
    assert {name for name in made if made[name] not in (None, [])} == set(known)
    assert (made["blockSize"], made["mostSize"]) == (128 * MIB, 1_342_177_280_000)
    assert made["spoolSize"] == 4 * 128 * MIB
    assert os.path.isdir(made["spool"])
    assert lines()["size"] == "not known before the stream ends"
    assert lines()["requests"].startswith("one for each block, and 2 more")
    assert "--expected-size or --blocksize" in lines()["largest-stream"]


def test_the_members_are_those_of_a_file() -> None:
    options = asked("--source-path=f")
    assert set(record()) == set(plan_record(options, Plan(MIB, MIB), now=EVENING))


def test_an_expected_size_bounds_the_blocks_the_requests_and_the_time() -> None:
    made, told = record("--expected-size=8TB"), lines("--expected-size=8TB")
    assert (made["size"], made["lastBlock"], made["blocksToSend"]) == (None, None, None)
    assert (made["blockSize"], made["blocks"], made["requests"]) == (GIB, 7451, 7453)
    assert told["blocks"] == "at most 7451"
    assert told["time-at-100-Mbit/s"].startswith("at most 7.4 days")
    assert told["size"] == "at most 8000000000000 (7.3 TiB), as expected"
    assert "--expected-size" not in told["largest-stream"]


def test_the_spool_has_room_for_one_block_more_than_are_sent_at_once() -> None:
    assert record("--threads=7", "--blocksize=16", "--spool=/s")["spoolSize"] == 8 * 16 * MIB
    assert record(script="GlacierMPU.py")["spoolSize"] == 2 * 128 * MIB
    assert lines("--spool=no such folder")["spool"] == "no such folder"
    assert lines()["spool-size"] == "536870912 (512.0 MiB: 4 blocks)"
    assert "up to 33" in lines("--threads=auto")["spool-size"]


def test_a_spool_without_the_room_is_warned_of_with_what_to_do(tmp_path: Path) -> None:
    options, request = look(asked(f"--spool={tmp_path}/nowhere", "--source-path=-"))
    assert isinstance(request, StreamRequest)
    (warning,) = stream_warnings(options, request)
    assert "nowhere" in warning
    assert "give --spool a folder on a disk that has room for 512.0 MiB" in warning
    fits = ("--spool", str(tmp_path), "--expected-size=1MiB")
    options, request = look(asked(*fits, "--source-path=-"))
    assert isinstance(request, StreamRequest)
    assert stream_warnings(options, request) == []


def test_a_small_stream_needs_no_more_room_than_it_is_large() -> None:
    made = record("--expected-size=5MiB", "--blocksize=4")
    assert made["spoolSize"] == 5 * MIB


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_dry_run_of_a_command_runs_nothing_and_prints_one_result(kind: str) -> None:
    ended = run(
        "GlacierMPU.py", "--dry-run", "--output", kind, "--vault=v", "--", "no-such-program"
    )
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)["spoolSize"] if kind == "json" else ended.result["spool-size"]
    assert str(told).startswith(str(2 * 128 * MIB))


def test_an_open_upload_keeps_its_own_blocks() -> None:
    assert "an open upload keeps its own" in lines("--upload-id=x")["block-size"]
    assert "an open upload keeps its own" not in lines()["block-size"]
    assert lines("--upload-id=x")["requests"].startswith("one for each block, and 1 more")
