"""The one retry layer: whether a call is tried again, when, and for how long. Made of tenacity."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from glacier_mpu.source.body import BlockBody
from glacier_mpu.stop import Stop
from glacier_mpu.vault.errors import (
    VaultError,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retry:
    """One try of a call failed; the next is made after `wait_seconds`.

    `call` is the name of the Vault's method; `block` the number of the block that it is to send.
    """

    call: str
    error: VaultError
    wait_seconds: float
    block: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Repeats calls that failed with an error that may pass.

    A call is given up once it has been in trouble for `give_up_seconds`; between two tries there
    are jittered, growing waits of at most `longest_wait_seconds`, which `stop` cuts short. Each
    failed try that is followed by another is told to `on_retry`.
    """

    give_up_seconds: float
    longest_wait_seconds: float
    stop: Stop
    on_retry: Callable[[Retry], None]

    def call(
        self,
        name: str,
        attempt: Callable[[], T],
        *,
        body: BlockBody | None = None,
        block: int | None = None,
    ) -> T:
        """Return what `attempt` returns. Raises its last error, or Stopped once `stop` is asked."""
        patience = Patience(self.give_up_seconds, body)

        def attempt_unless_stopped() -> T:
            self.stop.check()
            patience.begin_try()
            return attempt()

        def tell(state: RetryCallState) -> None:
            error = state.outcome and state.outcome.exception()
            if isinstance(error, VaultError) and not self.stop.asked:
                self.on_retry(Retry(name, error, state.upcoming_sleep, block))

        retrying = Retrying(
            retry=retry_if_exception(patience.allows),
            stop=patience.is_over,
            wait=wait_random_exponential(multiplier=1, max=self.longest_wait_seconds),
            sleep=self.stop.wait,
            before_sleep=tell,
            reraise=True,
        )
        return retrying(attempt_unless_stopped)


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
    """How long one call has been in trouble, and whether it is tried again.

    Time in which bytes of `body` move does not count, and a byte that gets further than any before
    it starts the count anew: a slow block is not in trouble. A byte that is sent once more is no
    progress, so a call that always fails at its end is given up after all.
    """

    def __init__(
        self,
        seconds: float,
        body: BlockBody | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = seconds
        self._body = body
        self._clock = clock
        self._try_began = clock()
        self._furthest = 0
        self._idle = 0.0
        self._slept_before = 0.0
        self._failures: Counter[type[VaultError]] = Counter()

    def begin_try(self) -> None:
        """Note that a try begins now."""
        self._try_began = self._clock()

    def allows(self, error: BaseException) -> bool:
        """Tell whether a call that ended in `error` is tried again, given time."""
        if not isinstance(error, VaultError):
            return False
        self._failures[type(error)] += 1
        return not error.max_tries or self._failures[type(error)] < error.max_tries

    def is_over(self, state: RetryCallState) -> bool:
        """Tell, after a failed try, whether the time for trying is over."""
        now = self._clock()
        if self._body is not None and self._body.furthest > self._furthest:
            self._furthest = self._body.furthest
            self._idle = now - self._body.moved_at
            self._slept_before = state.idle_for
        elif state.attempt_number > 1:
            last_move = self._body.moved_at if self._body is not None else self._try_began
            self._idle += now - max(last_move, self._try_began)
        if state.attempt_number == 1 and self._limit > 0:
            return False  # the process itself may have been stopped for all that time
        return self._idle + state.idle_for - self._slept_before >= self._limit
