"""How many blocks are read at once, on simulated disks: one where it seeks, all where it pays."""

from __future__ import annotations

import pytest

from glacier_mpu.source.blocks import MIB
from glacier_mpu.stop import Stop
from glacier_mpu.transfer.readers import Readers, Trial
from glacier_mpu.transfer.workers import TICK_SECONDS, Gate
from tests.support.kit import Clock

CORES = 8


class Drive:
    """Reads `rate(readers)` bytes a second while stored blocks are left, in time moved by hand."""

    def __init__(
        self,
        *rates: float,
        rotating: bool | None = None,
        left: int = 100,
        most: int = CORES,
        read: int = 0,
    ) -> None:
        """`rates` are in MiB: of one reader, and of more than one."""
        self.rates = rates
        self.left = left
        self.read = read
        self.clock = Clock()
        self.gate = Gate(most, stop=Stop())
        self.readers = Readers(self.gate, most=most, clock=self.clock)
        self.readers.rotating = rotating
        self.seen: list[int] = []

    def begin(self) -> Drive:
        self.readers.begin(lambda: self.left)
        return self

    def passes(self, seconds: float) -> Drive:
        """Let time pass in ticks, and note the numbers that were used."""
        for _ in range(round(seconds / TICK_SECONDS)):
            self.note()
            self.clock.passes(TICK_SECONDS)
            self.read += int(self.rates[self.gate.count > 1] * MIB * TICK_SECONDS)
            self.readers.tick(self.read)
        self.note()
        return self

    def note(self) -> None:
        if self.seen[-1:] != [self.gate.count]:
            self.seen.append(self.gate.count)


def test_on_a_rotating_disk_one_block_is_read_at_a_time_and_nothing_is_tried() -> None:
    drive = Drive(150, 900, rotating=True).begin().passes(60)
    assert drive.seen == [1]


def test_on_a_rotating_disk_one_block_is_read_at_a_time_also_to_be_sent() -> None:
    drive = Drive(150, 900, rotating=True, left=0).begin().passes(60)
    assert drive.seen == [1]


def test_on_a_disk_that_does_not_rotate_all_cores_read_from_the_first_moment() -> None:
    drive = Drive(150, 20, rotating=False).begin().passes(60)
    assert drive.seen == [CORES]


@pytest.mark.parametrize(
    ("one", "several", "kept"),
    [
        pytest.param(150, 40, 1, id="a network drive on a rotating disk"),
        pytest.param(110, 110, 1, id="a network that one reader fills"),
        pytest.param(100, 105, 1, id="hardly faster"),
        pytest.param(100, 115, CORES, id="somewhat faster"),
        pytest.param(30, 200, CORES, id="a network with long ways"),
        pytest.param(800, 6000, CORES, id="memory"),
        pytest.param(2, 1, 1, id="very slow, and slower with more"),
        pytest.param(2, 8, CORES, id="very slow, and faster with more"),
    ],
)
def test_where_nothing_is_known_one_and_all_are_measured_and_the_better_is_kept(
    one: float, several: float, kept: int
) -> None:
    drive = Drive(one, several).begin().passes(20)
    assert drive.seen == ([1, CORES] if kept > 1 else [1, CORES, 1])
    assert drive.passes(3600).seen[3:] == []


def test_memory_is_told_within_a_second() -> None:
    assert Drive(800, 6000).begin().passes(0.8).gate.count == CORES


def test_a_burst_at_the_beginning_is_left_out() -> None:
    """What was read ahead, or by a thread that began before the number was changed."""
    trial = Trial(1000.0)
    assert trial.rate(1000.0, 0) is None
    assert trial.rate(1000.2, 900 * MIB) is None
    assert trial.rate(1001.2, 1100 * MIB) == pytest.approx(200 * MIB)


def test_what_was_read_before_counts_for_nothing() -> None:
    assert Drive(150, 40, read=10**12).begin().passes(20).gate.count == 1


def test_a_drive_that_hangs_is_not_called_slow() -> None:
    drive = Drive(150, 40).begin().passes(3)
    assert drive.gate.count == CORES
    drive.rates = 0, 0
    assert drive.passes(60).gate.count == CORES
    drive.rates = 150, 900
    assert drive.passes(20).gate.count == CORES
    assert drive.passes(3600).seen == [1, CORES]


def test_a_process_that_was_stopped_in_the_middle_measures_again() -> None:
    drive = Drive(150, 900).begin().passes(1.6)
    assert drive.gate.count == CORES
    drive.clock.passes(3600)
    assert drive.passes(20).seen == [1, CORES]


@pytest.mark.parametrize("left", [0, 1])
def test_with_less_than_two_blocks_to_compare_nothing_is_measured(left: int) -> None:
    assert Drive(150, 40, left=left).begin().passes(60).seen == [CORES]


@pytest.mark.parametrize("when", ["one is measured", "all are measured"])
def test_once_nothing_is_left_to_compare_all_cores_hash_what_is_sent(when: str) -> None:
    drive = Drive(150, 40).begin().passes(0.6 if when == "one is measured" else 2.4)
    assert drive.gate.count == (1 if when == "one is measured" else CORES)
    drive.left = 1
    assert drive.passes(60).gate.count == CORES


@pytest.mark.parametrize("seconds", [0.6, 2.4], ids=["one is measured", "all are measured"])
def test_a_measurement_that_was_not_ended_is_made_in_the_next_pass_and_then_no_more(
    seconds: float,
) -> None:
    drive = Drive(150, 40).begin().passes(seconds)
    drive.left = 0
    drive.passes(5)
    drive.left = 100
    assert drive.begin().gate.count == 1
    assert drive.passes(0.6).gate.count == 1
    assert drive.passes(20).gate.count == 1
    seen = list(drive.seen)
    assert seen == [1, CORES, 1, CORES, 1]
    assert drive.begin().passes(20).seen == seen


def test_what_was_kept_holds_for_what_is_sent_afterwards() -> None:
    drive = Drive(150, 40).begin().passes(20)
    drive.left = 0
    assert drive.passes(60).gate.count == 1


def test_one_core_has_nothing_to_choose_from() -> None:
    drive = Drive(150, 40, most=1).begin().passes(60)
    assert drive.seen == [1]
