"""What a log or a mail shows while an upload runs."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from glacier_mpu.cli.log import LogDisplay
from glacier_mpu.source.blocks import MIB
from glacier_mpu.transfer.events import (
    BlockMatches,
    BlockSent,
    Completing,
    Connected,
    KnownBlocks,
)
from glacier_mpu.transfer.pacing import Measured
from glacier_mpu.transfer.stream_events import BlockRead, CommandSaid, StreamOpened
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

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")


@pytest.fixture
def log() -> Run:
    return Run()


def told(log: Run, what: str) -> list[int]:
    """Return the blocks of which the log says this."""
    return [int(n) for line in log.lines for n in re.findall(rf"block (\d+) {what};", line)]


def test_a_log_says_first_what_is_to_be_sent_and_what_compared(log: Run) -> None:
    log.hear(begins(to_send=57, to_compare=1015))
    assert "sending 57 blocks, 57.0 MiB" in log.lines[0]
    assert "comparing 1,015 stored blocks with the file, 1015.0 MiB" in log.lines[1]


def test_a_log_says_nothing_of_an_empty_amount(log: Run) -> None:
    log.hear(begins(to_send=1))
    log.hear(begins(to_compare=1))
    assert ["sending" in line for line in log.lines] == [True, False]


def test_a_resumed_upload_says_its_blocks_as_soon_as_they_are_known(log: Run) -> None:
    log.display.introduce("uploading 'f' to vault photos", tells_blocks=False)
    log.hear(opened(4))
    assert log.lines[0].endswith("uploading 'f' to vault photos")
    assert log.lines[-1].endswith("the upload has 4 blocks of 1 MiB")


def test_a_new_upload_says_its_blocks_once(log: Run) -> None:
    log.display.introduce("uploading 'f' (4 blocks of 1 MiB)", tells_blocks=True)
    log.hear(opened(4))
    assert len([line for line in log.lines if "4 blocks" in line]) == 1


def test_what_is_refused_before_the_run_begins_is_one_line(log: Run) -> None:
    log.display.introduce("uploading 'f'", tells_blocks=True)
    log.display.say("error: no such profile")
    assert [line.split(" ", 2)[2] for line in log.lines] == ["error: no such profile"]


def test_a_log_has_a_line_a_block_when_blocks_are_slow(log: Run) -> None:
    log.hear(*starts(to_send=4))
    for number in range(4):
        log.sends(number, seconds=6)
    assert told(log, "is stored") == [0, 1, 2, 3]


def test_a_log_of_fast_blocks_has_a_line_every_few_seconds_and_always_the_last(log: Run) -> None:
    log.hear(*starts(to_send=100))
    for number in range(100):
        log.sends(number, seconds=0.25)
    assert 4 <= len(told(log, "is stored")) <= 8
    assert told(log, "is stored")[-1] == 99
    assert "100 of 100 blocks, 100.0 MiB of 100.0 MiB (100 %)" in log.lines[-1]


def test_many_compared_blocks_do_not_keep_sent_ones_out_of_a_log(log: Run) -> None:
    log.hear(*starts(to_send=4, to_compare=400))
    for number in range(4):
        for among in range(99):
            log.compares(100 * number + among, seconds=0.1)
        log.sends(400 + number, seconds=0.1)
    assert told(log, "is stored") == [400, 401, 402, 403]
    assert 6 <= len(told(log, "is already stored")) <= 9


def test_a_log_tells_the_last_of_each_kind_whenever_it_comes(log: Run) -> None:
    log.hear(*starts(to_send=3, to_compare=3))
    for number in range(3):
        log.sends(3 + number, seconds=0.1)
        log.compares(number, seconds=0.1)
    assert told(log, "is stored") == [3, 5]
    assert told(log, "is already stored") == [0, 2]


def test_a_failed_block_counts_to_the_last_of_its_kind(log: Run) -> None:
    log.hear(*starts(to_send=3))
    log.sends(0, seconds=0.1)
    log.hear(failed(1))
    log.sends(2, seconds=0.1)
    assert told(log, "is stored") == [0, 2]


def test_a_verbose_log_has_every_block_and_every_measurement() -> None:
    log = Run(every_block=True)
    log.hear(*starts(to_send=20, to_compare=20), Measured(2, MIB))
    for number in range(20):
        log.sends(20 + number, seconds=0)
        log.compares(number, seconds=0)
    assert len(told(log, "is stored")) == len(told(log, "is already stored")) == 20
    assert any("with 2 blocks at once" in line for line in log.lines)


def test_a_log_that_is_not_verbose_has_no_measurements(log: Run) -> None:
    log.hear(Measured(2, MIB))
    assert log.lines == []


def test_every_line_of_a_log_has_the_date_and_the_time(log: Run) -> None:
    log.hear(*starts(to_send=4), RETRY, NOTE)
    log.sends(0, seconds=55)
    log.hear(failed(1), Completing())
    log.display.say("more")
    assert len(log.lines) == 8
    assert all(STAMP.match(line) for line in log.lines)
    assert "2026-01-02 12:00:55" in log.lines[-1]


def test_a_verbose_log_on_a_terminal_has_the_time_alone() -> None:
    log = Run(LogDisplay, Terminal())
    log.hear(NOTE)
    assert log.lines[0].startswith("12:00:00 the archive")


def test_a_line_tells_the_blocks_the_rate_and_the_time_left(log: Run) -> None:
    log.hear(*starts(to_send=100))
    for number in range(10):
        log.sends(number, seconds=10)
    assert log.lines[-1].endswith(
        "block 9 is stored; 10 of 100 blocks, 10.0 MiB of 100.0 MiB (10 %), 102.4 KiB/s, "
        "0:15:00 left"
    )


def test_a_log_of_comparing_tells_how_far_that_is(log: Run) -> None:
    log.hear(*starts(to_compare=2))
    log.compares(0, seconds=8)
    assert "1 of 2 blocks compared, 1.0 MiB of 2.0 MiB (50 %)" in log.lines[-1]


def test_a_compared_block_that_differs_is_told_with_what_is_done(log: Run) -> None:
    log.hear(*starts(to_send=1, to_compare=2), differs(1))
    assert "block 1 differs" in log.lines[-1]
    assert "1 of 3 blocks, " in log.lines[-1]
    assert "1 of 2 compared" in log.lines[-1]


def test_known_blocks_are_told_and_are_done(log: Run) -> None:
    log.hear(opened(2001, stored=range(2000)), KnownBlocks(range(2000), 2000 * MIB))
    assert "blocks 0-1999, 2.0 GiB; not read again" in log.lines[-1]
    log.hear(begins(to_send=1))
    log.sends(2000, seconds=8)
    assert "2,001 of 2,001 blocks, 2.0 GiB of 2.0 GiB (100 %)" in log.lines[-1]


def test_failed_blocks_are_counted_in_a_log_and_named_with_the_reason(log: Run) -> None:
    log.hear(*starts(to_send=3), failed(1))
    assert "block 1 failed: EIO" in log.lines[-1]
    log.sends(0, seconds=9)
    assert "1 failed" in log.lines[-1]


def test_a_retry_is_a_line_that_says_what_happened_and_when_the_next_try_is(log: Run) -> None:
    log.hear(RETRY)
    assert all(fact in log.lines[0] for fact in ("send block 7", "HTTP 503: busy", "12 s"))


def test_a_connection_over_https_is_not_worth_a_line(log: Run) -> None:
    log.hear(Connected("https://glacier.example"))
    assert log.lines == []


# -- the heartbeat


def test_a_block_of_an_hour_has_a_line_a_minute(log: Run) -> None:
    log.hear(*starts(to_send=3))
    began = len(log.lines)
    log.passes(3600, moving=100)
    said = log.lines[began:]
    assert len(said) == 60
    assert all("sending: 0 of 3 blocks, " in line and "KiB/s" in line for line in said)


def test_the_heartbeat_says_that_nothing_moves(log: Run) -> None:
    log.hear(*starts(to_send=3))
    log.passes(50, moving=1000)
    log.passes(70)
    assert log.lines[-1].endswith("stalled 1:10")


def test_there_is_no_heartbeat_where_a_line_with_progress_was_said_lately(log: Run) -> None:
    log.hear(*starts(to_send=10))
    for number in range(10):
        log.passes(40, moving=1000)
        log.hear(BlockSent(block(number)))
    assert not any("sending:" in line for line in log.lines)


def test_there_is_no_heartbeat_beside_what_is_told_of_an_outage_every_minute(log: Run) -> None:
    log.hear(*starts(to_send=10))
    log.passes(30)
    for _ in range(5):
        log.hear(OUTAGE)
        log.passes(59)
    log.hear(OVER)
    assert not any("sending:" in line for line in log.lines)


def test_a_log_says_that_an_upload_is_still_being_opened(log: Run) -> None:
    log.passes(61)
    assert log.lines == ["2026-01-02 12:01:00 opening the upload: 0:01:00 so far"]


def test_retries_for_one_reason_are_told_once_a_minute_those_of_an_outage_not_at_all(
    log: Run,
) -> None:
    log.hear(replace(RETRY, shared=True))
    assert log.lines == []
    for _ in range(120):
        log.hear(RETRY)
        log.clock.passes(1)
    assert len(log.lines) == 2


# -- a stream


@pytest.fixture
def stream(log: Run) -> Run:
    log.display.introduce("uploading it", tells_blocks=True, cautions=["beware"], is_stream=True)
    log.hear(StreamOpened("an-id", MIB, 10_000 * MIB))
    return log


def test_a_stream_begins_with_what_it_is_how_it_may_fail_and_how_much_fits(stream: Run) -> None:
    assert [line.split(" ", 2)[2] for line in stream.lines] == [
        "uploading it",
        "beware",
        "upload-id: an-id",
        "blocks of 1 MiB: the stream may have up to 9.8 GiB (--expected-size or --blocksize allow "
        "more)",
    ]


def test_a_heartbeat_of_a_stream_says_what_was_read_and_sent_and_lies_in_the_spool(
    stream: Run,
) -> None:
    stream.hear(BlockRead(block(0)))
    stream.passes(60, moving=MIB // 64, hashing=MIB // 32)
    assert stream.lines[-1].endswith(
        " sending: 0 blocks stored, 960.0 KiB sent, 1.9 MiB read, 1.9 MiB in the spool, 16.3 KiB/s"
    )


def test_of_many_blocks_of_a_stream_one_in_five_seconds_is_told(stream: Run) -> None:
    """None of them is known to be the last."""
    for number in range(20):
        stream.display.hashed(MIB)
        stream.hear(BlockRead(block(number)))
        stream.sends(number, seconds=1)
        stream.hear(BlockMatches(block(20 + number)))
    assert told(stream, "is stored") == [0, 5, 10, 15]
    assert told(stream, "is already stored") == [20, 25, 30, 35]


def test_a_block_that_was_read_is_told_of_only_where_every_block_is(stream: Run) -> None:
    verbose = Run(every_block=True)
    for run in (stream, verbose):
        run.hear(BlockRead(block(3)), CommandSaid("tar", "Removing leading '/'"))
    assert not any("block 3" in line for line in stream.lines)
    assert any("block 3" in line for line in verbose.lines)
    assert stream.lines[-1].endswith(" tar: Removing leading '/'")
