"""How far a run is, in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glacier_mpu.cli.figures import as_rate
from glacier_mpu.cli.progress_line import as_minutes, percent, progress_line
from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.source.blocks import MIB
from tests.support.displays import COMPARING, GIB, SENDING


@pytest.mark.parametrize(
    ("snapshot", "line"),
    [
        (
            SENDING,
            "sending: 160 of 480 blocks, 20.0 GiB of 60.0 GiB (33 %), 9.5 MiB/s, 1:12:10 left",
        ),
        (
            replace(SENDING, to_compare=1015, compared=130, blocks_failed=2),
            "sending: 160 of 480 blocks, 20.0 GiB of 60.0 GiB (33 %), 9.5 MiB/s, 1:12:10 left, "
            "130 of 1,015 compared, 2 failed",
        ),
        (
            replace(SENDING, rate=0, seconds_left=None, stalled_seconds=58),
            "sending: 160 of 480 blocks, 20.0 GiB of 60.0 GiB (33 %), stalled 0:58",
        ),
        (
            replace(SENDING, rate=0, seconds_left=None, is_reading=True),
            "sending: 160 of 480 blocks, 20.0 GiB of 60.0 GiB (33 %), reading",
        ),
        (
            COMPARING,
            "comparing: 10 of 40 blocks compared, 1.0 GiB of 5.0 GiB (20 %), 9.5 MiB/s, "
            "1:12:10 left",
        ),
        (Snapshot(phase=Phase.OPENING, elapsed_seconds=70), "opening the upload: 0:01:10 so far"),
        (
            Snapshot(phase=Phase.OPENING, stalled_seconds=70, elapsed_seconds=90),
            "opening the upload: stalled 1:10",
        ),
        (
            replace(SENDING, phase=Phase.ENDED, rate=0, seconds_left=None),
            "ended: 160 of 480 blocks, 20.0 GiB of 60.0 GiB (33 %)",
        ),
    ],
    ids=[
        "sending",
        "comparing beside",
        "stalled",
        "reading",
        "comparing",
        "opening",
        "cannot open",
        "ended",
    ],
)
def test_the_line_says_what_is_done_how_far_it_is_and_how_fast(
    snapshot: Snapshot, line: str
) -> None:
    assert progress_line(snapshot) == line


def test_a_hundred_percent_is_said_only_when_all_is_done() -> None:
    assert percent(replace(SENDING, bytes_done=60 * GIB - 1)) == 99
    assert percent(replace(SENDING, bytes_done=60 * GIB)) == 100


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (1, "0.0 KiB/s"),
        (100 * 1024, "100.0 KiB/s"),
        (MIB, "1.0 MiB/s"),
        (1100 * MIB, "1,100.0 MiB/s"),
    ],
)
def test_rates_are_written_for_people(rate: float, text: str) -> None:
    assert as_rate(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(10, "0:10"), (725.9, "12:05"), (3599, "59:59"), (3600, "1:00:00"), (90_000, "1 d 1:00:00")],
)
def test_times_of_a_stall_are_written_for_people(seconds: float, text: str) -> None:
    assert as_minutes(seconds) == text
