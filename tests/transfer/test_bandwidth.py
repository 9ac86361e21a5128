"""The limit on bytes a second, on a clock that the test moves."""

from __future__ import annotations

import pytest

from glacier_mpu.transfer.bandwidth import Limit


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.mark.parametrize("rate", [100, 16_384, 1_000_000, 100_000_000])
def test_over_ten_seconds_the_rate_is_kept_to_three_percent(rate: int) -> None:
    clock = Clock()
    limit = Limit(rate, wait=clock.wait, clock=clock)
    began, gone = clock.now, 0
    while clock.now - began < 10:
        gone += limit.let_by(16_384)
    assert gone == pytest.approx(10 * rate, rel=0.03)


def test_no_second_carries_more_than_its_share_after_a_long_rest() -> None:
    clock = Clock()
    limit = Limit(1_000_000, wait=clock.wait, clock=clock)
    clock.now += 3600
    began, gone = clock.now, 0
    while clock.now - began < 1:
        gone += limit.let_by(16_384)
    assert gone < 1_200_000


def test_a_slow_rate_goes_in_small_pieces() -> None:
    clock = Clock()
    limit = Limit(800, wait=clock.wait, clock=clock)
    assert limit.let_by(16_384) <= 100


def test_time_lost_to_slow_readers_is_not_saved_up_but_short_delays_are_made_good() -> None:
    clock = Clock()
    limit = Limit(1_000_000, wait=clock.wait, clock=clock)
    began, gone = clock.now, 0
    while clock.now - began < 10:
        gone += limit.let_by(16_384)
        clock.now += 0.01
    assert gone == pytest.approx(10_000_000, rel=0.03)
