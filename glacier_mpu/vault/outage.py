"""What is told of an outage: that it began, once a minute that it lasts, and that it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from glacier_mpu.errors import UploadError

_SECONDS_BETWEEN_REPORTS = 60.0
# So shortly before the end there is nothing to wait for any more.
_LAST_WORDS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Outage:
    """Nothing gets through, for this reason; given up `until` then (local time) if nothing does.

    lasted_seconds  since it was told first; 0 when it is
    """

    error: UploadError
    until: datetime
    lasted_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class OutageOver:
    """Something gets through again, `seconds` after the outage with this reason was told."""

    error: UploadError
    seconds: float


Hear = Callable[[Outage | OutageOver], None]


class Reporter:
    """Tells `hear` of one outage after the other. Not thread-safe: its Line sees to that."""

    def __init__(
        self, hear: Hear, *, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        self._hear = hear
        self._clock = clock
        self._now = now
        self._error: UploadError | None = None
        self._began_at = 0.0
        self._told_at = float("-inf")

    def lasts(self, error: UploadError | None = None, *, seconds_left: float) -> None:
        """Tell that nothing gets through, for this reason or still, if it is time to tell."""
        error = error or self._error
        due = self._clock() - self._told_at >= _SECONDS_BETWEEN_REPORTS
        least = 0.0 if self._error is None else _LAST_WORDS_SECONDS
        if error is None or not due or seconds_left <= least:
            return
        self._told_at = self._clock()
        if self._error is None:
            self._began_at = self._told_at
        self._error = error
        until = self._now() + timedelta(seconds=seconds_left)
        self._hear(Outage(error, until, self._told_at - self._began_at))

    def is_over(self) -> None:
        """Tell that something gets through again, if it was told that nothing does."""
        if self._error is not None:
            error, self._error = self._error, None
            self._hear(OutageOver(error, self._clock() - self._began_at))

    def forget(self) -> None:
        """Tell nothing more of this outage: the run ends with it."""
        self._error = None
