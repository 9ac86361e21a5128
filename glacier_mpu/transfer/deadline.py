"""When a run ends though blocks are left: first none begins any more, later the rest is cut."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from glacier_mpu.stop import Stopped
from glacier_mpu.transfer.pacing import Clock


@dataclass(frozen=True, slots=True)
class StopAt:
    """Once the local clock shows this moment, which has no offset."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class StopAfter:
    """Once the run has taken so long, the time in which the machine sleeps not counted."""

    seconds: float


StopTime = StopAt | StopAfter


@dataclass(frozen=True, slots=True)
class WindingDown:
    """The stop time has come, and no block begins any more; `sending` are still being sent."""

    stop_time: StopTime
    sending: int


class Deadline:
    """Tells when the stop time has come, and when what is then on its way is to be cut.

    That is `finish_seconds` later, or earlier, once nothing has got through for `line_seconds`.
    Belongs to one thread. `now` tells the local time.
    """

    def __init__(
        self,
        stop_time: StopTime | None,
        *,
        finish_seconds: float,
        line_seconds: float,
        clock: Clock = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.stop_time = stop_time
        self._finish_seconds = finish_seconds
        self._line_seconds = line_seconds
        self._clock = clock
        self._now = now
        self._began_at = clock()
        self._over_since: float | None = None
        self._up_at = float("-inf")

    @property
    def is_over(self) -> bool:
        """Whether `begins` has found that the stop time has come. It stays so."""
        return self._over_since is not None

    def check(self) -> None:
        """Raise Stopped if nothing may begin any more."""
        if self.is_over:
            raise Stopped

    def begins(self) -> bool:
        """Tell, once, that the stop time has come."""
        if self.is_over or not self._has_come():
            return False
        self._over_since = self._clock()
        return True

    def cuts(self, *, line_is_down: bool) -> bool:
        """Tell whether what is on its way is to be cut now."""
        if self._over_since is None:
            return False
        now = self._clock()
        if not line_is_down:
            self._up_at = now
        down_since = max(self._up_at, self._over_since)
        return (
            now - self._over_since >= self._finish_seconds or now - down_since >= self._line_seconds
        )

    def _has_come(self) -> bool:
        match self.stop_time:
            case StopAt(moment):
                return self._now() >= moment
            case StopAfter(seconds):
                return self._clock() - self._began_at >= seconds
            case None:
                return False
