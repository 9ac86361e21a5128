"""How far a run is, as its snapshots tell: of what was asked, at the rate of the last minute."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glacier_mpu.cli.progress import QuietDisplay
from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.transfer.events import (
    BlockDiffers,
    BlockSent,
    Completing,
    KnownBlocks,
    TryingAgain,
    UploadOpened,
)
from glacier_mpu.vault.answers import StoredPart
from glacier_mpu.vault.outage import Outage, OutageOver
from tests.support.displays import (
    NOON,
    OUTAGE,
    OVER,
    RETRY,
    UNREADABLE,
    Run,
    begins,
    block,
    differs,
    failed,
    opened,
    starts,
)


class Counted(Run):
    """A run of which only the numbers are looked at."""

    def __init__(self) -> None:
        super().__init__(QuietDisplay)

    @property
    def now(self) -> Snapshot:
        return self.display.snapshot()

    @property
    def blocks(self) -> tuple[int, int | None]:
        return self.now.blocks_done, self.now.blocks

    @property
    def mib(self) -> tuple[float, float]:
        return self.now.bytes_done / MIB, (self.now.size or 0) / MIB


@pytest.fixture
def run() -> Counted:
    return Counted()


# -- of what was asked


def test_before_the_upload_is_open_nothing_is_known_but_the_time(run: Counted) -> None:
    run.passes(7)
    assert run.now == Snapshot(phase=Phase.OPENING, elapsed_seconds=7)


def test_a_resumed_run_begins_with_what_is_stored_already(run: Counted) -> None:
    run.hear(*starts(to_send=60, to_compare=40))
    assert run.blocks == (40, 100)
    assert run.mib == (40, 100)
    assert run.now.upload_id == "an-id"


def test_a_block_that_is_sent_counts_once_while_it_is_on_its_way_and_after(run: Counted) -> None:
    run.hear(*starts(to_send=4))
    run.passes(1, moving=MIB)
    assert (run.mib, run.blocks, run.now.bytes_on_the_way) == ((1, 4), (0, 4), MIB)
    run.hear(BlockSent(block(0)))
    assert (run.mib, run.blocks, run.now.bytes_on_the_way) == ((1, 4), (1, 4), 0)
    assert run.now.bytes_stored == MIB


def test_what_is_sent_again_takes_its_bytes_back(run: Counted) -> None:
    run.hear(*starts(to_send=4))
    run.passes(1, moving=2 * MIB)
    run.passes(1, moving=-MIB)
    assert run.mib == (1, 4)


def test_blocks_outside_the_asked_range_do_not_count(run: Counted) -> None:
    run.hear(opened(100, stored=range(25), asked=range(20, 30)), begins(to_send=5, to_compare=5))
    assert run.blocks == (5, 10)
    assert run.mib == (5, 10)
    run.hear(differs(3))
    assert run.blocks == (5, 10)


def test_a_block_that_is_stored_already_and_sent_again_counts_once(run: Counted) -> None:
    run.hear(opened(4, stored=[0]), begins(to_send=4))
    run.sends(0, seconds=5)
    assert (run.blocks, run.mib) == ((1, 4), (1, 4))


def test_a_short_last_block_counts_with_its_own_size(run: Counted) -> None:
    plan = Plan(2 * MIB + 9, MIB)
    run.hear(UploadOpened("an-id", plan, plan.numbers, [2]))
    assert (run.now.bytes_done, run.now.size) == (9, 2 * MIB + 9)


def test_blocks_that_the_ledger_knows_are_done_from_the_beginning(run: Counted) -> None:
    run.hear(opened(2003, stored=range(2000)), KnownBlocks(range(2000), 2000 * MIB))
    run.hear(begins(to_send=3))
    assert run.blocks == (2000, 2003)


def test_a_stored_block_that_differs_is_taken_back_and_sent(run: Counted) -> None:
    run.hear(*starts(to_send=1, to_compare=2))
    run.compares(0, seconds=1)
    run.hear(differs(1))
    assert run.blocks == (1, 3)
    assert (run.now.compared, run.now.to_compare) == (2, 2)
    run.sends(2, seconds=1)
    assert run.now.phase is Phase.SENDING
    run.sends(1, seconds=1)
    assert run.blocks == (3, 3)
    assert run.mib == (3, 3)


def test_a_block_of_another_size_or_whose_hash_was_known_is_to_be_sent_from_the_beginning(
    run: Counted,
) -> None:
    run.hear(opened(2, stored=[1]))
    run.hear(BlockDiffers(block(0), StoredPart(MIB - 1, b"\1" * 32)))
    run.hear(replace(differs(1), read=False), begins(to_send=2))
    assert run.blocks == (0, 2)
    run.sends(0, seconds=1)
    run.sends(1, seconds=1)
    assert run.blocks == (2, 2)


def test_a_failed_block_is_counted_until_it_is_tried_again(run: Counted) -> None:
    run.hear(*starts(to_send=3, to_compare=1))
    run.hear(failed(1), failed(2), failed(0, compared=True))
    assert run.now.blocks_failed == 3
    run.hear(TryingAgain([1, 2]), begins(to_send=2))
    assert run.now.blocks_failed == 1
    run.sends(1, seconds=1)
    run.sends(2, seconds=1)
    assert run.blocks == (3, 4)


def test_a_second_pass_goes_on_where_the_first_one_ended(run: Counted) -> None:
    run.hear(opened(10, stored=range(6), asked=range(6, 10)), begins(to_send=4))
    for number in range(6, 10):
        run.sends(number, seconds=1)
    run.hear(begins(to_compare=6))
    assert (run.blocks, run.mib) == ((4, 4), (4, 4))
    assert (run.now.phase, run.now.to_compare) == (Phase.COMPARING, 6)


def test_retries_are_counted(run: Counted) -> None:
    run.hear(RETRY, replace(RETRY, shared=True))
    assert run.now.retries == 2


# -- phases


def test_a_run_sends_then_compares_the_rest_completes_and_ends(run: Counted) -> None:
    run.hear(*starts(to_send=1, to_compare=2))
    phases = [run.now.phase]
    run.sends(2, seconds=1)
    phases.append(run.now.phase)
    run.compares(0, seconds=1)
    run.compares(1, seconds=1)
    run.hear(Completing())
    phases.append(run.now.phase)
    run.display.close()
    phases.append(run.now.phase)
    assert phases == [Phase.SENDING, Phase.COMPARING, Phase.COMPLETING, Phase.ENDED]


def test_a_run_that_sends_last_does_not_end_as_one_that_compares(run: Counted) -> None:
    run.hear(*starts(to_send=1, to_compare=1))
    run.compares(0, seconds=1)
    run.sends(1, seconds=1)
    assert run.now.phase is Phase.SENDING


# -- how fast


def test_the_rate_is_of_the_last_minute_and_forgets_a_faster_time(run: Counted) -> None:
    run.hear(*starts(to_send=10_000))
    run.passes(100, moving=8 * MIB)
    run.passes(60, moving=MIB)
    assert run.now.rate == pytest.approx(MIB, rel=0.02)
    assert run.now.seconds_left == pytest.approx(10_000 - 860, rel=0.02)


def test_the_rate_counts_from_the_first_byte_and_not_while_the_first_block_is_read(
    run: Counted,
) -> None:
    run.hear(*starts(to_send=100))
    run.passes(50, hashing=MIB)
    run.passes(5, moving=MIB)
    assert run.now.rate == pytest.approx(MIB, rel=0.3)


def test_what_only_fills_the_buffers_in_the_first_moment_is_no_rate(run: Counted) -> None:
    run.hear(*starts(to_send=100))
    run.display.moved(MIB)
    run.clock.passes(0.5)
    assert (run.now.rate, run.now.seconds_left) == (0, None)


def test_a_retried_block_takes_no_rate_back(run: Counted) -> None:
    run.hear(*starts(to_send=1000))
    run.passes(30, moving=MIB)
    run.display.moved(-20 * MIB)
    run.passes(30, moving=MIB)
    assert run.now.rate == pytest.approx(MIB, rel=0.05)
    assert run.now.seconds_left == pytest.approx(960, rel=0.05)


def test_the_rate_of_what_is_sent_leaves_out_what_is_compared(run: Counted) -> None:
    run.hear(*starts(to_send=100, to_compare=1000))
    run.passes(20, moving=MIB, comparing=10 * MIB)
    assert run.now.rate == pytest.approx(MIB, rel=0.1)


def test_the_time_left_is_that_of_comparing_where_it_takes_longer(run: Counted) -> None:
    run.hear(*starts(to_send=30, to_compare=1000))
    run.passes(20, moving=MIB, comparing=MIB)
    assert run.now.seconds_left == pytest.approx(495, rel=0.1)  # both rates, for 10 and 980 blocks


def test_the_time_left_is_that_of_sending_where_comparing_is_done_sooner(run: Counted) -> None:
    run.hear(*starts(to_send=1000, to_compare=300))
    run.passes(20, moving=MIB, comparing=10 * MIB)
    assert run.now.seconds_left == pytest.approx(980, rel=0.1)


def test_where_only_is_compared_rate_and_time_are_those_of_comparing(run: Counted) -> None:
    run.hear(*starts(to_compare=100))
    run.passes(20, comparing=2 * MIB)
    assert run.now.rate == pytest.approx(2 * MIB, rel=0.1)
    assert run.now.seconds_left == pytest.approx(30, rel=0.1)
    assert (run.now.bytes_compared, run.now.bytes_to_compare) == (40 * MIB, 100 * MIB)
    assert run.now.stalled_seconds == 0


# -- a line on which nothing moves


def test_a_stalled_line_has_neither_rate_nor_time_left(run: Counted) -> None:
    run.hear(*starts(to_send=100))
    run.passes(30, moving=MIB)
    run.passes(58)
    assert (run.now.rate, run.now.seconds_left) == (0, None)
    assert run.now.stalled_seconds == 58


def test_a_pause_of_a_few_seconds_is_no_stall(run: Counted) -> None:
    run.hear(*starts(to_send=100))
    run.passes(30, moving=MIB)
    run.passes(9)
    assert run.now.stalled_seconds == 0
    assert run.now.rate > 0


def test_a_trickle_is_no_stall(run: Counted) -> None:
    run.hear(*starts(to_send=100))
    for _ in range(20):
        run.passes(5)
        run.passes(1, moving=1)
        assert run.now.stalled_seconds == 0


def test_reading_a_block_before_it_is_sent_is_no_stall(run: Counted) -> None:
    run.hear(*starts(to_send=100))
    run.passes(90, hashing=MIB)
    assert (run.now.stalled_seconds, run.now.is_reading) == (0, True)
    run.passes(5, moving=MIB)
    assert not run.now.is_reading


def test_comparing_does_not_hide_that_nothing_is_sent(run: Counted) -> None:
    run.hear(*starts(to_send=10, to_compare=1000))
    run.passes(5, moving=MIB)
    run.passes(20, comparing=MIB)
    assert run.now.stalled_seconds == 20


def test_a_disk_that_gives_nothing_to_compare_is_a_stall(run: Counted) -> None:
    run.hear(*starts(to_compare=100))
    run.passes(5, comparing=MIB)
    run.passes(20)
    assert (run.now.stalled_seconds, run.now.rate) == (20, 0)


def test_comparing_that_had_given_way_to_sending_is_not_stalled_when_its_turn_comes(
    run: Counted,
) -> None:
    run.hear(*starts(to_send=60, to_compare=5))
    run.passes(60, moving=MIB)
    for number in range(5, 65):
        run.hear(BlockSent(block(number)))
    assert run.now.phase is Phase.COMPARING
    assert run.now.stalled_seconds == 0


def test_a_block_found_to_differ_after_hours_of_comparing_is_not_stalled(run: Counted) -> None:
    run.hear(*starts(to_compare=5000))
    run.passes(3000, comparing=MIB)
    run.hear(differs(3))
    run.passes(2)
    assert (run.now.phase, run.now.stalled_seconds) == (Phase.SENDING, 0)


def test_in_an_outage_the_bytes_of_vain_tries_are_no_rate_and_end_no_stall(run: Counted) -> None:
    run.hear(*starts(to_send=100))
    run.passes(30, moving=MIB)
    run.passes(5)
    run.hear(OUTAGE)
    assert (run.now.rate, run.now.stalled_seconds) == (0, 5)
    run.passes(1, moving=2 * MIB)
    run.passes(1, moving=-2 * MIB)
    assert (run.now.rate, run.now.seconds_left, run.now.stalled_seconds) == (0, None, 7)


def test_an_outage_that_is_told_again_lasts_since_it_began(run: Counted) -> None:
    run.hear(*starts(to_send=100), OUTAGE)
    run.passes(60, moving=MIB)
    run.hear(OUTAGE)
    assert run.now.stalled_seconds == 60


def test_an_outage_that_the_run_has_given_up_does_not_last_into_the_next_pass(
    run: Counted,
) -> None:
    run.hear(*starts(to_send=100), OUTAGE)
    run.passes(60)
    run.hear(TryingAgain([0]), begins(to_send=1))
    assert run.now.stalled_seconds == 0


def test_after_an_outage_of_the_file_the_rate_is_that_of_a_disk_that_is_back(run: Counted) -> None:
    run.hear(*starts(to_compare=1000))
    run.passes(5, comparing=MIB)
    run.hear(Outage(UNREADABLE, NOON))
    run.passes(50)
    run.hear(OutageOver(UNREADABLE, 50))
    run.passes(5, comparing=MIB)
    assert run.now.rate == pytest.approx(MIB, rel=0.25)


def test_after_an_outage_the_rate_is_that_of_the_line_that_is_back(run: Counted) -> None:
    run.hear(*starts(to_send=1000))
    run.passes(30, moving=MIB)
    run.hear(OUTAGE)
    run.passes(50)
    run.hear(OVER)
    run.passes(5, moving=MIB)
    assert run.now.stalled_seconds == 0
    assert run.now.rate == pytest.approx(MIB, rel=0.25)


def test_an_outage_of_the_line_lasts_though_the_file_can_be_read_again(run: Counted) -> None:
    run.hear(*starts(to_send=100), OUTAGE, Outage(UNREADABLE, NOON))
    run.passes(20)
    run.hear(OutageOver(UNREADABLE, 20))
    run.passes(2, moving=MIB)
    assert run.now.stalled_seconds == 22
    run.hear(OVER)
    assert run.now.stalled_seconds == 0


def test_once_all_is_stored_nothing_is_expected_to_move(run: Counted) -> None:
    """What is stored is listed again before it is completed, which takes a while."""
    run.hear(*starts(to_send=1))
    run.sends(0, seconds=5)
    run.passes(20)
    assert (run.now.stalled_seconds, run.now.rate, run.now.is_reading) == (0, 0, False)


def test_an_outage_that_keeps_an_upload_from_being_opened_is_a_stall(run: Counted) -> None:
    run.passes(3)
    run.hear(OUTAGE)
    run.passes(20)
    assert (run.now.phase, run.now.stalled_seconds) == (Phase.OPENING, 23)


def test_a_run_that_has_ended_is_not_stalled(run: Counted) -> None:
    run.hear(*starts(to_send=100))
    run.passes(30, moving=MIB)
    run.hear(OUTAGE)
    run.display.close()
    run.passes(30)
    assert run.now.stalled_seconds == 0
