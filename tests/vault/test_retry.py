"""The one retry layer: how often, how long, with what waits. Nobody sleeps here."""

from __future__ import annotations

import pickle
import random
import statistics
from dataclasses import dataclass, field, replace

import pytest
from tenacity import RetryCallState, Retrying

from glacier_mpu.errors import SourceUnreadable
from glacier_mpu.stop import Stopped, Waits
from glacier_mpu.vault.errors import (
    BareRefusal,
    ClockSkew,
    ConnectionLost,
    CredentialsExpired,
    CredentialsRejected,
    HashMismatch,
    NotPermitted,
    Refused,
    ServerError,
    ServiceDown,
    Throttled,
    TimedOut,
    TransientError,
    Unreachable,
    VaultError,
)
from glacier_mpu.vault.line import Line
from glacier_mpu.vault.retry import Patience, Retries, Retry, Tries
from glacier_mpu.vault.use import Use
from tests.support.kit import Clock, NoWait, ignore

AGES = 1e9


@dataclass
class Moves:
    """What a try moves."""

    moved_at: float
    furthest: int = 0


class Tried:
    """A call that is tried while others get through, and what Patience makes of each failed try."""

    def __init__(self, *, give_up: float, with_body: bool = True, longest: float = AGES) -> None:
        self.clock = Clock()
        self.body = Moves(self.clock()) if with_body else None
        self.use = Use(self.body, longest_silence=longest, reached=0, outages=0)
        self.patience = Patience(give_up, self.use, clock=self.clock)
        self.tries = 0
        self.slept = 0.0

    def fails(self, *, reaching: int = 0, taking: float = 0, hanging: float = 0) -> bool:
        """Try once: bytes move for a while, then nothing does. Return whether time is over."""
        self.tries += 1
        self.use.try_began_at = self.clock()
        if reaching:
            assert self.body is not None
            self.clock.passes(taking)
            self.body.furthest = max(self.body.furthest, reaching)
            self.body.moved_at = self.clock()
        self.clock.passes(hanging)
        return self.patience.is_over(self.state())

    def waits(self, seconds: float) -> None:
        self.slept += seconds
        self.clock.passes(seconds)

    def state(self) -> RetryCallState:
        state = RetryCallState(Retrying(), fn=None, args=(), kwargs={})
        state.attempt_number, state.idle_for = self.tries, self.slept
        return state


# -- patience


def test_a_block_that_moved_for_days_and_broke_is_tried_again() -> None:
    block = Tried(give_up=900)
    assert not block.fails(reaching=50, taking=3 * 86_400)


@pytest.mark.parametrize("with_body", [True, False])
def test_a_process_that_was_stopped_during_a_try_counts_what_the_time_outs_allow(
    with_body: bool,
) -> None:
    block = Tried(give_up=900, with_body=with_body, longest=150)
    for _ in range(5):
        assert not block.fails(hanging=86_400)
    assert block.fails(hanging=86_400)


def test_a_block_that_gets_a_byte_further_in_every_try_is_never_given_up() -> None:
    block = Tried(give_up=900)
    for reached in range(1, 200):
        assert not block.fails(reaching=reached, taking=3600, hanging=400)
        block.waits(400)


def test_time_before_a_new_furthest_byte_is_forgotten() -> None:
    block = Tried(give_up=900)
    assert not block.fails(reaching=10, hanging=600)
    block.waits(290)
    assert not block.fails(reaching=11, hanging=600)
    block.waits(290)
    assert block.fails(hanging=10)


def test_a_call_that_fails_at_the_same_byte_every_time_ends_after_its_waits() -> None:
    block = Tried(give_up=900)
    failures = 1
    while not block.fails(reaching=100, taking=3600):
        block.waits(60)
        failures += 1
        assert failures < 100, "re-sent bytes were taken for progress"
    assert block.slept == 900


def test_time_in_which_bytes_are_sent_once_more_is_not_counted_as_trouble() -> None:
    block = Tried(give_up=900)
    block.fails(reaching=100, taking=10)
    block.waits(10)
    assert not block.fails(reaching=100, taking=100_000)


@pytest.mark.parametrize("with_body", [True, False])
def test_hanging_tries_and_the_waits_between_them_add_up(with_body: bool) -> None:
    block = Tried(give_up=900, with_body=with_body)
    block.fails(hanging=100)
    block.waits(100)
    assert not block.fails(hanging=300)
    block.waits(100)
    assert not block.fails(hanging=299)
    block.waits(1)
    assert block.fails()


def test_trouble_that_all_had_is_not_counted_as_this_calls_own() -> None:
    block = Tried(give_up=900)
    block.fails(hanging=500)
    block.waits(300)
    block.patience.begin_anew(block.state())
    assert not block.fails(hanging=800)
    assert block.fails(hanging=100)


@pytest.mark.parametrize("with_body", [True, False])
def test_patience_of_no_time_is_one_try(with_body: bool) -> None:
    assert Tried(give_up=0, with_body=with_body).fails()


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


@dataclass
class Run:
    """A run of one call: the waits of its stop, the retries that were told, and how it ended."""

    stop: NoWait = field(default_factory=NoWait)
    told: list[Retry] = field(default_factory=list)
    end: object = None

    def retries(self, *, give_up: float = AGES, longest: float = 60) -> Retries:
        clock = self.stop.clock
        return Retries(
            give_up_seconds=give_up,
            longest_wait_seconds=longest,
            longest_silence_seconds=150,
            stop=self.stop,
            on_retry=self.told.append,
            line=Line(give_up_seconds=give_up, stop=self.stop, hear=ignore, clock=clock),
            kind=VaultError,
        )


def run_of(call: Call, *, give_up: float = AGES, longest: float = 60) -> Run:
    """Make the call; the run's `end` is what it returned or raised."""
    run = Run()
    try:
        run.end = run.retries(give_up=give_up, longest=longest).call("abort", call)
    except BaseException as error:  # noqa: BLE001 - the test looks at it
        run.end = error
    return run


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (HashMismatch("other bytes"), 2),
        (BareRefusal("HTTP 400"), 5),
        (CredentialsRejected("not any more"), 12),
        (ClockSkew("expired"), 2),
        (Refused("no"), 1),
        (NotPermitted("not you"), 1),
        (SourceUnreadable("EIO"), 1),
        (ValueError("a bug"), 1),
        (Stopped(), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else f"{value}x",
)
def test_an_error_of_this_kind_is_tried_so_often_and_raised_as_it_is(
    error: BaseException, tries: int
) -> None:
    call = Call(error)
    run = run_of(call)
    assert run.end is error
    assert call.tries == tries
    assert len(run.told) == len(run.stop.waits) == tries - 1


@pytest.mark.parametrize("kind", [TransientError, Unreachable, Throttled])
def test_a_transient_error_is_tried_until_it_passes(kind: type[VaultError]) -> None:
    call = Call(*[kind("gone soon")] * 50, "done")
    run = run_of(call)
    assert (run.end, call.tries, len(run.told)) == ("done", 51, 50)


def test_a_transient_error_that_stays_is_raised_when_the_waits_have_used_up_the_time() -> None:
    run = run_of(Call(TransientError("still there")), give_up=900)
    assert run.end == ConnectionLost("nothing gets through: still there")
    assert sum(run.stop.waits) == pytest.approx(900)


def test_a_line_that_is_back_one_second_before_the_time_is_over_carries_the_call() -> None:
    run = Run()
    clock = run.stop.clock
    dead_until = clock() + 899

    def attempt() -> str:
        if clock() < dead_until:
            raise Unreachable("connection refused")
        return "done"

    assert run.retries(give_up=900).call("abort", attempt) == "done"
    assert clock() - dead_until < 60


@pytest.mark.parametrize("seconds", [0.001, 30])
def test_the_last_try_to_connect_begins_when_the_time_is_over_and_the_run_ends_within_a_minute(
    seconds: float,
) -> None:
    run = Run()
    clock = run.stop.clock
    began_at = clock()
    tries: list[float] = []

    def attempt() -> str:
        tries.append(clock() - began_at)
        clock.passes(seconds)  # until the connection is not made
        raise Unreachable("timed out")

    for _ in range(20):  # the waits differ
        tries.clear()
        began_at = clock()
        with pytest.raises(ConnectionLost):
            run.retries(give_up=900).call("abort", attempt)
        assert tries[-1] > 899.989  # a wait may end a hundredth of a second early
        assert tries[-2] < 899.991
        assert clock() - began_at < 900 + 60.01


@pytest.mark.parametrize("longest_wait", [0, 60])
def test_a_server_that_accepts_and_does_not_answer_gets_no_further_try_after_the_time(
    longest_wait: float,
) -> None:
    run = Run()
    clock = run.stop.clock
    began_at = clock()
    tries: list[float] = []

    def attempt() -> str:
        tries.append(clock() - began_at)
        clock.passes(120)
        raise TimedOut("no answer")

    with pytest.raises(ConnectionLost):
        run.retries(give_up=900, longest=longest_wait).call("abort", attempt)
    assert tries[-1] < 900.01
    assert clock() - began_at < 900 + 120.01


@pytest.mark.parametrize(("longest", "tries"), [(None, 6), (630, 2)], ids=["usual", "longer"])
def test_a_call_counts_as_silent_for_as_long_as_its_own_time_outs_allow(
    longest: float | None, tries: int
) -> None:
    """Completion waits longer for its answer. The process is stopped for a day in each try."""
    run = Run()
    made = []

    def attempt() -> None:
        made.append(run.stop.clock())
        run.stop.clock.passes(86_400)
        raise TimedOut("no answer")

    with pytest.raises(ConnectionLost):
        run.retries(give_up=900, longest=0).call(
            "complete", attempt, longest_silence_seconds=longest
        )
    assert len(made) == tries


def test_a_try_may_be_silent_for_as_long_as_connecting_and_reading_take_together() -> None:
    waits = Waits(connect=30, read=120)
    retries = Retries.of(VaultError, waits=waits, stop=NoWait(), hear=ignore, one_at_a_time=True)
    assert retries.longest_silence_seconds == 150


def test_a_call_whose_line_was_given_up_during_its_try_ends_without_a_wait() -> None:
    run = Run()
    retries = run.retries(give_up=900)

    def attempt() -> None:
        with retries.line.using(None, longest_silence=150) as other:
            retries.line.give_up(other, Unreachable("given up"))
        raise TimedOut("later")

    with pytest.raises(ConnectionLost, match="given up"):
        retries.call("abort", attempt)
    assert (run.told, run.stop.waits) == ([], [])


def test_no_time_to_give_is_one_try() -> None:
    call = Call(TransientError("x"))
    assert run_of(call, give_up=0).end == ConnectionLost("nothing gets through: x")
    assert call.tries == 1


def test_a_service_that_answers_by_errors_alone_is_down() -> None:
    error = ServerError("500", status=500, code="InternalFailure", request_id="Rq-1")
    end = run_of(Call(error), give_up=60).end
    message = "the service only answers with errors: 500"
    assert end == ServiceDown(message, status=500, code="InternalFailure", request_id="Rq-1")


@pytest.mark.parametrize(
    ("longest", "waits"),
    [(60, [0, 30, 30, 30, pytest.approx(10)]), (25, [0, 25, 25, 25, 25])],
    ids=["usual", "shorter waits"],
)
def test_new_credentials_are_tried_at_once_and_then_every_half_minute_until_time_is_over(
    longest: float, waits: list[float]
) -> None:
    error = CredentialsExpired("expired", status=403)
    run = run_of(Call(error), give_up=100, longest=longest)
    assert run.end is error
    assert run.stop.waits == waits


def test_two_hash_mismatches_end_the_call_whatever_came_between() -> None:
    second = HashMismatch("again")
    call = Call(HashMismatch("once"), TransientError("x"), TransientError("x"), second)
    assert run_of(call).end is second
    assert call.tries == 4


def test_waits_grow_are_jittered_and_never_longer_than_the_longest() -> None:
    runs = [run_of(Call(*[TransientError("x")] * 200, "done")).stop.waits for _ in range(3)]
    for waits in runs:
        assert all(0 <= wait <= min(60, 2**n) for n, wait in enumerate(waits))
        assert len(set(waits)) == len(waits)
        assert statistics.mean(waits[:4]) < statistics.mean(waits[10:])
        assert max(waits) > 30
    assert runs[0] != runs[1]


def test_a_call_that_waits_for_the_one_that_is_tried_follows_it_at_once() -> None:
    run = Run()
    line = run.retries().line

    def hear(retry: Retry) -> None:
        run.told.append(retry)
        line.answered()

    with line.using(None, longest_silence=150) as other:
        other.thread = -1
        ends = iter([Unreachable("refused")])

        def attempt() -> str:
            for end in ends:
                line.failed(other, Unreachable("refused"))
                raise end
            return "done"

        retries = replace(run.retries(), line=line, on_retry=hear)
        assert retries.call("abort", attempt) == "done"
    assert [retry.wait_seconds for retry in run.told] == run.stop.waits == [0]


def test_the_longest_wait_may_be_shorter_than_the_first() -> None:
    random.seed(1)
    waits = run_of(Call(*[TransientError("x")] * 50, "done"), longest=0.5).stop.waits
    assert 0.25 < max(waits) <= 0.5


def test_every_failed_try_that_another_follows_is_told_with_its_wait() -> None:
    errors = [TransientError("one"), Unreachable("two"), HashMismatch("three")]
    run = run_of(Call(*errors, "done"))
    assert run.told == [
        Retry("abort", error, wait, shared=not error.max_tries)
        for error, wait in zip(errors, run.stop.waits, strict=True)
    ]
    assert all(retry.error is error for retry, error in zip(run.told, errors, strict=True))


def test_the_retry_of_a_block_tells_its_number() -> None:
    run = Run()
    run.retries().call("send_block", Call(TransientError("x"), "done"), block=7)
    assert [(retry.call, retry.block) for retry in run.told] == [("send_block", 7)]


def test_a_retry_comes_back_equal_from_another_process() -> None:
    error = Throttled("slow down", code="ThrottlingException", status=400, request_id="Rq-1")
    retry = Retry("send_block", error, 1.5, 7)
    assert pickle.loads(pickle.dumps(retry)) == retry
    assert retry == Retry(call="send_block", error=error, wait_seconds=1.5, block=7)
    assert retry not in (
        Retry("abort", error, 1.5, 7),
        Retry("send_block", TransientError("slow down"), 1.5, 7),
        Retry("send_block", error, 2.5, 7),
        Retry("send_block", error, 1.5),
    )


def test_a_stop_ends_the_wait_and_no_further_try_begins() -> None:
    run = Run(stop=NoWait(asked_in_wait=3))
    call = Call(TransientError("x"))
    with pytest.raises(Stopped):
        run.retries().call("abort", call)
    assert (call.tries, len(run.stop.waits)) == (3, 3)


def test_a_stopped_run_begins_no_call_at_all() -> None:
    run = Run()
    run.stop.ask()
    call = Call("done")
    with pytest.raises(Stopped):
        run.retries().call("abort", call)
    assert call.tries == 0


def test_a_try_that_fails_after_the_stop_is_not_told_as_to_be_tried_again() -> None:
    run = Run()

    def attempt() -> None:
        run.stop.ask()
        raise TransientError("cut")

    with pytest.raises(Stopped):
        run.retries().call("abort", attempt)
    assert run.told == []


def test_a_line_that_was_given_up_is_told_with_the_code_of_the_last_answer() -> None:
    end = run_of(
        Call(Throttled("x", status=429, code="Throttling", request_id="Rq-1")), give_up=60
    ).end
    assert isinstance(end, ConnectionLost)
    assert (end.status, end.code, end.request_id) == (429, "Throttling", "Rq-1")


# -- whether the service may have executed a call


@pytest.mark.parametrize(
    ("errors", "may_have_executed"),
    [
        ([], False),
        ([Unreachable("x")], False),
        ([Throttled("x"), Refused("no")], False),
        ([TransientError("x")], True),
        ([TransientError("x"), Unreachable("y"), Refused("no")], True),
    ],
    ids=["no error", "unreachable", "refused", "lost", "lost before"],
)
def test_one_lost_answer_among_the_tries_is_enough_for_the_call_to_count_as_maybe_executed(
    errors: list[VaultError], may_have_executed: bool
) -> None:
    tries = Tries()
    for error in errors:
        with pytest.raises(type(error)) as caught, tries.another():
            raise error
        assert caught.value is error
    with tries.another():
        pass
    assert tries.may_have_executed is may_have_executed
