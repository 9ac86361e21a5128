"""What a terminal shows while an upload runs: the bar, and lines above it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TextIO

import pytest

from glacier_mpu.cli.bar import BarDisplay
from glacier_mpu.cli.console import Console
from glacier_mpu.cli.displays import choose_display
from glacier_mpu.cli.lines import Lines
from glacier_mpu.cli.log import LogDisplay
from glacier_mpu.cli.progress import Display, QuietDisplay
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.transfer.events import BlockSent, Connected
from glacier_mpu.transfer.pacing import Measured
from glacier_mpu.transfer.stream_events import BlockRead, CommandSaid, StreamEnded, StreamOpened
from glacier_mpu.transfer.watcher import Watcher
from tests.support.displays import (
    NOTE,
    OUTAGE,
    OVER,
    RETRY,
    Run,
    Terminal,
    begins,
    block,
    differs,
    failed,
    opened,
    starts,
)


class Bar(Run):
    """A bar on a terminal of 100 columns, or of as many as it is given."""

    def __init__(self) -> None:
        self.columns = 100
        super().__init__(BarDisplay, Terminal(), columns=lambda: self.columns)

    @property
    def drawn(self) -> list[str]:
        texts = re.split(r"[\r\n]", self.stream.getvalue())
        return [text.rstrip() for text in texts if text.strip()]

    @property
    def last(self) -> str:
        return self.drawn[-1]


@pytest.fixture
def bar() -> Iterator[Bar]:
    bar = Bar()
    yield bar
    bar.display.close()


def test_every_display_is_a_watcher() -> None:
    watchers: list[Watcher] = [Run(kind).display for kind in (QuietDisplay, LogDisplay)]
    watchers.append(Bar().display)
    assert len(watchers) == 3


def test_a_bar_shows_the_figures_of_the_tally(bar: Bar) -> None:
    bar.hear(*starts(to_send=40))
    bar.display.moved(1)
    bar.passes(9, moving=MIB)
    bar.hear(BlockSent(block(0)))
    bar.passes(1, moving=MIB)
    assert bar.last.startswith("sending  25%|")
    assert "| 10.0/40.0 MiB, 1.0 MiB/s, 0:00:29 left, 1/40 blocks" in bar.last


def test_a_resumed_bar_begins_with_what_is_stored(bar: Bar) -> None:
    bar.hear(*starts(to_send=10, to_compare=30))
    assert any(
        line.endswith("comparing 30 stored blocks with the file, 30.0 MiB") for line in bar.lines
    )
    assert bar.last.startswith("sending  75%|")
    assert "| 30.0/40.0 MiB, 30/40 blocks, 0/30 compared" in bar.last


def test_a_bar_of_a_new_upload_is_said_by_no_line(bar: Bar) -> None:
    bar.hear(begins(to_send=10))
    assert len(bar.drawn) == 1


def test_a_bar_is_of_what_is_compared_where_nothing_is_to_be_sent(bar: Bar) -> None:
    bar.hear(*starts(to_compare=40))
    bar.display.compared(1)
    bar.passes(10, comparing=MIB)
    assert bar.last.startswith("comparing  25%|")
    assert "| 10.0/40.0 MiB, 1.0 MiB/s, 0:00:29 left, 0/40 compared" in bar.last


@pytest.fixture
def streamed(bar: Bar) -> Bar:
    bar.display.introduce("uploading it", tells_blocks=True, is_stream=True)
    bar.hear(Connected("https://glacier.example"))
    return bar


def test_a_stream_that_gives_nothing_yet_is_seen_to_be_waited_for(streamed: Bar) -> None:
    streamed.passes(9)
    assert streamed.last.endswith("uploading it")
    streamed.passes(3)
    assert streamed.last == "opening waiting for the stream 0:12, 0:00:12 so far"


def test_a_stream_has_a_line_of_figures_until_it_ends_and_then_a_bar(streamed: Bar) -> None:
    streamed.hear(StreamOpened("an-id", MIB, 10_000 * MIB))
    streamed.display.hashed(2 * MIB)
    streamed.hear(BlockRead(block(0)), BlockRead(block(1)), CommandSaid("tar", "hello"))
    streamed.sends(0, seconds=8)
    streamed.passes(1)
    assert streamed.last.startswith("sending 1.0 MiB sent, 2.0 MiB read, ")
    assert streamed.last.endswith(" 1 block stored, 1.0 MiB in the spool")
    assert not any("was read" in line for line in streamed.drawn)
    assert any(line.endswith(" tar: hello") for line in streamed.drawn)
    streamed.hear(StreamEnded(Plan(2 * MIB, MIB)))
    streamed.passes(1)
    assert streamed.last.startswith("sending  50%|")
    assert "1.0/2.0 MiB" in streamed.last


def test_an_expected_size_gives_a_stream_a_bar_from_the_beginning(streamed: Bar) -> None:
    streamed.hear(StreamOpened("an-id", MIB, 10_000 * MIB, 4 * MIB))
    streamed.display.hashed(MIB)
    streamed.hear(BlockRead(block(0)))
    streamed.sends(0, seconds=8)
    assert streamed.last.startswith("sending  25%|")


def test_one_bar_goes_on_through_all_passes(bar: Bar) -> None:
    bar.hear(*starts(to_send=1, to_compare=4))
    bar.sends(4, seconds=1)
    bar.passes(1)
    assert bar.last.startswith("comparing   0%|")
    bar.hear(differs(2))
    bar.passes(1)
    assert bar.last.startswith("sending  80%|")
    assert "4/5 blocks, 1/4 compared" in bar.last


def test_lines_stand_above_the_bar_with_their_time(bar: Bar) -> None:
    bar.hear(*starts(to_send=4), NOTE, RETRY, failed(1), Measured(2, MIB))
    bar.display.say("more")
    bar.passes(1)
    assert any(line.startswith("12:00:00 the archive") for line in bar.drawn)
    assert any("send block 7" in line and "12 s" in line for line in bar.drawn)
    assert any("block 1 failed: EIO" in line for line in bar.drawn)
    assert "12:00:00 more" in bar.drawn
    assert not any("measured" in line for line in bar.drawn)
    assert "0/4 blocks, 1 failed" in bar.last


def test_a_bar_goes_back_at_once_when_bytes_are_taken_back(bar: Bar) -> None:
    bar.hear(*starts(to_send=40))
    bar.passes(1, moving=10 * MIB)
    bar.passes(1, moving=-8 * MIB)
    assert "| 2.0/40.0 MiB" in bar.last


def test_a_bar_on_a_dead_line_says_so_and_goes_on_telling_the_time(bar: Bar) -> None:
    bar.hear(*starts(to_send=40))
    bar.passes(10, moving=MIB)
    bar.passes(58)
    assert bar.last.endswith("| 10.0/40.0 MiB, stalled 0:58, 0/40 blocks, 0:01:08 so far")


def test_a_bar_in_an_outage_is_stalled_until_it_is_over(bar: Bar) -> None:
    bar.hear(*starts(to_send=40))
    bar.passes(10, moving=MIB)
    bar.hear(OUTAGE)
    bar.passes(3, moving=10)
    assert "stalled 0:03" in bar.last
    bar.hear(OVER)
    bar.passes(3, moving=MIB)
    assert "stalled" not in bar.last
    assert "MiB/s" in bar.last


def test_a_bar_follows_the_width_of_its_terminal(bar: Bar) -> None:
    bar.hear(*starts(to_send=40))
    for columns in (60, 80, 120):
        bar.columns = columns
        bar.passes(1, moving=MIB)
        bar.passes(1)
        assert len(bar.last) <= columns - 3
        assert len(bar.last) > columns - 12 or columns > 60
        assert "0/40" in bar.last


def test_a_closed_bar_has_drawn_the_end_and_closes_again(bar: Bar) -> None:
    bar.hear(*starts(to_send=1))
    bar.sends(0, seconds=9)
    bar.display.close()
    bar.display.close()
    bar.display.tick()
    assert bar.last.startswith("100%|")
    assert bar.last.endswith("| 1.0/1.0 MiB, 1/1 blocks, 0:00:09 so far")
    assert bar.stream.getvalue().endswith("\n")


def test_lines_may_be_said_after_the_bar(bar: Bar) -> None:
    bar.hear(*starts(to_send=1))
    bar.display.close()
    bar.display.say("interrupted")
    assert bar.stream.getvalue().endswith("\n12:00:00 interrupted\n")


def test_a_bar_may_tick_before_anything_begins(bar: Bar) -> None:
    bar.display.tick()
    bar.hear(opened(3), BlockSent(block(0)))
    bar.display.tick()
    assert bar.drawn == ["12:00:00 upload-id: an-id"]


def test_a_bar_whose_terminal_goes_away_does_not_raise(bar: Bar) -> None:
    bar.hear(*starts(to_send=4))
    bar.stream.close()
    bar.passes(2, moving=MIB)
    bar.hear(NOTE, BlockSent(block(0)), begins(to_send=4))


@pytest.mark.parametrize(
    ("stream", "quiet", "verbose", "kind"),
    [
        (Terminal(), False, False, BarDisplay),
        (Terminal(), False, True, LogDisplay),
        (Terminal(), True, False, QuietDisplay),
        (io.StringIO(), False, False, LogDisplay),
        (io.StringIO(), True, False, QuietDisplay),
        (None, False, False, LogDisplay),
    ],
    ids=["terminal", "terminal verbose", "terminal quiet", "log", "log quiet", "no stream"],
)
def test_the_display_suits_the_flags_and_the_stream(
    stream: TextIO | None, kind: type[Display], *, quiet: bool, verbose: bool
) -> None:
    display = choose_display(Lines(Console(stream)), quiet=quiet, verbose=verbose)
    assert type(display) is kind
