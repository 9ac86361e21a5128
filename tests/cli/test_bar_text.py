"""What the bar's line has room for, at every width."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glacier_mpu.cli.bar_text import bar_text
from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.source.blocks import MIB
from tests.support.displays import COMPARING, GIB, SENDING

TIB = 1 << 40
# Of 60 columns the display leaves three to the terminal.
FROM_SIXTY = range(57, 140)
# The longest figures of any run: 40 TB in 10,000 blocks over a line of 10 Gbit/s, days to go.
LARGEST = Snapshot(
    phase=Phase.SENDING,
    size=40_000_000_000_000,
    blocks=10_000,
    bytes_done=39_999_999_999_999,
    blocks_done=9_999,
    rate=1192 * MIB,
    seconds_left=12 * 86400,
)


def line(snapshot: Snapshot, columns: int) -> str:
    """Return the line as tqdm draws it, with a bar that fills the room that is left."""
    text = bar_text(snapshot, columns=columns)
    return text.replace("{bar}", "#" * max(1, columns - len(text) + len("{bar}")))


def test_a_wide_line_says_all() -> None:
    beside = replace(SENDING, to_compare=1015, compared=130, blocks_failed=1, elapsed_seconds=2352)
    assert line(beside, 132) == (
        "sending  33%|" + "#" * 17 + "| 20.0/60.0 GiB, 9.5 MiB/s, 1:12:10 left, 160/480 blocks, "
        "130/1,015 compared, 1 failed, 0:39:12 so far"
    )


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (120, "| 20.0/60.0 GiB, 9.5 MiB/s, 1:12:10 left, 160/480 blocks, 0:00:00 so far"),
        (80, "| 20.0/60.0 GiB, 9.5 MiB/s, 1:12:10 left, 160/480 blocks"),
        (60, "| 9.5 MiB/s, 1:12:10 left, 160/480 blocks"),
        (40, "| 9.5 MiB/s, 1:12:10"),
        (20, "| "),
    ],
)
def test_a_narrower_line_leaves_out_what_matters_less(columns: int, expected: str) -> None:
    assert line(SENDING, columns).endswith("#" + expected)
    assert "33%|" in line(SENDING, columns)


@pytest.mark.parametrize(
    "snapshot", [LARGEST, replace(LARGEST, blocks_failed=10_000, to_compare=9_999, compared=9_998)]
)
def test_from_sixty_columns_on_bar_percent_rate_time_and_blocks_fit(snapshot: Snapshot) -> None:
    for columns in FROM_SIXTY:
        shown = line(snapshot, columns)
        assert len(shown) == columns
        for figure in ("99%|####", "1,192.0 MiB/s", "12 d 0:00:00", "9,999/10,000"):
            assert figure in shown


def test_comparing_beside_sending_stands_in_the_same_line() -> None:
    for columns in FROM_SIXTY:
        shown = line(replace(SENDING, to_compare=1015, compared=130), columns)
        assert len(shown) == columns
        assert "130/1,015 compared" in shown or "12% compared" in shown
        assert "160/480" in shown


def test_a_bar_of_comparing_says_so() -> None:
    for columns in FROM_SIXTY:
        shown = line(COMPARING, columns)
        assert len(shown) == columns
        assert " 20%|" in shown
        assert "10/40 compared" in shown
        assert "160/480" not in shown


def test_a_stall_is_said_in_place_of_rate_and_time() -> None:
    stalled = replace(SENDING, rate=0, seconds_left=None, stalled_seconds=58)
    for columns in range(27, 140):
        shown = line(stalled, columns)
        assert len(shown) == columns
        assert "| stalled 0:58" in shown or ", stalled 0:58" in shown
        assert "/s" not in shown
        assert "left" not in shown


def test_a_very_narrow_line_is_never_longer_than_its_percent_and_a_bar() -> None:
    for columns in range(1, 57):
        assert len(line(LARGEST, columns)) <= max(columns, len(" 99%|#| "))


def test_both_sizes_are_in_one_unit() -> None:
    large = replace(SENDING, size=2 * TIB, bytes_done=TIB)
    assert "| 1.0/2.0 TiB," in line(large, 120)
    assert "| 5/9 B," in line(replace(SENDING, size=9, bytes_done=5), 120)


# -- a stream

MID_STREAM = Snapshot(
    phase=Phase.SENDING,
    upload_id="an-id",
    blocks_done=12,
    bytes_stored=GIB,
    bytes_on_the_way=GIB // 2,
    bytes_read=2 * GIB,
    bytes_spooled=384 * MIB,
    rate=5.2 * MIB,
)
# The longest figures: 40 TB in 10,000 blocks of 4 GiB, 33 of them in the spool.
MUCH = replace(
    MID_STREAM,
    blocks_done=9_999,
    bytes_stored=1000 * TIB,
    bytes_read=1000 * TIB,
    bytes_spooled=132 * GIB,
    rate=1192 * MIB,
    blocks_failed=10,
    elapsed_seconds=30 * 86400,
)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            120,
            "sending 1.5 GiB sent, 2.0 GiB read, 5.2 MiB/s, 12 blocks stored, "
            "384.0 MiB in the spool, 0:00:00 so far",
        ),
        (80, "1.5 GiB sent, 2.0 GiB read, 5.2 MiB/s, 12 blocks stored, 384.0 MiB spooled"),
        (60, "1.5 GiB sent, 2.0 GiB read, 5.2 MiB/s, 12 blocks stored"),
        (40, "1.5 GiB sent, 5.2 MiB/s, 12 blocks"),
        (20, "12 blocks"),
    ],
)
def test_a_stream_without_an_expected_size_has_no_bar(columns: int, expected: str) -> None:
    assert bar_text(MID_STREAM, columns=columns - 3) == expected


def test_the_line_of_a_stream_is_never_longer_than_the_terminal() -> None:
    for snapshot in (MID_STREAM, MUCH, replace(MUCH, source_silent_seconds=86400 * 30)):
        for columns in range(1, 140):
            assert len(bar_text(snapshot, columns=columns)) <= columns


def test_a_stream_that_is_waited_for_says_so_from_forty_columns_on() -> None:
    waits = replace(MID_STREAM, rate=0.0, source_silent_seconds=72)
    for columns in FROM_SIXTY:
        assert "waiting for the stream 1:12" in bar_text(waits, columns=columns)
    assert "waiting 1:12" in bar_text(waits, columns=37)


def test_an_expected_size_gives_a_stream_its_bar() -> None:
    expected = replace(MID_STREAM, size=8 * GIB, bytes_done=2 * GIB, seconds_left=1260)
    assert line(expected, 117) == (
        "sending  25%|"
        + "#" * 8
        + "| 2.0/8.0 GiB, 5.2 MiB/s, 0:21:00 left, 12 blocks stored, 384.0 MiB in the spool, "
        "0:00:00 so far"
    )
    for columns in FROM_SIXTY:
        shown = line(expected, columns)
        assert len(shown) == columns
        assert "5.2 MiB/s, 0:21:00" in shown
        assert "12 blocks" in shown


def test_no_percent_is_all_before_the_end_of_a_stream() -> None:
    full = replace(MID_STREAM, size=GIB, bytes_done=GIB)
    assert " 99%|" in line(full, 80)
    assert "100%|" in line(replace(full, blocks=12), 80)


def test_a_stream_that_has_ended_is_shown_as_a_file_is() -> None:
    ended = replace(MID_STREAM, size=2 * GIB, blocks=16, bytes_done=GIB, seconds_left=200)
    assert line(ended, 77).endswith("| 1.0/2.0 GiB, 5.2 MiB/s, 0:03:20 left, 12/16 blocks")
