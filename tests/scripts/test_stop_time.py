"""The nightly window: a run ends at its stop time, and the next one goes on where it was left.

Times of the day are those of a time zone of the test's own, in which it is about seven.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.faults import FOREVER, Fault, cut_before_reading
from tests.support.in_process import (
    MIB,
    End,
    MakeFile,
    assert_one_intact_archive,
    glacier,
    open_uploads,
)
from tests.support.scripts import ROOT, VAULT, assert_nothing_secret, script_environment

PART = "UploadMultipartPart"
needs_zones = pytest.mark.skipif(os.name == "nt", reason="Windows takes no time zone from TZ")


def zone_in_which_it_is(hour: int, minute: int, second: int) -> str:
    """Return a TZ in which it is this time of the day now."""
    now = datetime.now(timezone.utc)
    wanted = now.replace(hour=hour, minute=minute, second=second)
    west = (now - wanted) % timedelta(days=1)
    hours, rest = divmod(int(west.total_seconds()), 3600)
    # POSIX takes up to 24 hours west of Greenwich, and a positive number is west.
    return f"TST{hours}:{rest // 60:02}:{rest % 60:02}"


def carried_out(
    script: str, server: RehearsalServer, source: Path, *arguments: object, zone: str = "UTC"
) -> End:
    words = [sys.executable, str(ROOT / script), "--source-path", source, "--vault", VAULT]
    words += ["--output=json", "--endpoint-url", server.endpoint_url, "--blocksize", 1, *arguments]
    done = subprocess.run(
        list(map(str, words)),
        env=script_environment(server) | {"TZ": zone},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert_nothing_secret(done.stdout + done.stderr)
    return End(done.returncode, json.loads(done.stdout), done.stderr)


def test_a_run_that_stops_after_its_time_exits_3_and_the_next_one_finishes(
    make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(12 * MIB)
    with glacier(tmp_path / "g") as server:
        window = ("--resume", "--max-bandwidth", "1MB", "--stop-after", "2s")
        first = carried_out("GlacierMPUP.py", server, source, *window)
        assert first.code == 3, first.err
        assert (first.record["status"], first.record["error"]) == ("open", None)
        assert "stopping after 0:00:02" in first.err
        assert "stopped after 0:00:02 as asked" in first.err
        assert "error" not in first.err
        assert "--stop-after=2s" in str(first.record["resumeCommand"])
        last = carried_out("GlacierMPUP.py", server, source, "--resume", "--stop-after", "1h")
        assert last.code == 0, last.err
        assert_one_intact_archive(server, source)


@needs_zones
def test_a_run_that_stops_at_a_time_exits_3_and_the_next_night_finishes(
    make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(12 * MIB)
    with glacier(tmp_path / "g") as server:
        window = ("--resume", "--stop-at", "07:00")
        before = zone_in_which_it_is(6, 59, 54)
        first = carried_out(
            "GlacierMPU.py", server, source, "--max-bandwidth=1MB", *window, zone=before
        )
        assert first.code == 3, first.err
        assert (first.record["status"], first.record["error"]) == ("open", None)
        assert "stopped at 07:00 as asked" in first.err
        evening = zone_in_which_it_is(22, 0, 0)
        last = carried_out("GlacierMPU.py", server, source, *window, zone=evening)
        assert last.code == 0, last.err
        assert_one_intact_archive(server, source)


@needs_zones
@pytest.mark.parametrize("flags", [["--resume"], []], ids=["resume", "new"])
def test_in_the_very_minute_of_its_stop_time_a_run_begins_nothing(
    make_file: MakeFile, tmp_path: Path, flags: list[str]
) -> None:
    zone = zone_in_which_it_is(7, 0, 5)
    with glacier(tmp_path / "g") as server:
        end = carried_out(
            "GlacierMPUP.py", server, make_file(5), "--stop-at=07:00", *flags, zone=zone
        )
        assert end.code == 3, end.err
        assert "stopped at 07:00 as asked" in end.err
        assert end.err.splitlines()[-1] == end.record["resumeCommand"]
        assert "--upload-id" not in str(end.record["resumeCommand"])
        assert open_uploads(server) == []


@needs_zones
def test_a_quiet_run_that_ends_at_its_stop_time_sends_no_mail(
    make_file: MakeFile, tmp_path: Path
) -> None:
    zone = zone_in_which_it_is(7, 0, 5)
    with glacier(tmp_path / "g") as server:
        quiet = ("--quiet", "--resume", "--stop-at=07:00")
        end = carried_out("GlacierMPUP.py", server, make_file(5), *quiet, zone=zone)
        assert (end.code, end.err) == (3, "")


def test_an_outage_holds_no_script_past_its_stop_time(make_file: MakeFile, tmp_path: Path) -> None:
    """Its calls would be retried for a quarter of an hour."""
    source = make_file(6 * MIB)
    dead = Fault(PART, cut_before_reading, times=FOREVER, after=2)
    with glacier(tmp_path / "g", dead) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.support.fast_script", "GlacierMPUP.py"),
                *("--source-path", str(source), "--vault", VAULT, "--blocksize", "1"),
                *("--endpoint-url", server.endpoint_url, "--stop-after", "2s", "--resume"),
            ],
            cwd=ROOT,
            env=script_environment(server) | {"EIO_AT": "100000"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 3, done.stderr
        assert "no connection" in done.stderr
        assert "stopped after 0:00:02 as asked" in done.stderr
        assert "blocks-missing: " in done.stdout
        assert len(open_uploads(server)) == 1
        last = carried_out("GlacierMPUP.py", server, source, "--resume")
        assert last.code == 0, last.err
        assert_one_intact_archive(server, source)


@needs_zones
def test_a_timetable_is_kept_by_the_local_clock_and_its_change_is_told(
    make_file: MakeFile, tmp_path: Path
) -> None:
    """At a byte a second the file would take months; it is sent once there is no limit."""
    source = make_file(3 * MIB)
    zone = zone_in_which_it_is(6, 59, 54)
    with glacier(tmp_path / "g") as server:
        limit = ("--max-bandwidth", "01:00,1B 07:00,off")
        end = carried_out("GlacierMPUP.py", server, source, *limit, zone=zone)
        assert end.code == 0, end.err
        assert "bandwidth: 1 B/s since " in end.err
        assert "bandwidth: no limit from 07:00" in end.err
        assert_one_intact_archive(server, source)
