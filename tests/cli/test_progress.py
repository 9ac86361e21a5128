"""What a person or a log sees while it runs, and streams that go away meanwhile."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from glacier_mpu.cli.console import Console
from glacier_mpu.cli.progress import (
    BarDisplay,
    Display,
    LogDisplay,
    as_duration,
    as_size,
    choose_display,
)
from glacier_mpu.errors import PassingTrouble, SourceUnreadable
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.vault.retry import Retry
from tests.support.kit import ROOT, Clock

NOON = datetime(2026, 1, 2, 12, 0, 0)
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
RETRY = Retry(call="send block 7", error=PassingTrouble("HTTP 503: busy"), wait_seconds=12.4)


def block(number: int) -> Block:
    return Block(number=number, offset=number * MIB, size=MIB)


class Log:
    """A LogDisplay whose hours pass by hand."""

    def __init__(self, *, kind: type[Display] = LogDisplay, **options: bool) -> None:
        self.stream = io.StringIO()
        self.clock = Clock()
        self.display = kind(
            Console(self.stream),
            clock=self.clock,
            now=lambda: NOON + timedelta(seconds=self.clock() - 1000),
            **options,
        )

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def sends(self, number: int, *, seconds: float) -> None:
        """Send a block of 1 MiB evenly in so many seconds."""
        for _ in range(8):
            self.clock.passes(seconds / 8)
            self.display.moved(MIB // 8)
            self.display.tick()
        self.display.finished(block(number), "is stored")


# -- the log


def test_a_log_has_a_line_a_block_when_blocks_are_slow():
    log = Log()
    log.display.begins("send", blocks=4, size=4 * MIB)
    for number in range(4):
        log.sends(number, seconds=6)
    assert [re.findall(r"block (\d+) is stored", line) for line in log.lines[1:]] == [
        ["0"],
        ["1"],
        ["2"],
        ["3"],
    ]


def test_a_log_of_fast_blocks_has_a_line_every_few_seconds_and_always_the_last():
    log = Log()
    log.display.begins("send", blocks=100, size=100 * MIB)
    for number in range(100):
        log.sends(number, seconds=0.25)
    said = [int(n) for line in log.lines for n in re.findall(r"block (\d+) is stored", line)]
    assert 4 <= len(said) <= 8
    assert said[-1] == 99
    assert "100 of 100 blocks, 100.0 MiB of 100.0 MiB (100 %)" in log.lines[-1]


def test_a_verbose_log_has_every_block():
    log = Log(every_block=True)
    log.display.begins("send", blocks=20, size=20 * MIB)
    for number in range(20):
        log.sends(number, seconds=0)
    assert sum("is stored" in line for line in log.lines) == 20


def test_every_line_of_a_log_has_the_date_and_the_time():
    log = Log()
    log.display.opened("an-id", Plan(4 * MIB, MIB))
    log.display.begins("send", blocks=4, size=4 * MIB)
    log.display.retrying(RETRY)
    log.display.note("something")
    log.sends(0, seconds=65)
    log.display.failed(block(1), SourceUnreadable("EIO"))
    assert len(log.lines) == 6
    assert all(STAMP.match(line) for line in log.lines)
    assert "2026-01-02 12:01:05" in log.lines[-1]


def test_a_line_tells_the_blocks_the_rate_and_the_time_left():
    log = Log()
    log.display.begins("send", blocks=100, size=100 * MIB)
    for number in range(10):
        log.sends(number, seconds=10)
    assert "10 of 100 blocks, 10.0 MiB of 100.0 MiB (10 %)" in log.lines[-1]
    assert "102.4 KiB/s" in log.lines[-1]
    assert "0:15:00 left" in log.lines[-1]


def test_the_rate_is_of_the_last_minute_and_forgets_a_faster_time():
    log = Log()
    log.display.begins("send", blocks=1000, size=1000 * MIB)
    for number in range(100):
        log.sends(number, seconds=0.1)
    for number in range(100, 110):
        log.sends(number, seconds=10)
    rate = float(re.search(r"([\d.]+) KiB/s", log.lines[-1])[1])
    assert rate == pytest.approx(102.4, rel=0.05)


def test_bytes_taken_back_are_taken_back_in_a_log():
    log = Log()
    log.display.begins("send", blocks=2, size=4 * MIB)
    log.display.moved(2 * MIB)
    log.display.moved(-MIB)
    log.clock.passes(10)
    log.display.finished(block(0), "is stored")
    assert "25 %" in log.lines[-1]


def test_a_log_that_has_moved_nothing_tells_no_rate():
    log = Log()
    log.display.begins("send", blocks=2, size=2 * MIB)
    log.clock.passes(10)
    log.display.finished(block(0), "is stored")
    assert "/s" not in log.lines[-1]


def test_failed_blocks_are_counted_in_a_log_and_named_with_the_reason():
    log = Log()
    log.display.begins("send", blocks=3, size=3 * MIB)
    log.display.failed(block(1), SourceUnreadable("Input/output error"))
    assert "block 1 failed: Input/output error" in log.lines[-1]
    log.sends(0, seconds=9)
    assert "1 failed" in log.lines[-1]


def test_a_second_phase_counts_from_nothing():
    log = Log()
    log.display.begins("check", blocks=1, size=MIB)
    log.sends(0, seconds=9)
    log.display.begins("send", blocks=2, size=2 * MIB)
    log.sends(1, seconds=9)
    assert "1 of 2 blocks, 1.0 MiB of 2.0 MiB (50 %)" in log.lines[-1]


def test_a_retry_is_a_line_that_says_what_happened_and_when_the_next_try_is():
    log = Log()
    log.display.retrying(RETRY)
    assert all(fact in log.lines[0] for fact in ("send block 7", "HTTP 503: busy", "12 s"))


@pytest.mark.parametrize("kind", [Display, LogDisplay])
def test_a_display_may_tick_before_anything_begins(kind):
    log = Log(kind=kind)
    log.display.tick()
    log.display.moved(5)
    log.clock.passes(100)
    log.display.tick()
    log.display.close()
    assert log.lines == []


# -- quiet


def test_a_quiet_display_shows_the_upload_id_and_failed_blocks_alone():
    log = Log(kind=Display)
    log.display.opened("an-id", Plan(2 * MIB, MIB))
    log.display.begins("send", blocks=2, size=2 * MIB)
    log.sends(0, seconds=9)
    log.display.retrying(RETRY)
    log.display.note("by the way")
    log.display.failed(block(1), SourceUnreadable("EIO"))
    log.display.close()
    assert ["an-id" in log.lines[0], "block 1 failed: EIO" in log.lines[1]] == [True, True]
    assert len(log.lines) == 2


# -- the bar


class Terminal(io.StringIO):
    """A terminal by hand: the text of the screen's last line is what was drawn last."""

    def isatty(self) -> bool:
        return True

    @property
    def drawn(self) -> list[str]:
        return [text for text in re.split(r"[\r\n]", self.getvalue()) if text.strip()]


@pytest.fixture
def bar(monkeypatch):
    """Yield a bar, its terminal, and the clock of tqdm, which takes none as a parameter."""
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    terminal = Terminal()
    display = BarDisplay(Console(terminal), now=lambda: NOON)
    yield display, terminal, clock
    display.close()


def ticks(display, clock, *, moving: int, times: int = 1) -> None:
    for _ in range(times):
        clock.passes(1)
        display.moved(moving)
        display.tick()


def test_a_bar_shows_bytes_of_all_and_blocks_done_and_failed(bar):
    display, terminal, clock = bar
    display.begins("send", blocks=40, size=40 * MIB)
    assert "0/40 blocks" in terminal.drawn[-1]
    ticks(display, clock, moving=10 * MIB)
    assert "10.5M/41.9M" in terminal.drawn[-1]
    display.finished(block(0), "is stored")
    assert "1/40 blocks" in terminal.drawn[-1]
    display.failed(block(1), SourceUnreadable("EIO"))
    assert any("block 1 failed: EIO" in line for line in terminal.drawn)
    assert "1/40 blocks, 1 failed" in terminal.drawn[-1]


def test_a_bar_shows_rate_and_time_left(bar):
    display, terminal, clock = bar
    display.begins("send", blocks=40, size=40 * MIB)
    ticks(display, clock, moving=MIB, times=10)
    rate = float(re.search(r"([\d.]+)MB/s", terminal.drawn[-1])[1])
    assert rate == pytest.approx(1, abs=0.1)
    assert "00:30" in terminal.drawn[-1]


def test_lines_stand_above_the_bar_with_their_time(bar):
    display, terminal, _ = bar
    display.begins("send", blocks=4, size=4 * MIB)
    display.note("by the way")
    display.retrying(RETRY)
    assert any(line.startswith("12:00:00 by the way") for line in terminal.drawn)
    assert any("send block 7" in line and "12 s" in line for line in terminal.drawn)
    assert "0/4 blocks" in terminal.drawn[-1]


def test_a_bar_goes_back_when_bytes_are_taken_back(bar):
    display, terminal, clock = bar
    display.begins("send", blocks=40, size=40 * MIB)
    ticks(display, clock, moving=10 * MIB)
    ticks(display, clock, moving=-8 * MIB)
    ticks(display, clock, moving=MIB)
    assert "3.15M/41.9M" in terminal.drawn[-1]


def test_a_bar_goes_back_at_once_though_nothing_moves_after(bar):
    display, terminal, clock = bar
    display.begins("send", blocks=40, size=40 * MIB)
    ticks(display, clock, moving=10 * MIB)
    ticks(display, clock, moving=-8 * MIB)
    ticks(display, clock, moving=0, times=30)
    assert "2.10M/41.9M" in terminal.drawn[-1]


def test_a_bar_on_a_dead_line_goes_on_telling_the_time(bar):
    display, terminal, clock = bar
    display.begins("send", blocks=40, size=40 * MIB)
    ticks(display, clock, moving=MIB, times=10)
    ticks(display, clock, moving=0, times=300)
    assert "05:10" in terminal.drawn[-1]


def test_a_bar_keeps_drawing_when_a_fast_line_becomes_slow(bar):
    display, terminal, clock = bar
    display.begins("send", blocks=40, size=40_000 * MIB)
    for _ in range(50):
        clock.passes(0.2)
        display.moved(100 * MIB)
        display.tick()
    drawn = len(terminal.drawn)
    ticks(display, clock, moving=100 * 1024, times=60)
    assert len(terminal.drawn) - drawn >= 6


def test_a_closed_bar_has_drawn_the_end_and_closes_again(bar):
    display, terminal, _ = bar
    display.begins("send", blocks=1, size=MIB)
    display.moved(MIB)
    display.finished(block(0), "is stored")
    display.close()
    display.close()
    display.tick()
    assert "100%" in terminal.drawn[-1]
    assert "1/1 blocks" in terminal.drawn[-1]


def test_a_bar_may_tick_before_anything_begins(bar):
    display, terminal, _ = bar
    display.tick()
    display.finished(block(0), "is stored")
    assert terminal.drawn == []


def test_a_bar_whose_terminal_goes_away_does_not_raise(bar):
    display, terminal, clock = bar
    display.begins("send", blocks=4, size=4 * MIB)
    terminal.close()
    ticks(display, clock, moving=MIB, times=2)
    display.note("by the way")
    display.finished(block(0), "is stored")
    display.begins("send", blocks=4, size=4 * MIB)


@pytest.mark.parametrize(
    ("stream", "flags", "kind"),
    [
        (Terminal(), {}, BarDisplay),
        (Terminal(), {"verbose": True}, LogDisplay),
        (Terminal(), {"quiet": True}, Display),
        (io.StringIO(), {}, LogDisplay),
        (io.StringIO(), {"quiet": True}, Display),
        (None, {}, LogDisplay),
    ],
    ids=["terminal", "terminal verbose", "terminal quiet", "log", "log quiet", "no stream"],
)
def test_the_display_suits_whoever_reads(stream, flags, kind):
    display = choose_display(Console(stream), **({"quiet": False, "verbose": False} | flags))
    assert type(display) is kind


# -- figures


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (63_019_418, "60.1 MiB"),
        (40_000 << 30, "39.1 TiB"),
        (2000 << 40, "2000.0 TiB"),
    ],
)
def test_a_size_is_written_for_people(size, text):
    assert as_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (59.9, "0:00:59"), (11_109, "3:05:09"), (200_000, "2 d 7:33:20")],
)
def test_a_time_is_written_for_people(seconds, text):
    assert as_duration(seconds) == text


# -- streams that go away


class Gone(io.StringIO):
    """A stream that fails in every way that it is asked."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.asked = 0

    def write(self, _: str) -> int:
        self.asked += 1
        raise self.error

    def isatty(self) -> bool:
        raise self.error


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {
    "broken pipe": lambda: Gone(BrokenPipeError()),
    "full disk": lambda: Gone(OSError(28, "No space left on device")),
    "closed": closed,
    "none": lambda: None,
}


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
def test_writing_to_a_stream_that_is_gone_does_not_raise(make):
    console = Console(make())
    console.line("a")
    assert console.write("bc") == 2
    console.flush()


@pytest.mark.parametrize("make", [STREAMS["closed"], STREAMS["none"]], ids=["closed", "none"])
def test_a_stream_that_is_gone_is_no_terminal(make):
    assert Console(make()).isatty() is False


def test_a_stream_whose_isatty_fails_is_no_terminal():
    assert Console(Gone(OSError(5, "Input/output error"))).isatty() is False


def test_a_stream_that_failed_once_is_not_asked_again():
    stream = Gone(BrokenPipeError())
    console = Console(stream)
    console.line("a")
    console.line("b")
    assert stream.asked == 1


def test_a_character_that_the_stream_cannot_write_does_not_silence_it():
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        console = Console(stream)
        console.line("caf\u00e9")
        console.line("archive-id: x")
        assert b"archive-id: x\n" in raw.getvalue()


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
@pytest.mark.parametrize("which", ["stdout", "stderr"])
@pytest.mark.parametrize("gone", ["closed pipe", "full disk"])
def test_a_stream_that_is_gone_does_not_change_the_exit_code(which, gone):
    if gone == "closed pipe":
        read, descriptor = os.pipe()
        os.close(read)
    else:
        descriptor = os.open("/dev/full", os.O_WRONLY)
    environment = {name: v for name, v in os.environ.items() if name != "PYTHONUNBUFFERED"}
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from glacier_mpu.cli.console import Console; "
                f"Console(sys.{which}).line('x'); sys.exit(3)",
            ],
            env=environment,
            cwd=ROOT,
            timeout=30,
            check=False,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {which: descriptor},
        )
    finally:
        os.close(descriptor)
    assert (done.returncode, done.stdout or b"", done.stderr or b"") == (3, b"", b"")
