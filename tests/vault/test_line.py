"""A line is down for all calls of a run at once: one probes, the others follow or end with it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from glacier_mpu.errors import UploadError
from glacier_mpu.stop import Stop, Stopped
from glacier_mpu.vault.errors import (
    CertificateError,
    ConnectionLost,
    CredentialsExpired,
    Refused,
    ServerError,
    ServiceDown,
    TransientError,
    Unreachable,
    VaultError,
)
from glacier_mpu.vault.line import Line
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.retry import Retries
from glacier_mpu.vault.use import Use
from tests.support.kit import Clock, NoWait, ignore

MORNING = datetime(2026, 11, 24, 6, 0)
DEAD = Unreachable("connection refused")


@dataclass(eq=False)
class Moves:
    """What a call moves."""

    moved_at: float = float("-inf")
    furthest: int = 0


@dataclass
class Calls:
    """Calls on one line, by a clock that is moved by hand."""

    give_up: float = 900
    clock: Clock = field(default_factory=Clock)
    told: list[Outage | OutageOver] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)
    threads: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.line = Line(
            give_up_seconds=self.give_up,
            stop=NoWait(),
            hear=self.told.append,
            clock=self.clock,
            now=lambda: MORNING,
        )

    def begin(self, *, moves: bool = True, longest: float = 150) -> Use:
        """Begin a call as if in a thread of its own."""
        moving = Moves() if moves else None
        use = self.stack.enter_context(self.line.using(moving, longest_silence=longest))
        use.thread = next(self.threads)
        return use

    def fails(self, use: Use, error: UploadError = DEAD, *, hanging: float = 0) -> bool:
        use.try_began_at = self.clock()
        self.clock.passes(hanging)
        return self.line.failed(use, error)

    def tries(self, use: Use, *, after_waiting: float = 0) -> None:
        """Let the call be tried, after a wait on purpose."""
        self.clock.passes(after_waiting)
        self.line.await_turn(use)
        self.line.begin_try(use, waited_seconds=after_waiting)

    def moves(self, use: Use, furthest: int) -> None:
        assert isinstance(use.moving, Moves)
        use.moving.furthest = max(use.moving.furthest, furthest)
        use.moving.moved_at = self.clock()


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_a_try_that_fails_while_another_call_moves_is_the_trouble_of_that_call_alone(
    calls: Calls,
) -> None:
    failing, moving = calls.begin(), calls.begin()
    calls.moves(moving, 10)
    calls.clock.passes(0.9)
    assert not calls.fails(failing)
    assert not calls.line.is_down
    assert calls.told == []


@pytest.mark.parametrize("sign", ["an answer", "a new byte"])
def test_a_sign_of_life_from_before_the_last_failure_is_none(calls: Calls, sign: str) -> None:
    """Calls on a line that cuts every connection after its first bytes all have moved some."""
    first, second = calls.begin(), calls.begin()
    if sign == "an answer":
        calls.line.answered()
    else:
        calls.moves(second, 10)
    calls.clock.passes(0.1)
    assert not calls.fails(first)
    assert calls.fails(second)
    assert calls.fails(first)


def test_bytes_that_only_fill_buffers_once_more_are_no_sign_of_life(calls: Calls) -> None:
    use = calls.begin()
    calls.moves(use, 100)
    calls.fails(use)
    calls.tries(use, after_waiting=60)
    calls.clock.passes(4.9)
    calls.moves(use, 100)
    assert calls.line.is_down
    calls.clock.passes(0.1)
    calls.moves(use, 100)
    assert not calls.line.is_down


def test_a_try_that_fails_while_nothing_has_moved_for_ten_seconds_means_that_the_line_is_down(
    calls: Calls,
) -> None:
    failing, silent = calls.begin(), calls.begin()
    calls.moves(silent, 10)
    calls.clock.passes(10.1)
    assert calls.fails(failing)
    assert calls.line.is_down


@pytest.mark.parametrize("seconds", [0.1, 2, 6, 9.9])
def test_on_a_slow_line_others_that_moved_some_seconds_ago_still_get_through(
    calls: Calls, seconds: float
) -> None:
    """At 1 Mbit/s a piece of a body is read every two seconds."""
    failing, moving = calls.begin(), calls.begin()
    calls.moves(moving, 10)
    calls.clock.passes(seconds)
    assert not calls.fails(failing)


def test_credentials_that_have_expired_are_the_trouble_of_all_also_while_others_still_move(
    calls: Calls,
) -> None:
    """What moves was signed before; and the way to renew them is to be said at once."""
    failing, moving = calls.begin(), calls.begin()
    calls.moves(moving, 10)
    assert calls.fails(failing, CredentialsExpired("late", status=403))
    assert [type(event) for event in calls.told] == [Outage]


def test_a_line_on_which_one_try_was_not_answered_is_lost_and_no_service_that_is_down(
    calls: Calls,
) -> None:
    use = calls.begin()
    calls.fails(use, hanging=100)
    error = ServerError("HTTP 503", status=503)
    calls.fails(use, error)
    assert isinstance(calls.line.give_up(use, error), ConnectionLost)


@pytest.mark.parametrize(
    ("between", "ends"), [("an answer", ServiceDown), ("a new byte", ConnectionLost)]
)
def test_only_a_call_that_succeeds_shows_that_a_try_without_an_answer_is_over(
    calls: Calls, between: str, ends: type[VaultError]
) -> None:
    use = calls.begin()
    calls.fails(use)
    if between == "an answer":
        calls.line.answered()
    else:
        calls.moves(use, 10)
    calls.clock.passes(20)
    error = ServerError("HTTP 503", status=503)
    calls.fails(use, error)
    assert isinstance(calls.line.give_up(use, error), ends)


def test_bytes_that_are_sent_in_vain_to_a_service_that_answers_by_errors_count_as_silence(
    calls: Calls,
) -> None:
    use = calls.begin()
    error = ServerError("HTTP 503", status=503)
    calls.moves(use, 100)
    calls.fails(use, error)
    for _ in range(4):
        calls.tries(use)
        calls.clock.passes(50)
        calls.moves(use, 100)  # all of it once more
        calls.line.failed(use, error)
    assert calls.line.seconds_left == pytest.approx(900 - 4 * 50)
    calls.line.look()
    assert [type(event) for event in calls.told] == [Outage] * len(calls.told)


def test_of_an_answered_try_during_which_the_process_was_stopped_a_third_of_the_time_counts(
    calls: Calls,
) -> None:
    use = calls.begin()
    calls.fails(use, ServerError("HTTP 503", status=503), hanging=86_400)
    assert calls.line.seconds_left == pytest.approx(900 - 300)


def test_an_answer_of_more_than_ten_seconds_ago_is_no_sign_of_life(calls: Calls) -> None:
    failing = calls.begin()
    calls.line.answered()
    calls.clock.passes(10.1)
    assert calls.fails(failing)


def test_bytes_that_moved_before_a_call_began_are_no_sign_of_life_of_it(calls: Calls) -> None:
    failing = calls.begin()
    moved = Moves(moved_at=calls.clock(), furthest=100)
    with calls.line.using(moved, longest_silence=150):
        assert calls.fails(failing)


def test_a_line_that_was_down_before_and_has_carried_bytes_since_can_be_down_again(
    calls: Calls,
) -> None:
    failing, moving = calls.begin(), calls.begin()
    calls.fails(failing)
    calls.clock.passes(10)
    calls.moves(moving, 100)
    assert not calls.line.is_down
    calls.clock.passes(11)
    assert calls.fails(failing)
    assert calls.line.is_down


def test_bytes_of_the_failing_call_itself_are_no_sign_of_life(calls: Calls) -> None:
    failing = calls.begin()
    calls.moves(failing, 10)
    assert calls.fails(failing)


def test_the_first_call_that_fails_probes_and_the_others_wait(calls: Calls) -> None:
    first, second = calls.begin(), calls.begin()
    assert calls.fails(first)
    assert calls.fails(second)
    assert not calls.line.waits_for_another(first)
    assert calls.line.waits_for_another(second)


@pytest.mark.parametrize("sign", ["an answer", "bytes"])
def test_the_others_follow_at_a_sign_of_life(calls: Calls, sign: str) -> None:
    first, second = calls.begin(), calls.begin()
    calls.fails(first)
    calls.clock.passes(5)
    if sign == "bytes":
        calls.moves(first, 1)
    else:
        calls.line.answered()
    assert not calls.line.waits_for_another(second)
    calls.tries(second, after_waiting=0)


def test_another_call_probes_once_the_probing_one_has_ended(calls: Calls) -> None:
    other = calls.begin()
    with calls.line.using(None, longest_silence=1) as first:
        calls.fails(first)
        calls.fails(other)
    calls.tries(other, after_waiting=0)
    assert not calls.line.waits_for_another(other)
    assert calls.line.waits_for_another(calls.begin())


def test_a_call_within_a_call_is_a_part_of_it_and_does_not_wait_for_it(calls: Calls) -> None:
    outer = calls.begin()
    calls.fails(outer)
    inner = calls.begin()
    inner.thread = outer.thread
    calls.tries(inner, after_waiting=0)
    assert not calls.line.waits_for_another(inner)


def test_signs_of_life_of_a_call_that_has_ended_still_count(calls: Calls) -> None:
    failing = calls.begin()
    calls.fails(failing)
    with calls.line.using(Moves(), longest_silence=1) as passing:
        calls.clock.passes(5)
        calls.moves(passing, 1)
    assert not calls.line.is_down


def test_the_silence_of_calls_that_hang_side_by_side_counts_once(calls: Calls) -> None:
    uses = [calls.begin() for _ in range(24)]
    for use in uses:
        use.try_began_at = calls.clock()
    calls.clock.passes(120)
    for use in uses:
        calls.line.failed(use, DEAD)
    assert calls.line.seconds_left == pytest.approx(900 - 120)


def test_the_time_before_a_try_begins_is_no_silence(calls: Calls) -> None:
    use = calls.begin()
    calls.tries(use, after_waiting=3600)
    calls.clock.passes(5)
    calls.line.failed(use, DEAD)
    assert calls.line.seconds_left == pytest.approx(900 - 5)


def test_a_wait_for_trouble_of_one_call_alone_is_no_silence(calls: Calls) -> None:
    use, other = calls.begin(), calls.begin()
    calls.moves(other, 10)
    assert not calls.fails(use)
    calls.tries(use, after_waiting=60)
    calls.clock.passes(5)
    calls.line.failed(use, DEAD)
    assert calls.line.seconds_left == pytest.approx(900 - 5)


@pytest.mark.parametrize("sign", ["an answer", "bytes sent once more"])
def test_silence_begins_at_what_came_last(calls: Calls, sign: str) -> None:
    use, other = calls.begin(), calls.begin()
    calls.moves(other, 100)
    calls.fails(use)
    calls.tries(use)
    calls.clock.passes(100)
    if sign == "an answer":
        calls.line.answered()
    else:
        calls.moves(other, 100)
    calls.clock.passes(7)
    calls.line.failed(use, DEAD)
    assert calls.line.seconds_left == pytest.approx(900 - 7)


@pytest.mark.parametrize("further", [True, False], ids=["new bytes", "bytes sent once more"])
def test_what_a_call_moved_that_has_ended_since_is_no_silence(calls: Calls, further: bool) -> None:
    use = calls.begin()
    calls.fails(use, hanging=120)
    calls.tries(use)
    with calls.line.using(Moves(calls.clock(), 100), longest_silence=150) as ending:
        calls.clock.passes(100)
        calls.moves(ending, 101 if further else 100)
    calls.clock.passes(7)
    calls.line.failed(use, DEAD)
    assert calls.line.seconds_left == pytest.approx(900 - 7 - (0 if further else 120))


def test_of_a_try_during_which_the_process_was_stopped_only_what_its_time_outs_allow_counts(
    calls: Calls,
) -> None:
    use = calls.begin(longest=150)
    calls.fails(use, hanging=86_400)
    assert calls.line.seconds_left == pytest.approx(900 - 150)


def test_of_a_wait_during_which_the_process_was_stopped_only_the_wait_counts(calls: Calls) -> None:
    use = calls.begin()
    calls.fails(use)
    calls.clock.passes(86_400)
    calls.tries(use, after_waiting=60)
    assert calls.line.seconds_left == pytest.approx(900 - 60)


def test_waits_count_while_the_line_is_down_and_resent_bytes_do_not(calls: Calls) -> None:
    use = calls.begin()
    calls.moves(use, 100)
    calls.fails(use)
    calls.clock.passes(60)
    calls.tries(use, after_waiting=60)
    calls.clock.passes(3600)
    calls.moves(use, 100)  # no further than before
    assert not calls.line.is_down
    calls.fails(use, hanging=10)
    assert calls.line.seconds_left == pytest.approx(900 - 60 - 10)


@pytest.mark.parametrize("sign", ["an answer", "a new byte"])
def test_progress_of_any_call_starts_the_count_anew(calls: Calls, sign: str) -> None:
    use, other = calls.begin(), calls.begin()
    calls.moves(other, 100)
    calls.fails(use, hanging=120)
    if sign == "a new byte":
        calls.moves(other, 101)
        calls.clock.passes(2)
    else:
        calls.line.answered()
    calls.fails(use, hanging=7)
    assert calls.line.seconds_left == pytest.approx(900 - 7)


def test_a_line_that_is_given_up_ends_every_call_that_began_before_and_none_that_begins_later(
    calls: Calls,
) -> None:
    first, second = calls.begin(), calls.begin()
    calls.fails(first, hanging=120)
    lost = calls.line.give_up(first, DEAD)
    assert lost == ConnectionLost("nothing gets through: connection refused")
    assert calls.line.is_lost(second)
    with pytest.raises(ConnectionLost):
        calls.tries(second, after_waiting=0)
    assert calls.line.give_up(second, TransientError("later")) is lost
    later = calls.begin()
    calls.tries(later, after_waiting=0)
    assert calls.line.seconds_left == 900


def test_a_try_that_outlasts_the_line_tells_no_outage_when_it_fails(calls: Calls) -> None:
    """It would promise to retry while the run is ending."""
    first, second = calls.begin(), calls.begin()
    calls.fails(first)
    calls.line.give_up(first, DEAD)
    assert calls.fails(second, hanging=120)
    assert len(calls.told) == 1


def test_an_outage_is_told_when_it_begins_then_once_a_minute_and_when_it_is_over(
    calls: Calls,
) -> None:
    use = calls.begin()
    for _ in range(10):
        calls.fails(use, hanging=10)
    first = Outage(DEAD, MORNING + timedelta(seconds=890))
    assert calls.told == [first, Outage(DEAD, MORNING + timedelta(seconds=830), 60)]
    calls.line.answered()
    calls.line.answered()
    calls.line.look()
    assert calls.told[2:] == [OutageOver(DEAD, 90)]


def test_an_outage_is_told_once_a_minute_also_while_one_try_hangs(calls: Calls) -> None:
    use = calls.begin()
    calls.fails(use)
    for _ in range(130):
        calls.clock.passes(1)
        calls.line.look()
    assert [event.lasted_seconds for event in calls.told if isinstance(event, Outage)] == [
        *(0, 60, 120)
    ]


def test_an_outage_that_is_about_to_end_the_run_is_not_told_once_more() -> None:
    calls = Calls(give_up=100)
    use = calls.begin()
    for _ in range(3):
        calls.fails(use, hanging=31)
    assert calls.line.seconds_left == pytest.approx(7)
    assert len(calls.told) == 1


def test_how_long_an_outage_is_still_waited_for_is_told_by_the_clock_and_not_by_the_last_try() -> (
    None
):
    calls = Calls(give_up=125)
    use = calls.begin()
    calls.fails(use)
    for _ in range(122):
        calls.clock.passes(1)
        calls.line.look()
    untils = [event.until for event in calls.told if isinstance(event, Outage)]
    assert untils == [MORNING + timedelta(seconds=left) for left in (125, 65)]


def test_an_outage_that_ends_by_bytes_is_told_at_the_next_look(calls: Calls) -> None:
    use = calls.begin()
    calls.fails(use)
    calls.line.look()
    assert len(calls.told) == 1
    calls.clock.passes(30)
    calls.moves(use, 1)
    calls.line.look()
    assert calls.told[1:] == [OutageOver(DEAD, 30)]


def test_an_outage_in_which_the_line_was_given_up_is_not_told_to_be_over(calls: Calls) -> None:
    use = calls.begin()
    calls.fails(use)
    calls.line.give_up(use, DEAD)
    calls.line.look()
    assert [type(event) for event in calls.told] == [Outage]


def test_an_outage_that_comes_back_within_the_minute_is_not_told_again(calls: Calls) -> None:
    use = calls.begin()
    for _ in range(5):
        calls.fails(use, hanging=1)
        calls.line.answered()
    assert [type(event) for event in calls.told] == [Outage, OutageOver]


def test_a_line_that_is_given_up_at_once_is_not_told_as_an_outage() -> None:
    calls = Calls(give_up=0)
    use = calls.begin()
    assert calls.fails(use)
    assert calls.line.seconds_left == 0
    assert calls.told == []


# -- threads


@dataclass
class Dead:
    """A service that nobody reaches until it is `back`.

    tried           counts tries
    most_at_a_time  how many calls were tried again at the same time
    """

    back: threading.Event = field(default_factory=threading.Event)
    tried: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    most_at_a_time: int = 0
    _trying: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def attempts(self) -> Callable[[], str]:
        """Return the attempts of one call."""
        tries = itertools.count()

        def attempt() -> str:
            again = next(tries) > 0
            with self._lock:
                self._trying += again
                self.most_at_a_time = max(self.most_at_a_time, self._trying)
            self.tried.release()
            with self._lock:
                self._trying -= again
            if self.back.is_set():
                return "done"
            raise DEAD

        return attempt


def retries(stop: Stop, *, give_up: float, hear: Callable[[object], None] = ignore) -> Retries:
    return Retries(
        give_up_seconds=give_up,
        longest_wait_seconds=0.01,
        longest_silence_seconds=1,
        stop=stop,
        on_retry=ignore,
        line=Line(give_up_seconds=give_up, stop=stop, hear=hear),
        kind=VaultError,
    )


def in_threads(
    count: int, work: Callable[[], object]
) -> tuple[list[threading.Thread], list[object]]:
    ends: list[object] = []

    def run() -> None:
        try:
            ends.append(work())
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            ends.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, ends


def test_calls_on_a_dead_line_are_tried_again_one_at_a_time_and_end_together() -> None:
    service = Dead()
    calling = retries(Stop(), give_up=0.5)
    threads, ends = in_threads(200, lambda: calling.call("abort", service.attempts()))
    for thread in threads:
        thread.join()
    assert ends == [ConnectionLost("nothing gets through: connection refused")] * 200
    assert service.most_at_a_time == 1


def test_all_calls_go_through_once_the_line_is_back() -> None:
    service = Dead()
    calling = retries(Stop(), give_up=60)
    threads, ends = in_threads(50, lambda: calling.call("abort", service.attempts()))
    for _ in range(60):
        assert service.tried.acquire(timeout=10)
    service.back.set()
    for thread in threads:
        thread.join()
    assert ends == ["done"] * 50


def test_a_stop_ends_all_that_wait() -> None:
    service, stop = Dead(), Stop()
    calling = retries(stop, give_up=60)
    threads, ends = in_threads(20, lambda: calling.call("abort", service.attempts()))
    for _ in range(20):
        assert service.tried.acquire(timeout=10)
    stop.ask()
    for thread in threads:
        thread.join()
    assert [type(end) for end in ends] == [Stopped] * 20


@pytest.mark.parametrize(
    ("end", "answers"),
    [(None, True), (Refused("no", status=400), True), (CertificateError("not theirs"), False)],
    ids=["an answer", "a refusal", "none"],
)
def test_only_an_answer_whatever_it_says_shows_that_the_line_is_there(
    end: VaultError | None, answers: bool
) -> None:
    told: list[object] = []
    stop = NoWait()
    line = Line(give_up_seconds=900, stop=stop, hear=told.append, clock=stop.clock)
    calling = Retries(
        give_up_seconds=900,
        longest_wait_seconds=60,
        longest_silence_seconds=150,
        stop=stop,
        on_retry=ignore,
        line=line,
        kind=VaultError,
    )
    ends = iter([DEAD, DEAD, DEAD, end])

    def attempt() -> None:
        if error := next(ends):
            raise error

    with pytest.raises(type(end)) if end else nullcontext():
        calling.call("abort", attempt)
    assert line.is_down is not answers
    assert (line.seconds_left == 900) is answers
    assert isinstance(told[-1], OutageOver) is answers
