"""How far a stream is: what was read and sent of it, and whether it is the stream that waits."""

from __future__ import annotations

import pytest

from glacier_mpu.cli.progress import QuietDisplay
from glacier_mpu.cli.progress_line import progress_line
from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.errors import SpoolFull
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.transfer.events import (
    BlockMatches,
    BlockSent,
    Completing,
    Connected,
    TryingAgain,
)
from glacier_mpu.transfer.stream_events import (
    BlockRead,
    MoreThanExpected,
    StreamEnded,
    StreamOpened,
)
from glacier_mpu.vault.outage import Outage, OutageOver
from tests.support.displays import NOON, Run, begins, block, differs, failed


class Streamed(Run):
    """A run of which only the numbers are looked at; blocks have 1 MiB."""

    def __init__(self) -> None:
        super().__init__(QuietDisplay)
        self.display.introduce("", tells_blocks=True, is_stream=True)

    @property
    def now(self) -> Snapshot:
        return self.display.snapshot()

    def opens(self, *, expected: int | None = None) -> None:
        self.hear(StreamOpened("an-id", MIB, 10_000 * MIB, expected))

    def reads(self, number: int, *, seconds: int = 1) -> None:
        """Read a block evenly in so many seconds."""
        for _ in range(seconds):
            self.clock.passes(1)
            self.display.hashed(MIB // seconds)
            self.display.tick()
        self.hear(BlockRead(block(number)))


@pytest.fixture
def run() -> Streamed:
    run = Streamed()
    run.opens()
    return run


def test_a_file_has_no_bytes_of_a_stream() -> None:
    assert Run(QuietDisplay).display.snapshot().bytes_read is None


def test_what_was_read_lies_in_the_spool_until_the_vault_holds_it(run: Streamed) -> None:
    run.reads(0)
    run.reads(1)
    run.display.hashed(MIB // 2)
    assert (run.now.bytes_read, run.now.bytes_spooled) == (2.5 * MIB, 2.5 * MIB)
    run.sends(0, seconds=1)
    assert (run.now.bytes_spooled, run.now.blocks_done) == (1.5 * MIB, 1)
    run.hear(BlockMatches(block(1)))
    assert (run.now.bytes_spooled, run.now.blocks_done) == (0.5 * MIB, 2)
    assert (run.now.bytes_stored, run.now.bytes_done) == (MIB, 2 * MIB)


def test_before_its_end_neither_size_nor_blocks_are_known(run: Streamed) -> None:
    run.reads(0)
    assert (run.now.phase, run.now.upload_id) == (Phase.SENDING, "an-id")
    assert (run.now.size, run.now.blocks, run.now.seconds_left) == (None, None, None)
    run.sends(0, seconds=8)
    assert run.now.rate > 0


def test_once_it_has_ended_all_is_known_as_of_a_file(run: Streamed) -> None:
    for number in range(3):
        run.reads(number)
    run.sends(0, seconds=8)
    run.hear(StreamEnded(Plan(3 * MIB, MIB)))
    run.sends(1, seconds=8)
    assert (run.now.size, run.now.blocks, run.now.blocks_done) == (3 * MIB, 3, 2)
    assert run.now.seconds_left == pytest.approx(8, rel=0.2)
    assert "2 of 3 blocks, 2.0 MiB of 3.0 MiB (66 %)" in progress_line(run.now)
    run.sends(2, seconds=8)
    run.hear(Completing())
    assert run.now.phase is Phase.COMPLETING


def test_an_expected_size_gives_percent_and_the_time_left_but_never_all_before_the_end() -> None:
    run = Streamed()
    run.opens(expected=4 * MIB)
    for number in range(2):
        run.reads(number)
        run.sends(number, seconds=8)
    assert run.now.size == 4 * MIB
    assert run.now.seconds_left == pytest.approx(18, rel=0.2)
    assert "50 % of at most 4.0 MiB" in progress_line(run.now)
    for number in range(2, 4):
        run.reads(number)
        run.sends(number, seconds=8)
    assert "99 % of" in progress_line(run.now)


def test_an_expected_size_that_was_too_small_is_told_no_more() -> None:
    run = Streamed()
    run.opens(expected=MIB)
    run.reads(0)
    run.hear(MoreThanExpected(MIB, 10_000 * MIB))
    assert run.now.size is None
    assert "%" not in progress_line(run.now)


def test_a_stream_that_gives_nothing_is_waited_for_once_all_is_sent(run: Streamed) -> None:
    run.reads(0)
    run.sends(0, seconds=8)
    run.passes(9)
    assert run.now.source_silent_seconds == 17
    assert run.now.stalled_seconds == 0
    assert progress_line(run.now).endswith("waiting for the stream 0:17")
    run.display.hashed(1)
    assert run.now.source_silent_seconds == 0


def test_a_stream_is_not_waited_for_while_blocks_are_sent_or_after_its_end(run: Streamed) -> None:
    run.reads(0)
    run.passes(30, moving=1)
    assert run.now.source_silent_seconds == 0
    run.sends(0, seconds=8)
    run.hear(StreamEnded(Plan(MIB, MIB)))
    run.passes(30)
    assert run.now.source_silent_seconds == 0


def test_a_stream_is_waited_for_before_the_upload_is_open() -> None:
    run = Streamed()
    run.hear(Connected("https://glacier.example"))
    run.passes(12)
    assert progress_line(run.now) == "opening the upload: waiting for the stream 0:12"


def test_a_line_that_stalls_is_told_though_the_stream_goes_on(run: Streamed) -> None:
    run.reads(0)
    run.passes(12, hashing=1)
    assert (run.now.stalled_seconds, run.now.source_silent_seconds) == (12, 0)


def test_a_line_that_rested_is_not_stalled_when_it_gets_the_next_block(run: Streamed) -> None:
    run.reads(0)
    run.sends(0, seconds=1)
    run.reads(1, seconds=30)
    assert run.now.stalled_seconds == 0


def test_a_first_block_that_is_read_and_stored_ones_that_are_compared_are_reading(
    run: Streamed,
) -> None:
    run.display.hashed(MIB)
    assert run.now.is_reading
    run.hear(BlockMatches(block(0)))
    run.passes(5, hashing=MIB // 8)
    assert (run.now.is_reading, run.now.phase) == (True, Phase.SENDING)


def test_the_rate_counts_the_time_in_which_the_line_waits_for_the_stream(run: Streamed) -> None:
    for number in range(4):
        run.reads(number, seconds=8)
        run.sends(number, seconds=1)
    assert run.now.rate == pytest.approx(MIB / 9, rel=0.4)


def test_a_stored_block_that_differs_is_sent_once(run: Streamed) -> None:
    run.display.hashed(MIB)
    run.hear(differs(0), BlockRead(block(0)))
    run.sends(0, seconds=8)
    assert run.now.blocks_done == 1
    run.passes(12)
    assert run.now.source_silent_seconds > 0


def test_a_failed_block_stays_in_the_spool_and_is_no_longer_failed_when_tried_again(
    run: Streamed,
) -> None:
    run.reads(0)
    run.hear(failed(0))
    assert (run.now.blocks_failed, run.now.bytes_spooled) == (1, MIB)
    run.hear(StreamEnded(Plan(MIB, MIB)), TryingAgain([0]), begins(to_send=1))
    run.sends(0, seconds=8)
    assert (run.now.blocks_failed, run.now.blocks_done, run.now.bytes_spooled) == (0, 1, 0)


def test_a_full_spool_is_a_stall_and_not_the_streams(run: Streamed) -> None:
    run.reads(0)
    run.sends(0, seconds=1)
    full = SpoolFull("no room")
    run.hear(Outage(full, NOON))
    run.passes(20)
    assert run.now.stalled_seconds > 0
    assert run.now.source_silent_seconds == 0
    run.hear(OutageOver(full, 20))
    assert run.now.stalled_seconds == 0


def test_a_block_that_is_sent_again_to_keep_the_upload_counts_once(run: Streamed) -> None:
    run.reads(0)
    run.sends(0, seconds=1)
    run.hear(BlockSent(Block(0, 0, MIB)))
    assert (run.now.blocks_done, run.now.bytes_spooled) == (1, 0)
