"""The one retry layer: how often, how long, with what waits. Nobody sleeps here."""

from __future__ import annotations

import random
import statistics
from types import SimpleNamespace

import pytest

from glacier_mpu.errors import (
    BareRefusal,
    ClockWrong,
    HashMismatch,
    NotPermitted,
    PassingTrouble,
    Refused,
    SourceUnreadable,
    Stopped,
    Throttled,
    Unreachable,
)
from glacier_mpu.vault.retry import Patience, Retries, Retry
from tests.support.kit import Clock, FakeEvent

AGES = 1e9


class Line:
    """A line that is asked to carry a body, and what Patience makes of each failed try."""

    def __init__(self, *, give_up: float, with_body: bool = True) -> None:
        self.clock = Clock()
        self.body = SimpleNamespace(furthest=0, moved_at=self.clock()) if with_body else None
        self.patience = Patience(give_up, self.body, clock=self.clock)
        self.tries = 0
        self.slept = 0.0

    def fails(self, *, reaching: int = 0, taking: float = 0, hanging: float = 0) -> bool:
        """Try once: bytes move for a while, then nothing does. Return whether time is over."""
        self.tries += 1
        self.patience.begin_try()
        if reaching:
            self.clock.passes(taking)
            self.body.furthest = max(self.body.furthest, reaching)
            self.body.moved_at = self.clock()
        self.clock.passes(hanging)
        return self.patience.is_over(
            SimpleNamespace(attempt_number=self.tries, idle_for=self.slept)
        )

    def waits(self, seconds: float) -> None:
        self.slept += seconds
        self.clock.passes(seconds)


# -- patience


def test_a_block_that_moved_for_days_and_broke_is_tried_again():
    line = Line(give_up=900)
    assert not line.fails(reaching=50, taking=3 * 86_400)


def test_a_line_that_hangs_for_the_whole_time_after_the_last_byte_gets_one_more_try():
    for hanging in (899, 900, 86_400):  # for so long the process itself may have been stopped
        line = Line(give_up=900)
        assert not line.fails(reaching=50, taking=1, hanging=hanging)
        assert line.fails(hanging=1) == (hanging >= 899)


def test_a_block_that_gets_a_byte_further_in_every_try_is_never_given_up():
    line = Line(give_up=900)
    for reached in range(1, 200):
        assert not line.fails(reaching=reached, taking=3600, hanging=400)
        line.waits(400)


def test_time_before_a_new_furthest_byte_is_forgotten():
    line = Line(give_up=900)
    assert not line.fails(reaching=10, hanging=600)
    line.waits(290)
    assert not line.fails(reaching=11, hanging=600)
    line.waits(290)
    assert line.fails(hanging=10)


def test_a_call_that_fails_at_the_same_byte_every_time_ends_after_its_waits():
    line = Line(give_up=900)
    failures = 1
    while not line.fails(reaching=100, taking=3600):
        line.waits(60)
        failures += 1
        assert failures < 100, "re-sent bytes were taken for progress"
    assert line.slept == 900


def test_time_in_which_bytes_are_sent_once_more_is_not_counted_as_trouble():
    line = Line(give_up=900)
    line.fails(reaching=100, taking=10)
    line.waits(10)
    assert not line.fails(reaching=100, taking=100_000)


@pytest.mark.parametrize("with_body", [True, False])
def test_hanging_tries_and_the_waits_between_them_add_up(with_body):
    line = Line(give_up=900, with_body=with_body)
    line.fails()
    line.waits(100)
    assert not line.fails(hanging=400)
    line.waits(100)
    assert not line.fails(hanging=299)
    line.waits(1)
    assert line.fails()


def test_the_waits_of_a_call_without_a_body_are_counted():
    line = Line(give_up=900, with_body=False)
    while not line.fails():
        line.waits(60)
    assert line.slept == 900


@pytest.mark.parametrize("with_body", [True, False])
def test_patience_of_no_time_is_one_try(with_body):
    assert Line(give_up=0, with_body=with_body).fails()


# -- calls


class Call:
    """An attempt that ends as it is told, the last way for ever."""

    def __init__(self, *ends: BaseException | str) -> None:
        self.ends = list(ends)
        self.tries = 0

    def __call__(self) -> str:
        self.tries += 1
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, BaseException):
            raise end
        return end


def retries_with(stop, told, *, give_up: float = AGES, longest: float = 60) -> Retries:
    return Retries(
        give_up_seconds=give_up, longest_wait_seconds=longest, stop=stop, on_retry=told.append
    )


def ended(call: Call, **limits: float) -> tuple[object, list[Retry], FakeEvent]:
    """Return how a call ended, by value or error, what was told, and the event waited on."""
    stop, told = FakeEvent(), []
    try:
        return retries_with(stop, told, **limits).call("do it", call), told, stop
    except BaseException as error:  # noqa: BLE001 - the test looks at it
        return error, told, stop


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (HashMismatch("other bytes"), 2),
        (BareRefusal("HTTP 400"), 5),
        (ClockWrong("expired"), 2),
        (Refused("no"), 1),
        (NotPermitted("not you"), 1),
        (SourceUnreadable("EIO"), 1),
        (ValueError("a bug"), 1),
        (Stopped(), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else f"{value}x",
)
def test_an_error_of_this_kind_is_tried_so_often_and_raised_as_it_is(error, tries):
    call = Call(error)
    end, told, stop = ended(call)
    assert end is error
    assert call.tries == tries
    assert len(told) == len(stop.waits) == tries - 1


@pytest.mark.parametrize("kind", [PassingTrouble, Unreachable, Throttled])
def test_passing_trouble_is_tried_until_it_passes(kind):
    call = Call(*[kind("gone soon")] * 50, "done")
    end, told, _ = ended(call)
    assert (end, call.tries, len(told)) == ("done", 51, 50)


def test_passing_trouble_that_stays_is_raised_when_the_waits_have_used_up_the_time():
    error = PassingTrouble("still there")
    end, _, stop = ended(Call(error), give_up=900)
    assert end is error
    assert 900 <= sum(stop.waits) < 900 + 60


def test_no_time_to_give_is_one_try():
    call = Call(PassingTrouble("x"))
    ended(call, give_up=0)
    assert call.tries == 1


def test_two_hash_mismatches_end_the_call_whatever_came_between():
    second = HashMismatch("again")
    call = Call(HashMismatch("once"), PassingTrouble("x"), PassingTrouble("x"), second)
    assert ended(call)[0] is second
    assert call.tries == 4


def test_waits_grow_are_jittered_and_never_longer_than_the_longest():
    runs = [ended(Call(*[PassingTrouble("x")] * 200, "done"))[2].waits for _ in range(3)]
    for waits in runs:
        assert all(0 <= wait <= min(60, 2**n) for n, wait in enumerate(waits))
        assert len(set(waits)) == len(waits)
        assert statistics.mean(waits[:4]) < statistics.mean(waits[10:])
        assert max(waits) > 30
    assert runs[0] != runs[1]


def test_the_longest_wait_may_be_shorter_than_the_first():
    random.seed(1)
    waits = ended(Call(*[PassingTrouble("x")] * 50, "done"), longest=0.5)[2].waits
    assert 0.25 < max(waits) <= 0.5


def test_every_failed_try_that_another_follows_is_told_with_its_wait():
    errors = [PassingTrouble("one"), Unreachable("two"), HashMismatch("three")]
    _, told, stop = ended(Call(*errors, "done"))
    assert [(retry.call, retry.error) for retry in told] == [("do it", error) for error in errors]
    assert [retry.wait_seconds for retry in told] == stop.waits


def test_a_stop_ends_the_wait_and_no_further_try_begins():
    stop, told = FakeEvent(set_in_wait=3), []
    call = Call(PassingTrouble("x"))
    with pytest.raises(Stopped):
        retries_with(stop, told).call("do it", call)
    assert (call.tries, len(stop.waits)) == (3, 3)


def test_a_stopped_run_begins_no_call_at_all():
    stop = FakeEvent()
    stop.set()
    call = Call("done")
    with pytest.raises(Stopped):
        retries_with(stop, []).call("do it", call)
    assert call.tries == 0


def test_a_try_that_fails_after_the_stop_is_not_told_as_to_be_tried_again():
    stop, told = FakeEvent(), []

    def attempt():
        stop.set()
        raise PassingTrouble("cut")

    with pytest.raises(Stopped):
        retries_with(stop, told).call("do it", attempt)
    assert told == []
