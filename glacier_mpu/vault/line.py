"""Whether anything gets through: one state for all threads of a run.

Without it each of thousands of blocks would spend its own time for retrying on the same dead line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from glacier_mpu.errors import UploadError
from glacier_mpu.stop import Stop
from glacier_mpu.vault.outage import Hear, Reporter
from glacier_mpu.vault.use import Moving, Use

# Others that came further so lately get through: then the trouble is one call's own.
_LATELY_SECONDS = 10.0
# Bytes that move for so long are taken by the line. At first they only fill this machine's buffers.
_BUFFERS_FULL_SECONDS = 5.0
_SECONDS_BETWEEN_LOOKS = 0.2
# A wait may end a moment early.
_CLOCK_STEP_SECONDS = 0.01


def is_answered(error: UploadError) -> bool:
    """Tell whether somebody answered: then the error has an HTTP status."""
    return bool(getattr(error, "status", 0))


class Line:
    """The way to the service, or to the file, that all calls of a run share.

    It is down from a failed try on until a call is answered, a byte gets further than ever, or
    bytes move for a while. While it is down one call at a time is tried, and the others wait for
    it. The time in which nothing moves is counted until there is progress, which bytes that are
    sent once more are not, though they are no silence either. Of one try's silence no more counts
    than its time-outs allow: the process itself may have been stopped for longer. Thread-safe.
    """

    def __init__(
        self,
        *,
        give_up_seconds: float,
        stop: Stop,
        hear: Hear,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.clock = clock
        self._give_up_seconds = give_up_seconds
        self._stop = stop
        self._reporter = Reporter(hear, clock=clock, now=now)
        self._lock = threading.RLock()
        self._uses: set[Use] = set()
        self._moved_before = float("-inf")
        self._answered_at = float("-inf")
        self._failed_at = float("-inf")
        self._down_since: float | None = None
        self._silent_seconds = 0.0
        self._counted_until = clock()
        self._probing: Use | None = None
        self._unanswered: UploadError | None = None
        self._failed_alone = False
        self._outages = 0
        self._lost: UploadError | None = None

    @property
    def is_down(self) -> bool:
        """Whether nothing has got through since the last failed try."""
        with self._lock:
            return self._down_since is not None and not any(map(self._gets_through, self._uses))

    @property
    def seconds_left(self) -> float:
        """How long nothing more may move until the line is given up; 0 if that is over."""
        left = self._give_up_seconds - self._silent_seconds
        return left if left > _CLOCK_STEP_SECONDS else 0.0

    @contextmanager
    def using(self, moving: Moving | None, *, longest_silence: float) -> Iterator[Use]:
        """Take part with a call until it has ended."""
        with self._lock:
            reached = moving.furthest if moving else 0
            use = Use(moving, longest_silence, reached, self._outages)
            self._uses.add(use)
        try:
            yield use
        finally:
            with self._lock:
                if not self.is_down:
                    self._down_since = None
                self._note_progress()
                self._moved_before = self._last_move()
                self._uses.remove(use)
                if self._probing is use:
                    self._probing = None

    def await_turn(self, use: Use) -> None:
        """Return when the call may be tried: at once, or while the line is down as the only one.

        Raises the error of a line that was given up since the call began, and Stopped.
        """
        while not self._may_try(use):
            self._stop.wait(_SECONDS_BETWEEN_LOOKS)

    def begin_try(self, use: Use, *, waited_seconds: float) -> None:
        """Note that a try begins, before which the call waited so long on purpose."""
        with self._lock:
            use.try_began_at = self.clock()
            if self.is_down:
                self._count_silence(since=self._counted_until, at_most=waited_seconds)

    def waits_for_another(self, use: Use) -> bool:
        """Tell whether another call is tried for this one, too."""
        with self._lock:
            return self.is_down and not self._may_probe(use)

    def answered(self, *, use: Use | None = None) -> None:
        """Note that a call was answered: whatever the answer says, the line is there.

        `use` is the call's part if it succeeded.
        """
        with self._lock:
            if use is not None and use.moving is not None:
                self._failed_alone = False
            self._down_since = self._unanswered = None
            self._silent_seconds = 0.0
            self._counted_until = self._answered_at = self.clock()
            self._reporter.is_over()

    def failed(self, use: Use, error: UploadError) -> bool:
        """Note that a try failed, and tell whether the line is down: this is the trouble of all."""
        with self._lock:
            if self.is_lost(use):
                return True  # this call, too, ends with the line; a later one finds out for itself
            now = self.clock()
            self._note_progress()
            self._count_failed_try(use, error)
            others_get_through = self._others_get_through(use, now)
            self._failed_at = use.failed_at = now
            if others_get_through and not error.every_block_alike:
                return False
            self._down_since = now
            if self._probing is None:
                self._probing = use
            self._reporter.lasts(error, seconds_left=self.seconds_left)
            return True

    def give_up(self, use: Use, error: UploadError) -> UploadError:
        """Return the error in which this call ends, and all that began before the line was lost.

        If any try of this outage was not answered, that counts and not an answer that came last,
        unless that is one which every call would meet.
        """
        with self._lock:
            if use.outages == self._outages or self._lost is None:
                self._lost = self._reason(error).lasting()
                self._outages += 1
                self._down_since = self._unanswered = None
                self._silent_seconds = 0.0
                self._reporter.forget()
            return self._lost

    def may_be_alone(self, use: Use) -> bool:
        """Tell whether this call may fail for a reason of its own: no other waits for the line.

        Only once until something is carried through again: else each of many would fail alone.
        """
        with self._lock:
            others = (other for other in self._uses if other.thread != use.thread)
            others_wait = any(other.failed_at > float("-inf") for other in others)
            return not (others_wait or self._failed_alone or self.is_lost(use))

    def fail_alone(self, error: UploadError) -> UploadError:
        """Return the error of a call that fails while the line is there.

        Of several reasons it is the one that `give_up` would name.
        """
        with self._lock:
            reason = self._reason(error)
            self.answered()
            self._failed_alone = True
            return reason

    def _reason(self, error: UploadError) -> UploadError:
        return error if error.every_block_alike else self._unanswered or error

    def is_lost(self, use: Use) -> bool:
        """Tell whether the line was given up since the call began."""
        return use.outages != self._outages

    def look(self) -> None:
        """Tell how it stands, if there is something to tell. To be called now and then."""
        with self._lock:
            if self.is_down:
                since_counted = self.clock() - self._counted_until
                self._reporter.lasts(seconds_left=self.seconds_left - since_counted)
            elif self._came_further():
                self._reporter.is_over()

    def _may_try(self, use: Use) -> bool:
        with self._lock:
            if self._lost is not None and self.is_lost(use):
                raise self._lost
            if not self.is_down:
                return True
            if self._probing is None:
                self._probing = use
            return self._may_probe(use)

    def _may_probe(self, use: Use) -> bool:
        return self._probing is None or self._probing.thread == use.thread

    def _last_move(self) -> float:
        moves = [use.moving.moved_at for use in self._uses if use.moving]
        return max([self._moved_before, *moves])

    def _gets_through(self, use: Use) -> bool:
        """Tell whether bytes of this call have got through since the line went down."""
        if use.moving is None or self._down_since is None:
            return False
        if use.moving.furthest > use.reached and use.moving.moved_at > self._down_since:
            return True
        began_at = max(use.try_began_at, self._down_since)
        return use.moving.moved_at - began_at >= _BUFFERS_FULL_SECONDS

    def _others_get_through(self, use: Use, now: float) -> bool:
        """Tell whether a call but this lately came further than ever, and has not failed since.

        Or was answered: but then any failure since says more.
        """
        lately = now - _LATELY_SECONDS
        others = (other for other in self._uses if other is not use)
        if any(other.progress_at > max(other.failed_at, lately) for other in others):
            return True
        return self._answered_at > max(self._failed_at, lately)

    def _came_further(self) -> bool:
        """Tell whether anything came further since it was looked at: more than old bytes again."""
        return any(use.moving and use.moving.furthest > use.reached for use in self._uses)

    def _note_progress(self) -> None:
        """Count the silence anew if anything came further than ever before."""
        for use in self._uses:
            if use.moving and use.moving.furthest > use.reached:
                use.reached = use.moving.furthest
                use.progress_at = use.moving.moved_at
                self._silent_seconds = 0.0
                self._counted_until = max(self._counted_until, use.moving.moved_at)

    def _count_failed_try(self, use: Use, error: UploadError) -> None:
        """Count the time of a failed try in which nothing moved.

        Of one that the service answered by an error, all of it: its bytes arrived in vain. But no
        more than a third of the time for retrying, for the process may have been stopped.
        """
        if not is_answered(error):
            self._unanswered = self._unanswered or error
            self._count_silence(since=use.try_began_at, at_most=use.longest_silence)
            return
        now = self.clock()
        seconds = max(0.0, now - max(use.try_began_at, self._counted_until))
        self._silent_seconds += min(seconds, max(use.longest_silence, self._give_up_seconds / 3))
        self._counted_until = now

    def _count_silence(self, *, since: float, at_most: float) -> None:
        """Count the time since then, or since something last moved or it was counted."""
        now = self.clock()
        silent_since = max(since, self._counted_until, self._last_move())
        self._silent_seconds += min(max(0.0, now - silent_since), at_most)
        self._counted_until = now
