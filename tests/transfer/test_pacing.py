"""The number of slots that auto finds.

Lines are arithmetic, and the test moves the clock.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from glacier_mpu.transfer.pacing import (
    Measured,
    Measurement,
    Reading,
    Search,
    Settled,
    SlowedDown,
    Timing,
    Trial,
    Tuner,
)

Line = Callable[[int, float], float]  # slots and time -> bytes a second


class Run:
    """A tuner on a line. Above `refuses_above` slots the service answers 408."""

    def __init__(self, line: Line, *, most: int = 32, refuses_above: int = 1000) -> None:
        self.line, self.refuses_above = line, refuses_above
        self.now = 0.0
        self.moved = 0.0
        self.refusals = 0
        self.heard: list[Measured | Settled | SlowedDown] = []
        self.tuner = Tuner(most=most, hear=self.heard.append, clock=lambda: self.now)
        self.slots = self.tuner.slots

    @property
    def news(self) -> list[Settled | SlowedDown]:
        """What was heard apart from each single rate."""
        return [event for event in self.heard if not isinstance(event, Measured)]

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


def test_it_begins_with_two_and_reports_once_what_it_settled_at() -> None:
    run = Run(capped(total=40e6, each=8e6))
    assert run.slots == 2
    run.lasts(300)
    (settled,) = run.news
    assert isinstance(settled, Settled)
    assert settled.slots == 8
    assert settled.rate == pytest.approx(40e6)


def test_each_number_is_reported_with_the_bytes_a_second_that_it_moved() -> None:
    run = Run(capped(total=40e6, each=8e6))
    run.lasts(20)
    readings = [event for event in run.heard if isinstance(event, Measured)]
    assert {reading.slots for reading in readings} >= {2, 4, 8, 16}
    for reading in readings:
        assert reading.rate == pytest.approx(min(40e6, reading.slots * 8e6))


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
    assert run.news[-1] == SlowedDown(before, before // 2)
    assert len([event for event in run.news if isinstance(event, SlowedDown)]) == 1


def test_trouble_of_a_single_slot_is_not_reported_because_it_lowers_nothing() -> None:
    run = Run(capped(total=1e6, each=1e6), most=1)
    run.lasts(1)
    run.tuner.slow_down()
    run.lasts(1)
    assert run.slots == 1
    assert not any(isinstance(event, SlowedDown) for event in run.heard)


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
    numbers: list[int] = []
    for _ in range(600):
        run.lasts(1)
        numbers.append(run.slots)
    assert max(numbers) < before


def test_trouble_before_the_first_block_does_not_slow_the_blocks_down() -> None:
    run = Run(capped(total=40e6, each=8e6))
    run.tuner.slow_down()
    run.lasts(0.2)
    assert run.slots == 2
    assert run.news == []


def test_nothing_is_concluded_while_the_slots_wait_for_their_blocks_to_be_hashed() -> None:
    run = Run(capped(total=40e6, each=8e6))
    run.lasts(200, blocks=0)
    assert run.slots == 2
    assert run.news == []


def test_slots_that_have_no_block_do_not_count_as_tried() -> None:
    run = Run(capped(total=40e6, each=8e6))
    run.lasts(200, blocks=3)
    assert run.slots <= 8
    assert run.news == []


def test_a_number_that_went_well_is_come_back_to_after_one_that_did_not() -> None:
    run = Run(capped(total=100e6, each=1e6), refuses_above=6)
    numbers: list[int] = []
    for _ in range(300):
        run.lasts(0.2)
        numbers.append(run.slots)
    assert numbers[-1] == 6
    assert numbers.count(7) > 0
    assert min(numbers[numbers.index(7) :]) == 6


def test_a_line_whose_buffers_fill_first_is_not_taken_for_a_fast_one() -> None:
    run = Run(lambda slots, now: 0)
    buffered = 0.0

    def line(slots: int, now: float) -> float:
        nonlocal buffered
        fills = max(0.0, slots * 2.5e6 - buffered)  # each connection takes in so much at once
        buffered += fills
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


def test_when_another_limit_holds_the_number_is_searched_anew_at_once() -> None:
    """Else a number that has settled rests for minutes."""
    run = Run(lambda slots, now: min(1e6 if now < 100 else 40e6, slots * 4e6))
    run.lasts(100)
    assert run.slots <= 3
    run.tuner.start_over()
    run.lasts(30)
    assert run.slots >= 9
    run.line = capped(total=1e6, each=1e6)
    run.tuner.start_over()
    run.lasts(60)
    assert run.slots <= 3


def test_a_rate_that_jumps_about_does_not_drive_the_number_up() -> None:
    jumps = (1.0, 1.02, 0.98, 1.01, 0.99)
    run = Run(lambda slots, now: 10e6 * jumps[int(now * 5) % len(jumps)])
    run.lasts(600)
    assert run.slots <= 4


TIMING = Timing(settle=1, window=2, patience=8, brief=0.5)


def test_a_rate_is_that_of_the_window_and_leaves_out_what_moved_before() -> None:
    measurement = Measurement(Trial(slots=4), TIMING, now=100)
    assert measurement.take(100, busy=4, moved=0) is None
    assert measurement.take(101, busy=4, moved=9_000) is None
    assert measurement.take(102, busy=4, moved=9_100) is None
    assert measurement.take(103, busy=4, moved=9_300) == Reading(4, 150, brief=False)


def test_a_brief_measurement_takes_its_share_of_the_time() -> None:
    measurement = Measurement(Trial(slots=4, brief=True), TIMING, now=100)
    assert measurement.take(100, busy=4, moved=0) is None
    assert measurement.take(100.5, busy=4, moved=9_000) is None
    assert measurement.take(101.5, busy=4, moved=9_300) == Reading(4, 300, brief=True)


def test_a_measurement_begins_after_the_wait_of_its_trial() -> None:
    measurement = Measurement(Trial(slots=4, wait=60), TIMING, now=100)
    for now in range(100, 163):
        assert measurement.take(now, busy=4, moved=100 * now) is None
    assert measurement.take(163, busy=4, moved=16_300) == Reading(4, 100, brief=False)


@pytest.mark.parametrize(
    ("busy", "measured"),
    [(1, False), (2, False), (3, True), (4, True), (5, False)],
)
def test_past_patience_slots_are_measured_if_more_are_busy_than_before_and_none_is_left_over(
    busy: int, *, measured: bool
) -> None:
    trial = Trial(slots=4, base=Reading(2, 100, brief=False))
    measurement = Measurement(trial, TIMING, now=0)
    readings = [measurement.take(now, busy=busy, moved=100 * now) for now in range(8, 13)]
    assert any(readings) is measured


def searched(rates: dict[int, float], *, most: int) -> list[Trial]:
    """Return the trials up to the settled one, on a line with these bytes a second by slots."""
    trials: list[Trial] = []
    search = Search(most, Timing(), lambda event: None)
    while not trials or search.trial.wait == 0:
        trials.append(search.trial)
        reading = Reading(search.trial.slots, rates[search.trial.slots], search.trial.brief)
        search.proceed(reading, now=0)
    return [*trials, search.trial]


def test_a_search_goes_up_briefly_in_doubling_steps_and_then_halves_the_last_one_in_full() -> None:
    rates = {slots: float(min(slots, 24 - slots)) for slots in range(1, 24)}  # best with 12
    trials = searched(rates, most=32)
    assert [trial.slots for trial in trials if trial.brief] == [2, 4, 8, 16]
    assert [trial.slots for trial in trials if not trial.brief] == [16, 8, 12, 14, 13, 12]


def test_a_search_that_may_use_one_slot_only_settles_for_it_at_once() -> None:
    assert [trial.slots for trial in searched({1: 1.0}, most=1)] == [1, 1]
