"""What a terminal or a log shows while an upload runs."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TextIO

import pytest

from glacier_mpu.cli.console import Console
from glacier_mpu.cli.progress import BarDisplay, Display, LogDisplay, choose_display
from glacier_mpu.errors import SourceUnreadable
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.transfer.events import (
    AbortFailed,
    Amount,
    BlockDiffers,
    BlockFailed,
    BlockMatches,
    BlocksBegin,
    BlockSent,
    Connected,
    DescriptionKept,
    Event,
    KnownBlocks,
    LedgerUnusable,
    UploadOpened,
    Watcher,
)
from glacier_mpu.transfer.pacing import Measured
from glacier_mpu.vault.answers import StoredPart
from glacier_mpu.vault.errors import TransientError
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.regions import UnknownRegion
from glacier_mpu.vault.retry import Retry
from tests.support.kit import Clock

NOON = datetime(2026, 1, 2, 12, 0, 0)
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
RETRY = Retry("send_block", TransientError("HTTP 503: busy"), 12.4, 7)
OPENED = UploadOpened("an-id", Plan(4 * MIB, MIB))
NOTE = DescriptionKept("theirs")
UNREADABLE = SourceUnreadable("EIO")


def block(number: int) -> Block:
    return Block(number=number, offset=number * MIB, size=MIB)


def begins(*, to_send: int = 0, to_compare: int = 0) -> BlocksBegin:
    """Return the beginning of so many blocks of 1 MiB."""
    return BlocksBegin(Amount(to_send, to_send * MIB), Amount(to_compare, to_compare * MIB))


def differs(number: int) -> BlockDiffers:
    """Return that a compared block differs."""
    return BlockDiffers(block(number), StoredPart(MIB, b"\1" * 32), b"\2" * 32)


def size_differs(number: int) -> BlockDiffers:
    return BlockDiffers(block(number), StoredPart(MIB - 1, b"\1" * 32))


def failed(number: int, *, compared: bool = False) -> BlockFailed:
    return BlockFailed(block(number), UNREADABLE, compared=compared)


class Log:
    """A display that writes a log, and whose time passes by hand."""

    def __init__(self, make: Callable[..., Display] = LogDisplay, **options: bool) -> None:
        self.stream = io.StringIO()
        self.clock = Clock()
        began = self.clock()
        self.display = make(
            Console(self.stream),
            clock=self.clock,
            now=lambda: NOON + timedelta(seconds=self.clock() - began),
            **options,
        )

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def told(self, what: str) -> list[int]:
        """Return the blocks of which the log says this."""
        return [int(n) for line in self.lines for n in re.findall(rf"block (\d+) {what};", line)]

    def hear(self, *events: Event) -> None:
        for event in events:
            self.display.hear(event)

    def sends(self, number: int, *, seconds: float) -> None:
        """Send a block evenly in so many seconds."""
        self._passes(self.display.moved, seconds)
        self.hear(BlockSent(block(number)))

    def compares(self, number: int, *, seconds: float) -> None:
        """Compare a block, likewise, and find it to be stored as it is."""
        self._passes(self.display.compared, seconds)
        self.hear(BlockMatches(block(number)))

    def _passes(self, count: Callable[[int], None], seconds: float) -> None:
        for _ in range(8):
            self.clock.passes(seconds / 8)
            count(MIB // 8)
            self.display.tick()


def test_every_display_is_a_watcher() -> None:
    watchers: list[Watcher] = [Log(kind).display for kind in (Display, LogDisplay, BarDisplay)]
    assert len(watchers) == 3


# -- the log


def test_a_log_says_first_what_is_to_be_sent_and_what_compared() -> None:
    log = Log()
    log.hear(begins(to_send=57, to_compare=1015))
    assert "sending 57 blocks, 57.0 MiB" in log.lines[0]
    assert "comparing 1,015 stored blocks with the file, 1015.0 MiB" in log.lines[1]


def test_a_log_says_nothing_of_an_empty_amount() -> None:
    log = Log()
    log.hear(begins(to_send=1))
    log.hear(begins(to_compare=1))
    assert ["sending" in line for line in log.lines] == [True, False]


def test_a_log_has_a_line_a_block_when_blocks_are_slow() -> None:
    log = Log()
    log.hear(begins(to_send=4))
    for number in range(4):
        log.sends(number, seconds=6)
    assert log.told("is stored") == [0, 1, 2, 3]


def test_a_log_of_fast_blocks_has_a_line_every_few_seconds_and_always_the_last() -> None:
    log = Log()
    log.hear(begins(to_send=100))
    for number in range(100):
        log.sends(number, seconds=0.25)
    assert 4 <= len(log.told("is stored")) <= 8
    assert log.told("is stored")[-1] == 99
    assert "100 of 100 blocks, 100.0 MiB of 100.0 MiB (100 %)" in log.lines[-1]


def test_many_compared_blocks_do_not_keep_sent_ones_out_of_a_log() -> None:
    log = Log()
    log.hear(begins(to_send=4, to_compare=400))
    for number in range(4):
        for among in range(99):
            log.compares(100 * number + among, seconds=0.1)
        log.sends(number, seconds=0.1)
    assert log.told("is stored") == [0, 1, 2, 3]
    assert 6 <= len(log.told("is already stored")) <= 9


def test_a_log_tells_the_last_of_each_kind_whenever_it_comes() -> None:
    log = Log()
    log.hear(begins(to_send=3, to_compare=3))
    for number in range(3):
        log.sends(number, seconds=0.1)
        log.compares(3 + number, seconds=0.1)
    assert log.told("is stored") == [0, 2]
    assert log.told("is already stored") == [3, 5]
    assert "3 of 3 blocks, " in log.lines[-2]
    assert "3 of 3 blocks compared, 3.0 MiB of 3.0 MiB (100 %)" in log.lines[-1]


def test_a_failed_block_counts_to_the_last_of_its_kind() -> None:
    log = Log()
    log.hear(begins(to_send=3))
    log.sends(0, seconds=0.1)
    log.hear(failed(1))
    log.sends(2, seconds=0.1)
    assert log.told("is stored") == [0, 2]


def test_a_verbose_log_has_every_block_and_every_measurement() -> None:
    log = Log(every_block=True)
    log.hear(begins(to_send=20, to_compare=20), Measured(2, MIB))
    for number in range(20):
        log.sends(number, seconds=0)
        log.compares(20 + number, seconds=0)
    assert len(log.told("is stored")) == len(log.told("is already stored")) == 20
    assert any("with 2 blocks at once" in line for line in log.lines)


def test_a_log_that_is_not_verbose_has_no_measurements() -> None:
    log = Log()
    log.hear(Measured(2, MIB))
    assert log.lines == []


def test_every_line_of_a_log_has_the_date_and_the_time() -> None:
    log = Log()
    log.hear(OPENED, begins(to_send=4), RETRY, NOTE)
    log.sends(0, seconds=65)
    log.hear(failed(1))
    assert len(log.lines) == 6
    assert all(STAMP.match(line) for line in log.lines)
    assert "2026-01-02 12:01:05" in log.lines[-1]


def test_a_line_tells_the_blocks_the_rate_and_the_time_left() -> None:
    log = Log()
    log.hear(begins(to_send=100))
    for number in range(10):
        log.sends(number, seconds=10)
    assert "10 of 100 blocks, 10.0 MiB of 100.0 MiB (10 %)" in log.lines[-1]
    assert "102.4 KiB/s" in log.lines[-1]
    assert "0:15:00 left" in log.lines[-1]


def test_the_rate_of_what_is_sent_leaves_out_what_is_compared() -> None:
    log = Log()
    log.hear(begins(to_send=100, to_compare=1000))
    for number in range(10):
        for among in range(10):
            log.compares(100 + 10 * number + among, seconds=0)
        log.sends(number, seconds=10)
    assert "10 of 100 blocks, 10.0 MiB of 100.0 MiB (10 %), 102.4 KiB/s, 0:15:00" in log.lines[-1]


def test_the_rate_is_of_the_last_minute_and_forgets_a_faster_time() -> None:
    log = Log()
    log.hear(begins(to_send=1000))
    for number in range(100):
        log.sends(number, seconds=0.1)
    for number in range(100, 110):
        log.sends(number, seconds=10)
    rate = re.search(r"([\d.]+) KiB/s", log.lines[-1])
    assert rate is not None
    assert float(rate[1]) == pytest.approx(102.4, rel=0.05)


def test_bytes_taken_back_are_taken_back_in_a_log() -> None:
    log = Log()
    log.hear(begins(to_send=4))
    log.display.moved(2 * MIB)
    log.display.moved(-MIB)
    log.clock.passes(10)
    log.hear(BlockSent(block(0)))
    assert "25 %" in log.lines[-1]


def test_a_log_that_has_moved_nothing_tells_no_rate() -> None:
    log = Log()
    log.hear(begins(to_send=2))
    log.clock.passes(10)
    log.hear(BlockSent(block(0)))
    assert "/s" not in log.lines[-1]


def test_failed_blocks_are_counted_in_a_log_and_named_with_the_reason() -> None:
    log = Log()
    log.hear(begins(to_send=3), failed(1))
    assert "block 1 failed: EIO" in log.lines[-1]
    log.sends(0, seconds=9)
    assert "1 failed" in log.lines[-1]


def test_a_second_beginning_counts_from_nothing() -> None:
    log = Log()
    log.hear(begins(to_send=1, to_compare=2))
    log.sends(0, seconds=9)
    log.compares(1, seconds=0)
    log.hear(begins(to_send=2, to_compare=5))
    log.sends(1, seconds=0)
    assert "1 of 2 blocks, 1.0 MiB of 2.0 MiB (50 %)" in log.lines[-1]
    log.compares(2, seconds=0)
    assert "1 of 5 blocks compared, 1.0 MiB of 5.0 MiB (20 %)" in log.lines[-1]


def test_a_compared_block_that_differs_is_one_more_to_send() -> None:
    log = Log()
    log.hear(begins(to_send=1, to_compare=2), differs(5))
    assert "block 5 differs" in log.lines[-1]
    assert "1 of 2 blocks compared" in log.lines[-1]
    log.sends(0, seconds=9)
    assert "1 of 2 blocks, 1.0 MiB of 2.0 MiB" in log.lines[-1]
    log.hear(BlockSent(block(5)))
    assert "2 of 2 blocks, " in log.lines[-1]


def test_a_block_of_another_size_is_to_be_sent_from_the_beginning_and_counts_once() -> None:
    log = Log()
    log.hear(size_differs(0), begins(to_send=2))
    log.sends(0, seconds=9)
    assert "1 of 2 blocks, 1.0 MiB of 2.0 MiB" in log.lines[-1]


def test_blocks_that_are_known_are_neither_compared_nor_sent_and_change_no_rate() -> None:
    log = Log()
    log.hear(KnownBlocks(range(2000), 2000 * MIB), begins(to_send=2, to_compare=1))
    assert "blocks 0-1999, 2.0 GiB; not read again" in log.lines[0]
    log.sends(2000, seconds=8)
    assert "1 of 2 blocks, 1.0 MiB of 2.0 MiB (50 %), 128.0 KiB/s, 0:00:08 left" in log.lines[-1]
    log.compares(2002, seconds=8)
    assert "1 of 1 blocks compared, 1.0 MiB of 1.0 MiB (100 %), 64.0 KiB/s" in log.lines[-1]


@pytest.mark.parametrize("kind", [LogDisplay, BarDisplay], ids=lambda kind: kind.__name__)
def test_a_known_block_that_differs_is_to_be_sent_from_the_beginning_and_counts_once(
    kind: type[Display],
) -> None:
    log = Log(kind)
    log.hear(replace(differs(0), read=False), begins(to_send=2))
    assert log.lines[0].endswith(f"the file's {'02' * 32}")
    assert (log.display.tally.sending.blocks, log.display.tally.comparing.done) == (2, 0)
    log.display.close()


def test_a_known_block_that_differs_where_nothing_may_be_sent_is_not_counted_as_compared() -> None:
    log = Log()
    log.hear(begins(to_compare=1), replace(differs(0), read=False, sends=False))
    assert (log.display.tally.sending.blocks, log.display.tally.comparing.done) == (0, 0)


@pytest.mark.parametrize("differed", [True, False], ids=["sent", "compared"])
def test_a_failed_block_counts_where_it_failed(*, differed: bool) -> None:
    log = Log(every_block=True)
    log.hear(begins(to_send=2, to_compare=3), *([differs(5)] if differed else []))
    log.hear(failed(5, compared=not differed))
    log.compares(3, seconds=0)
    assert ("1 failed" in log.lines[-1]) is not differed
    log.sends(0, seconds=0)
    assert ("1 failed" in log.lines[-1]) is differed


def test_a_retry_is_a_line_that_says_what_happened_and_when_the_next_try_is() -> None:
    log = Log()
    log.hear(RETRY)
    assert all(fact in log.lines[0] for fact in ("send block 7", "HTTP 503: busy", "12 s"))


def test_a_connection_over_https_is_not_worth_a_line() -> None:
    log = Log()
    log.hear(Connected("https://glacier.example"))
    assert log.lines == []


@pytest.mark.parametrize("kind", [Display, LogDisplay])
def test_a_display_may_tick_before_anything_begins(kind: type[Display]) -> None:
    log = Log(kind)
    log.display.tick()
    log.display.moved(5)
    log.display.compared(5)
    log.clock.passes(100)
    log.display.tick()
    log.display.close()
    assert log.lines == []


# -- quiet


def test_a_quiet_display_shows_only_the_upload_id_warnings_and_what_failed() -> None:
    log = Log(Display)
    log.hear(Connected("http://glacier.example"), UnknownRegion("eu-west-9", "eu-west-1"))
    log.hear(OPENED, begins(to_send=2, to_compare=1))
    log.sends(0, seconds=9)
    log.compares(2, seconds=9)
    log.hear(RETRY, NOTE, differs(1), failed(1), AbortFailed(UNREADABLE))
    log.hear(KnownBlocks([2], MIB), LedgerUnusable("/srv/l", "No space left"))
    log.hear(Outage(UNREADABLE, datetime(2026, 11, 24, 6, 34)), OutageOver(UNREADABLE, 305))
    log.display.close()
    facts = ["unencrypted", "eu-west-9", "an-id", "block 1 failed: EIO", "could not be aborted"]
    facts += ["/srv/l", "until 06:34", "read again"]
    assert len(log.lines) == len(facts)
    assert all(fact in line for fact, line in zip(facts, log.lines, strict=True))


# -- the bar


class Terminal(io.StringIO):
    """A terminal: what was drawn last is the text of the screen's last line."""

    def isatty(self) -> bool:
        return True

    @property
    def drawn(self) -> list[str]:
        return [text for text in re.split(r"[\r\n]", self.getvalue()) if text.strip()]


@dataclass
class Bar:
    """A bar, its terminal, and the clock of tqdm, which takes none as a parameter."""

    display: BarDisplay
    terminal: Terminal
    clock: Clock

    @property
    def last(self) -> str:
        return self.terminal.drawn[-1]

    def hear(self, *events: Event) -> None:
        for event in events:
            self.display.hear(event)

    def ticks(self, *, moving: int = 0, comparing: int = 0, times: int = 1) -> None:
        for _ in range(times):
            self.clock.passes(1)
            self.display.moved(moving)
            self.display.compared(comparing)
            self.display.tick()


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bar]:
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    terminal = Terminal()
    display = BarDisplay(Console(terminal), now=lambda: NOON)
    yield Bar(display, terminal, clock)
    display.close()


def test_a_bar_shows_bytes_of_all_and_blocks_done_and_failed(bar: Bar) -> None:
    bar.hear(begins(to_send=40))
    assert "0/40 blocks" in bar.last
    bar.ticks(moving=10 * MIB)
    assert "10.5M/41.9M" in bar.last
    bar.hear(BlockSent(block(0)))
    assert "1/40 blocks" in bar.last
    bar.hear(failed(1))
    assert any("block 1 failed: EIO" in line for line in bar.terminal.drawn)
    assert "1/40 blocks, 1 failed" in bar.last


def test_a_bar_counts_what_is_sent_and_shows_what_is_compared_beside_it(bar: Bar) -> None:
    bar.hear(begins(to_send=40, to_compare=1000))
    bar.ticks(moving=10 * MIB, comparing=500 * MIB)
    bar.hear(BlockSent(block(0)), BlockMatches(block(50)))
    assert "10.5M/41.9M" in bar.last
    assert "1/40 blocks, 1/1,000 compared" in bar.last


def test_a_bar_counts_what_is_compared_where_nothing_is_to_be_sent(bar: Bar) -> None:
    bar.hear(begins(to_compare=40))
    bar.ticks(comparing=10 * MIB)
    bar.hear(BlockMatches(block(0)))
    assert "check" in bar.last
    assert "10.5M/41.9M" in bar.last
    assert "1/40 compared" in bar.last
    assert "blocks" not in bar.last


def test_a_bar_grows_by_a_compared_block_that_differs(bar: Bar) -> None:
    bar.hear(begins(to_send=39, to_compare=5))
    bar.ticks(moving=10 * MIB)
    bar.hear(differs(41))
    assert any("block 41 differs" in line for line in bar.terminal.drawn)
    assert "0/40 blocks, 1/5 compared" in bar.last
    bar.ticks()
    assert "10.5M/41.9M" in bar.last
    bar.hear(BlockSent(block(41)))
    assert "1/40 blocks, 1/5 compared" in bar.last


def test_a_bar_shows_rate_and_time_left(bar: Bar) -> None:
    bar.hear(begins(to_send=40))
    bar.ticks(moving=MIB, times=10)
    rate = re.search(r"([\d.]+)MB/s", bar.last)
    assert rate is not None
    assert float(rate[1]) == pytest.approx(1, abs=0.1)
    assert "00:30" in bar.last


def test_lines_stand_above_the_bar_with_their_time(bar: Bar) -> None:
    bar.hear(begins(to_send=4), NOTE, RETRY, Measured(2, MIB))
    assert any(line.startswith("12:00:00 the archive keeps") for line in bar.terminal.drawn)
    assert any("send block 7" in line and "12 s" in line for line in bar.terminal.drawn)
    assert not any("measured" in line for line in bar.terminal.drawn)
    assert "0/4 blocks" in bar.last


def test_a_bar_goes_back_when_bytes_are_taken_back(bar: Bar) -> None:
    bar.hear(begins(to_send=40))
    bar.ticks(moving=10 * MIB)
    bar.ticks(moving=-8 * MIB)
    bar.ticks(moving=MIB)
    assert "3.15M/41.9M" in bar.last


def test_a_bar_goes_back_at_once_though_nothing_moves_after(bar: Bar) -> None:
    bar.hear(begins(to_send=40))
    bar.ticks(moving=10 * MIB)
    bar.ticks(moving=-8 * MIB)
    bar.ticks(times=30)
    assert "2.10M/41.9M" in bar.last


def test_a_bar_on_a_dead_line_goes_on_telling_the_time(bar: Bar) -> None:
    bar.hear(begins(to_send=40))
    bar.ticks(moving=MIB, times=10)
    bar.ticks(times=300)
    assert "05:10" in bar.last


def test_a_bar_keeps_drawing_when_a_fast_line_becomes_slow(bar: Bar) -> None:
    bar.hear(begins(to_send=40_000))
    for _ in range(50):
        bar.clock.passes(0.2)
        bar.display.moved(100 * MIB)
        bar.display.tick()
    drawn = len(bar.terminal.drawn)
    bar.ticks(moving=100 * 1024, times=60)
    assert len(bar.terminal.drawn) - drawn >= 6


def test_a_second_beginning_is_a_bar_of_its_own(bar: Bar) -> None:
    bar.hear(begins(to_send=4))
    bar.ticks(moving=MIB)
    bar.hear(begins(to_compare=40))
    assert "0.00/41.9M" in bar.last
    assert "0/40 compared" in bar.last


def test_a_closed_bar_has_drawn_the_end_and_closes_again(bar: Bar) -> None:
    bar.hear(begins(to_send=1))
    bar.display.moved(MIB)
    bar.hear(BlockSent(block(0)))
    bar.display.close()
    bar.display.close()
    bar.display.tick()
    assert "100%" in bar.last
    assert "1/1 blocks" in bar.last


def test_a_bar_may_tick_before_anything_begins(bar: Bar) -> None:
    bar.display.tick()
    bar.hear(BlockSent(block(0)))
    assert bar.terminal.drawn == []


def test_a_bar_whose_terminal_goes_away_does_not_raise(bar: Bar) -> None:
    bar.hear(begins(to_send=4))
    bar.terminal.close()
    bar.ticks(moving=MIB, times=2)
    bar.hear(NOTE, BlockSent(block(0)), begins(to_send=4))


@pytest.mark.parametrize(
    ("stream", "quiet", "verbose", "kind"),
    [
        (Terminal(), False, False, BarDisplay),
        (Terminal(), False, True, LogDisplay),
        (Terminal(), True, False, Display),
        (io.StringIO(), False, False, LogDisplay),
        (io.StringIO(), True, False, Display),
        (None, False, False, LogDisplay),
    ],
    ids=["terminal", "terminal verbose", "terminal quiet", "log", "log quiet", "no stream"],
)
def test_the_display_suits_the_flags_and_the_stream(
    stream: TextIO | None, kind: type[Display], *, quiet: bool, verbose: bool
) -> None:
    assert type(choose_display(Console(stream), quiet=quiet, verbose=verbose)) is kind
