"""The one retry layer: what is tried again, when, and for how long. Made of tenacity."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from glacier_mpu.errors import UploadError
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.vault.errors import TimedOut, Unreachable, VaultError
from glacier_mpu.vault.line import Line, is_answered
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.use import Moving, Use

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retry:
    """One try of a call failed; the next is made after `wait_seconds`.

    call    the name of the Vault's method
    block   the number of the block that it is to send
    shared  nothing else gets through either, which an Outage tells
    """

    call: str
    error: UploadError
    wait_seconds: float
    block: int | None = None
    shared: bool = False


Trouble = Retry | Outage | OutageOver


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Repeats what failed with a `kind` of error that may pass.

    While other calls get through, one is given up once it has been in trouble for
    `give_up_seconds`; while none does, the `line` says when all are. Between two tries there are
    jittered, growing waits of at most `longest_wait_seconds`, which `stop` cuts short. Each failed
    try that is followed by another is told to `on_retry`. `longest_silence_seconds` is how long a
    try may last in which nothing moves, by its time-outs. With `one_at_a_time`, calls wait for the
    one that is tried while the line is down.
    """

    give_up_seconds: float
    longest_wait_seconds: float
    longest_silence_seconds: float
    stop: Stop
    on_retry: Callable[[Retry], None]
    line: Line
    kind: type[UploadError]
    one_at_a_time: bool = True

    @classmethod
    def of(
        cls,
        kind: type[UploadError],
        *,
        waits: Waits,
        stop: Stop,
        hear: Callable[[Trouble], None],
        one_at_a_time: bool,
    ) -> Retries:
        """Return what repeats calls of this kind of trouble, with a line of their own."""
        return cls(
            give_up_seconds=waits.retry,
            longest_wait_seconds=waits.longest,
            longest_silence_seconds=waits.connect + waits.read,
            stop=stop,
            on_retry=hear,
            line=Line(give_up_seconds=waits.retry, stop=stop, hear=hear),
            kind=kind,
            one_at_a_time=one_at_a_time,
        )

    def call(
        self,
        name: str,
        attempt: Callable[[], T],
        *,
        moving: Moving | None = None,
        block: int | None = None,
        longest_silence_seconds: float | None = None,
        others_would_succeed: Callable[[], bool] = lambda: False,
    ) -> T:
        """Return what `attempt` returns. Raises its last error, or Stopped once `stop` is asked.

        Where the line is given up, the error is what the last one stands for then. Before that, if
        no other call waits, `others_would_succeed` is asked, which tries something else: if it
        says so, this call alone has failed.
        """
        silence = longest_silence_seconds or self.longest_silence_seconds
        with self.line.using(moving, longest_silence=silence) as use:
            call = _Call(self, use, name=name, block=block)
            try:
                return call.carry_out(attempt)
            except self.kind as error:
                if not call.ended_by_line:
                    raise
                # To ask where nothing is ever answered could take as long once more.
                worth_asking = not error.every_block_alike and not isinstance(error, TimedOut)
                if worth_asking and self.line.may_be_alone(use) and others_would_succeed():
                    raise self.line.fail_alone(error) from error
                raise self.line.give_up(use, error) from error


class _Call:
    """The tries of one call, and what is known of its trouble."""

    def __init__(self, retries: Retries, use: Use, *, name: str, block: int | None) -> None:
        self._retries = retries
        self._line = retries.line
        self._use = use
        self._name = name
        self._block = block
        self._patience = Patience(retries.give_up_seconds, use, clock=self._line.clock)
        self._growing_wait = wait_random_exponential(max=retries.longest_wait_seconds)
        self._waited_seconds = 0.0
        self._shared = False
        self._began_in_time = False
        self._failures: Counter[type[UploadError]] = Counter()

    def carry_out(self, attempt: Callable[[], T]) -> T:
        retrying = Retrying(
            retry=retry_if_exception(self._may_pass),
            stop=self._is_over,
            wait=self._wait_seconds,
            sleep=self._retries.stop.wait,
            before_sleep=self._tell,
            reraise=True,
        )
        return retrying(partial(self._attempt, attempt))

    @property
    def ended_by_line(self) -> bool:
        """Whether the last try failed because nothing gets through, and not this call alone."""
        return self._shared

    def _attempt(self, attempt: Callable[[], T]) -> T:
        self._retries.stop.check()
        if self._retries.one_at_a_time:
            self._line.await_turn(self._use)
        self._line.begin_try(self._use, waited_seconds=self._waited_seconds)
        self._began_in_time = self._line.seconds_left > 0
        result = attempt()
        self._line.answered(use=self._use)
        return result

    def _may_pass(self, error: BaseException) -> bool:
        """Tell whether a call that ended in `error` is tried again, given time."""
        self._shared = False
        if not isinstance(error, self._retries.kind):
            return False
        self._failures[type(error)] += 1
        if not error.max_tries:
            self._shared = self._line.failed(self._use, error)
            return True
        if is_answered(error):
            self._line.answered()
        return self._failures[type(error)] < error.max_tries

    def _is_over(self, state: RetryCallState) -> bool:
        """Tell, after a failed try, whether the time for trying is over."""
        if not self._shared:
            return self._patience.is_over(state)
        self._patience.begin_anew(state)
        if self._line.is_lost(self._use):
            return True
        # A connection that was not made says nothing of a line that came back meanwhile. Where one
        # was made and nothing came, another try could take two minutes more.
        may_be_back = self._began_in_time and isinstance(_error_of(state), Unreachable)
        return not self._line.seconds_left and not may_be_back

    def _wait_seconds(self, state: RetryCallState) -> float:
        error = _error_of(state)
        if self._retries.one_at_a_time and self._line.waits_for_another(self._use):
            return 0.0
        seconds = self._growing_wait(state)
        if error.retry_every_seconds:
            again = self._failures[type(error)] > 1
            longest = self._retries.longest_wait_seconds
            seconds = min(error.retry_every_seconds, longest) if again else 0.0
        # The last try begins when the time is over: the line may be back just then.
        return min(seconds, self._line.seconds_left) if self._shared else seconds

    def _tell(self, state: RetryCallState) -> None:
        self._waited_seconds = state.upcoming_sleep
        if not self._retries.stop.asked:
            self._retries.on_retry(
                Retry(
                    self._name,
                    _error_of(state),
                    state.upcoming_sleep,
                    block=self._block,
                    shared=self._shared,
                )
            )


def _error_of(state: RetryCallState) -> UploadError:
    error = state.outcome and state.outcome.exception()
    if not isinstance(error, UploadError):
        raise TypeError(f"{error!r} is not retried")
    return error


class Tries:
    """Whether the service may have executed a call in one of its tries, though that failed."""

    def __init__(self) -> None:
        self.may_have_executed = False

    @contextmanager
    def another(self) -> Iterator[None]:
        """Note how one try ends."""
        try:
            yield
        except VaultError as error:
            self.may_have_executed = self.may_have_executed or error.may_have_executed
            raise


class Patience:
    """How long one call has been in trouble while others get through.

    Time in which its bytes move does not count, and a byte that gets further than any before it
    starts the count anew: a slow block is not in trouble. A byte that is sent once more is no
    progress, so a call that always fails at its end is given up after all.
    """

    def __init__(
        self, seconds: float, use: Use, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = seconds
        self._use = use
        self._clock = clock
        self._furthest = 0
        self._idle = 0.0
        self._slept_before = 0.0

    def begin_anew(self, state: RetryCallState) -> None:
        """Forget the trouble so far: it was not this call's own."""
        self._idle = 0.0
        self._slept_before = state.idle_for

    def is_over(self, state: RetryCallState) -> bool:
        """Tell, after a failed try, whether the time for trying is over."""
        moving, began_at = self._use.moving, self._use.try_began_at
        if moving is not None and moving.furthest > self._furthest:
            self._furthest = moving.furthest
            self.begin_anew(state)
        last_move = moving.moved_at if moving is not None else began_at
        silence = self._clock() - max(last_move, began_at)
        self._idle += min(silence, self._use.longest_silence)
        return self._idle + state.idle_for - self._slept_before >= self._limit
