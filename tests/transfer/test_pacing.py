"""The number of slots that auto finds, on lines of arithmetic and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from glacier_mpu.transfer.pacing import Tuner

Line = Callable[[int, float], float]  # slots and time -> bytes a second


class Run:
    """A tuner on a line. Above `refuses_above` slots the service answers 408."""

    def __init__(self, line: Line, *, most: int = 32, refuses_above: int = 1000) -> None:
        self.line, self.refuses_above = line, refuses_above
        self.now = 0.0
        self.moved = 0.0
        self.refusals = 0
        self.notes: list[str] = []
        self.tuner = Tuner(
            most=most, note=self.notes.append, trace=lambda _: None, clock=lambda: self.now
        )
        self.slots = self.tuner.slots

    def lasts(self, seconds: float, *, blocks: int = 1000) -> float:
        """Let time go by, and return the share of the best possible rate that was moved in it.

        No more than so many `blocks` are there to be sent at once.
        """
        before, best, end = self.moved, 0.0, self.now + seconds
        while self.now < end:
            self.now += 0.2
            self.moved += 0.2 * self.line(min(self.slots, self.refuses_above, blocks), self.now)
            allowed = range(1, min(16, self.refuses_above) + 1)
            best += 0.2 * max(self.line(slots, self.now) for slots in allowed)
            if self.slots > self.refuses_above:
                self.refusals += 1
                self.tuner.slow_down()
            self.slots = self.tuner.tick(busy=min(self.slots, blocks), moved=int(self.moved))
        return (self.moved - before) / best


def capped(*, total: float, each: float) -> Line:
    return lambda slots, now: min(total, slots * each)


LINES: dict[str, Line] = {
    "100 Mbit/s in all, 1 MB/s a connection": capped(total=12.5e6, each=1e6),
    "40 MB/s in all, 8 MB/s a connection": capped(total=40e6, each=8e6),
    "as fast as the machine": capped(total=900e6, each=400e6),
    "one connection fills it": capped(total=625e3, each=625e3),
    "halves midway": lambda slots, now: min(12.5e6 if now < 100 else 6.25e6, slots * 1e6),
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_auto_comes_within_five_percent_of_the_best_number(line: Line) -> None:
    assert Run(line).lasts(600) >= 0.95


def test_auto_comes_within_five_percent_of_the_best_number_that_is_not_refused() -> None:
    run = Run(capped(total=100e6, each=1e6), refuses_above=6)
    assert run.lasts(900) >= 0.95
    assert run.refusals <= 4


def test_it_begins_with_two_and_says_once_what_it_settled_at() -> None:
    run = Run(capped(total=40e6, each=8e6))
    assert run.slots == 2
    run.lasts(300)
    assert len([note for note in run.notes if "at once" in note]) == 1


def test_it_never_goes_over_what_it_may_use() -> None:
    run = Run(lambda slots, now: slots * 1e6, most=5)
    for _ in range(300):
        run.lasts(1)
        assert run.slots <= 5
    assert run.slots == 5


def test_one_storm_of_refusals_halves_once() -> None:
    run = Run(capped(total=100e6, each=1e6))
    run.lasts(20)
    before = run.slots
    for _ in range(5):
        run.tuner.slow_down()
        run.lasts(0.4)
    assert run.slots == before // 2


def test_refusals_of_blocks_that_were_on_their_way_already_halve_nothing_more() -> None:
    run = Run(capped(total=100e6, each=1e6))
    run.lasts(20)
    before = run.slots
    for _ in range(100):
        run.now += 10.0
        run.tuner.slow_down()
        run.slots = run.tuner.tick(busy=before, moved=int(run.moved))
    assert run.slots == before // 2


def test_trouble_right_after_a_step_down_is_that_of_the_number_before() -> None:
    run = Run(capped(total=40e6, each=8e6))
    before = run.slots
    while run.slots >= before:  # it climbs, and goes back to look closer at fewer
        before = run.slots
        run.lasts(0.2)
    run.tuner.slow_down()
    run.now += 0.2
    run.slots = run.tuner.tick(busy=before, moved=int(run.moved))
    numbers = []
    for _ in range(600):
        run.lasts(1)
        numbers.append(run.slots)
    assert max(numbers) < before


def test_trouble_before_the_first_block_does_not_slow_the_blocks_down() -> None:
    run = Run(capped(total=40e6, each=8e6))
    run.tuner.slow_down()
    run.lasts(0.2)
    assert run.slots == 2
    assert run.notes == []


def test_nothing_is_concluded_while_the_slots_wait_for_their_blocks_to_be_hashed() -> None:
    run = Run(capped(total=40e6, each=8e6))
    run.lasts(200, blocks=0)
    assert run.slots == 2
    assert run.notes == []


def test_slots_that_have_no_block_do_not_count_as_tried() -> None:
    run = Run(capped(total=40e6, each=8e6))
    run.lasts(200, blocks=3)
    assert run.slots <= 8
    assert run.notes == []


def test_a_number_that_went_well_is_come_back_to_after_one_that_did_not() -> None:
    run = Run(capped(total=100e6, each=1e6), refuses_above=6)
    numbers = []
    for _ in range(300):
        run.lasts(0.2)
        numbers.append(run.slots)
    assert numbers[-1] == 6
    assert numbers.count(7) > 0
    assert min(numbers[numbers.index(7) :]) == 6


def test_a_line_whose_buffers_fill_first_is_not_taken_for_a_fast_one() -> None:
    run = Run(lambda slots, now: 0)
    buffered = [0.0]

    def line(slots: int, now: float) -> float:
        fills = max(0.0, slots * 2.5e6 - buffered[0])  # each connection takes in so much at once
        buffered[0] += fills
        return min(12.5e6, slots * 1e6) + fills / 0.2

    run.line = line
    run.lasts(120)
    assert 13 <= run.slots <= 16


def test_a_line_that_becomes_faster_is_noticed() -> None:
    run = Run(lambda slots, now: min(4e6 if now < 100 else 12e6, slots * 1e6))
    run.lasts(100)
    assert run.slots < 10
    run.lasts(600)
    assert run.slots >= 11


def test_a_rate_that_jumps_about_does_not_drive_the_number_up() -> None:
    jumps = (1.0, 1.02, 0.98, 1.01, 0.99)
    run = Run(lambda slots, now: 10e6 * jumps[int(now * 5) % len(jumps)])
    run.lasts(600)
    assert run.slots <= 4
