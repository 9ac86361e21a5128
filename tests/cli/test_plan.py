"""What a dry run tells: blocks, requests, and how long they take at a limit or over some lines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from glacier_mpu.cli.options import Options, parse
from glacier_mpu.cli.plan import plan_lines, plan_record, plan_warnings, suggested_block_size
from glacier_mpu.source.blocks import LARGEST_FILE, MIB, Plan
from tests.support.scripts import VAULT, script_parser

PLAN = Plan(5 * MIB, MIB)
GIB_100 = Plan(800 * 128 * MIB, 128 * MIB)
EVENING = datetime(2026, 11, 24, 18)


def options(*arguments: str, script: str = "GlacierMPUP.py") -> Options:
    words = ["--source-path", "/a file.zip", "--vault", VAULT, *arguments]
    return parse(script_parser(script), words, command=[script])


def record(plan: Plan, *arguments: str, script: str = "GlacierMPUP.py") -> dict[str, object]:
    return plan_record(options(*arguments, script=script), plan, now=EVENING)


def lines(plan: Plan, *arguments: str, script: str = "GlacierMPUP.py") -> dict[str, str]:
    made = plan_lines(options(*arguments, script=script), plan, now=EVENING)
    return dict(line.split(": ", 1) for line in made)


def test_a_dry_run_counts_the_requests_and_names_where_the_prices_are() -> None:
    some = record(PLAN, "--start=1", "--end=2", "--finish-upload=False")
    assert (some["blocksToSend"], some["requests"], some["bytesToSend"]) == ("1-2", 3, 2 * MIB)
    assert record(PLAN)["requests"] == 5 + 2
    assert record(PLAN, "--upload-id=x")["requests"] == 5 + 1
    assert lines(PLAN)["prices"] == "https://aws.amazon.com/s3/glacier/pricing/"


def test_a_dry_run_says_whether_the_last_block_is_shorter_and_the_block_size_may_change() -> None:
    shorter = Plan(5 * MIB + 1, MIB)
    assert lines(shorter)["last-block"] == "5 (1 bytes, shorter than the others)"
    assert "an open upload keeps its own" in lines(shorter, "--resume")["block-size"]
    assert "an open upload keeps its own" not in lines(PLAN)["block-size"]


def test_sizes_are_exact_and_for_people_too() -> None:
    told = lines(GIB_100)
    assert told["size"] == "107374182400 (100.0 GiB)"
    assert told["block-size"] == "134217728 (128 MiB)"


def test_at_a_limit_it_says_how_long_the_whole_and_a_block_take() -> None:
    told = lines(GIB_100, "--max-bandwidth=1MB", "--threads=2")
    assert told["time"] == "29.8 hours at 1 MB/s; 4.5 minutes a block, 2 at once"
    assert record(GIB_100, "--max-bandwidth=1MB", "--threads=2")["estimates"] == [
        {"lineMbit": None, "seconds": 107374.2, "secondsPerBlock": 268.4}
    ]


def test_without_a_limit_there_is_a_time_for_each_of_three_lines() -> None:
    told = lines(GIB_100, script="GlacierMPU.py")
    assert told["time-at-10-Mbit/s"] == "23.9 hours; 1.8 minutes a block"
    assert [key for key in told if key.startswith("time")] == [
        "time-at-10-Mbit/s",
        "time-at-100-Mbit/s",
        "time-at-1000-Mbit/s",
    ]
    made: Any = record(GIB_100)["estimates"]
    assert [estimate["lineMbit"] for estimate in made] == [10, 100, 1000]


def test_by_a_timetable_it_says_when_it_would_be_done() -> None:
    told = lines(GIB_100, "--max-bandwidth=08:00,1MB 20:00,2MB", "--threads=1")
    # 7.2 GB by 20:00, and 86.4 GB in the night; the rest takes 3.8 hours from 08:00 on.
    assert told["time"] == (
        "17.8 hours, until 2026-11-25 11:49 if it begins now; at most 2.2 minutes a block"
    )


def test_a_timetable_with_times_without_a_limit_is_told_for_each_line() -> None:
    told = lines(GIB_100, "--max-bandwidth=08:00,1MB 20:00,off", "--threads=1")
    assert told["time-at-1000-Mbit/s"].startswith("2.2 hours, until 2026-11-24 20:13")
    assert "time" not in told


def test_a_time_beyond_all_calendars_names_no_day() -> None:
    most = Plan(LARGEST_FILE, 4096 * MIB)
    told = lines(most, "--max-bandwidth=08:00,1B 20:00,2B")
    assert "until" not in told["time"]


def test_a_block_of_over_five_minutes_is_warned_of_with_the_size_that_suits() -> None:
    slow = options("--max-bandwidth=08:00,1MB 19:00,off")
    assert plan_warnings(slow, GIB_100) == [
        "at 1 MB/s a block takes 6.7 minutes, 3 at once, and one that fails is sent again from "
        "its first byte; with --blocksize 64 it takes 3.4 minutes"
    ]
    assert suggested_block_size(slow, GIB_100) == 64 * MIB
    assert plan_warnings(options("--max-bandwidth=1MB", script="GlacierMPU.py"), GIB_100) == []
    assert plan_warnings(options(), GIB_100) == []


@pytest.mark.parametrize(
    "arguments",
    [["--max-bandwidth=1kB"], ["--max-bandwidth=1MB", "--upload-id=x"]],
    ids=" ".join,
)
def test_where_no_other_size_can_be_chosen_or_helps_none_is_named(arguments: list[str]) -> None:
    slow = options(*arguments)
    (warning,) = plan_warnings(slow, GIB_100)
    assert "--blocksize" not in warning
    assert suggested_block_size(slow, GIB_100) is None


def test_no_suggested_size_makes_more_blocks_than_glacier_takes() -> None:
    plan = Plan(9_000 * 128 * MIB, 128 * MIB)
    assert suggested_block_size(options("--max-bandwidth=1MB"), plan) is None
