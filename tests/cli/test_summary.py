"""The first line of a run, and how much it did at its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glacier_mpu.cli.request import look
from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.cli.summary import first_line, summary_line
from glacier_mpu.source.blocks import MIB
from glacier_mpu.transfer.request import FileRequest, Outcome, Status
from tests.support.asked import asked
from tests.support.displays import GIB
from tests.support.kit import write

ENDED = Snapshot(
    phase=Phase.ENDED,
    size=60 * GIB,
    blocks=480,
    bytes_done=20 * GIB + 96 * MIB,
    blocks_done=160,
    bytes_stored=60 * GIB,
    bytes_on_the_way=96 * MIB,
    retries=3,
    elapsed_seconds=6730,
)


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.STORED])
def test_a_run_that_stored_all_tells_size_time_rate_and_retries(status: Status) -> None:
    line = summary_line(Outcome(status=status), ENDED)
    assert line == "stored 60.0 GiB in 1:52:10, 9.1 MiB/s, 3 retries"


@pytest.mark.parametrize(
    ("retries", "text"), [(0, "no retries"), (1, "1 retry"), (1500, "1,500 retries")]
)
def test_retries_are_counted_in_words(retries: int, text: str) -> None:
    line = summary_line(Outcome(status=Status.COMPLETED), replace(ENDED, retries=retries))
    assert line.endswith(f", {text}")


def test_a_resumed_run_tells_what_it_sent_and_what_was_stored_before_it() -> None:
    outcome = Outcome(status=Status.COMPLETED, bytes_skipped=40 * GIB)
    assert summary_line(outcome, replace(ENDED, bytes_stored=20 * GIB)) == (
        "stored 60.0 GiB in 1:52:10 (20.0 GiB sent, 40.0 GiB stored before), 3.0 MiB/s, 3 retries"
    )


def test_a_run_that_sent_nothing_has_no_rate() -> None:
    outcome = Outcome(status=Status.COMPLETED, bytes_skipped=60 * GIB)
    assert summary_line(outcome, replace(ENDED, bytes_stored=0)) == (
        "stored 60.0 GiB in 1:52:10 (all of it stored before), 3 retries"
    )


def test_a_run_that_leaves_its_upload_open_tells_what_is_stored_and_what_was_dropped() -> None:
    assert summary_line(Outcome(status=Status.OPEN), ENDED) == (
        "stored so far: 160 of 480 blocks, 20.0 GiB of 60.0 GiB; 96.0 MiB on the way were dropped"
    )


def test_a_run_that_has_not_compared_all_that_is_stored_says_so() -> None:
    """Else all would seem to be done where every block is stored."""
    stored = replace(ENDED, blocks_done=480, bytes_done=60 * GIB, bytes_on_the_way=0)
    partly = replace(stored, compared=17, to_compare=479)
    assert summary_line(Outcome(status=Status.OPEN), partly) == (
        "stored so far: 480 of 480 blocks, 60.0 GiB of 60.0 GiB, 17 of 479 compared"
    )
    whole = replace(stored, compared=479, to_compare=479)
    assert "compared" not in summary_line(Outcome(status=Status.OPEN), whole)


def test_where_nothing_was_on_its_way_nothing_was_dropped() -> None:
    line = summary_line(Outcome(status=Status.OPEN), replace(ENDED, bytes_on_the_way=0))
    assert "dropped" not in line


@pytest.mark.parametrize(
    ("status", "snapshot"),
    [(Status.OPEN, Snapshot(phase=Phase.ENDED)), (Status.FAILED, ENDED), (Status.UNKNOWN, ENDED)],
    ids=["never opened", "failed", "unknown"],
)
def test_where_nothing_is_known_to_be_stored_nothing_is_said(
    status: Status, snapshot: Snapshot
) -> None:
    assert summary_line(Outcome(status=status), snapshot) == ""


def test_the_first_line_names_the_file_its_size_its_blocks_and_the_vault(tmp_path: Path) -> None:
    source = write(tmp_path / "a file.bin", bytes(5 * MIB))
    request = FileRequest(source=source, description="", block_size=MIB)
    line = first_line(request, vault="photos")
    assert line == f"uploading '{source.path}' (5.0 MiB, 5 blocks of 1 MiB) to vault photos"


def test_the_first_line_tells_no_blocks_where_an_open_upload_may_have_others(
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "f", b"12345")
    request = FileRequest(source=source, description="", resume=True)
    line = first_line(request, vault="photos")
    assert line == f"uploading '{source.path}' (5 B) to vault photos"


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        (["--source-path", "-"], "standard input"),
        (["--source-command", "tar c /data | zstd"], "the output of 'tar c /data | zstd'"),
        (["--", "tar", "c", "/data"], "the output of 'tar c /data'"),
    ],
    ids=["stdin", "line", "program"],
)
def test_the_first_line_says_what_a_stream_is(arguments: list[str], called: str) -> None:
    _, request = look(asked(*arguments))
    assert first_line(request, vault="photos") == f"uploading {called} to vault photos"


MID_STREAM = replace(ENDED, size=None, blocks=None, bytes_read=21 * GIB, bytes_spooled=192 * MIB)


def test_a_stream_that_was_not_read_to_its_end_tells_what_was_read_in_vain() -> None:
    """What a resumed upload holds besides is known of no stream before that is read."""
    left = summary_line(Outcome(status=Status.OPEN), replace(MID_STREAM, upload_id="an-id"))
    assert left == (
        "read and stored so far: 160 blocks, 20.0 GiB; 192.0 MiB more were read and dropped"
    )
    none_dropped = replace(MID_STREAM, upload_id="an-id", bytes_spooled=0)
    assert summary_line(Outcome(status=Status.OPEN), none_dropped).endswith("20.0 GiB")


def test_of_a_stream_whose_upload_was_never_open_nothing_is_said() -> None:
    assert summary_line(Outcome(status=Status.OPEN), MID_STREAM) == ""
