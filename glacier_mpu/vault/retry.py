"""The one retry layer: how long a call is tried again, and when. Made of tenacity."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    wait_random_exponential,
)

from glacier_mpu.errors import Stopped, VaultError
from glacier_mpu.source.file import BlockBody

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retry:
    """One try of `call` failed; the next is made after `wait_seconds`."""

    call: str
    error: VaultError
    wait_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Calls again what failed in passing.

    A call is given up once it has been in trouble for `give_up_seconds`; between two tries there
    are jittered, growing waits of at most `longest_wait_seconds`, which `stop` cuts short. Each
    failed try that is followed by another is told to `on_retry`.
    """

    give_up_seconds: float
    longest_wait_seconds: float
    stop: threading.Event
    on_retry: Callable[[Retry], None]

    def call(self, name: str, attempt: Callable[[], T], *, body: BlockBody | None = None) -> T:
        """Return what `attempt` returns. Raises its last error, or Stopped once `stop` is set."""
        patience = Patience(self.give_up_seconds, body)

        def tried() -> T:
            if self.stop.is_set():
                raise Stopped
            patience.begin_try()
            return attempt()

        retrying = Retrying(
            retry=retry_if_exception(patience.allows),
            stop=patience.is_over,
            wait=wait_random_exponential(multiplier=1, max=self.longest_wait_seconds),
            sleep=sleep_using_event(self.stop),
            before_sleep=lambda state: self._tell(name, state),
            reraise=True,
        )
        return retrying(tried)

    def _tell(self, name: str, state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        if self.stop.is_set():
            return  # there is no next try to tell of
        if isinstance(error, VaultError):
            self.on_retry(Retry(call=name, error=error, wait_seconds=state.upcoming_sleep))


class Patience:
    """How long one call has been in trouble, and whether it is tried again.

    Time in which bytes of `body` move does not count, and a byte that gets further than any before
    it starts the count anew: a slow block is not in trouble. A byte that is sent once more is no
    progress, so a call that always fails at its end does come to an end.
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
        return not error.most_tries or self._failures[type(error)] < error.most_tries

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
