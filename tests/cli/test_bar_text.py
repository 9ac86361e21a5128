"""What the bar's line has room for, at every width."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glacier_mpu.cli.bar_text import bar_text
from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.source.blocks import MIB
from tests.support.displays import COMPARING, SENDING

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
