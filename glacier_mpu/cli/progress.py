"""What is shown while an upload runs: the base of every display, and the quiet one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from glacier_mpu.cli.cautions import is_warning
from glacier_mpu.cli.figures import as_plan
from glacier_mpu.cli.lines import Lines
from glacier_mpu.cli.snapshot import Snapshot
from glacier_mpu.cli.stream_tally import StreamTally
from glacier_mpu.cli.stream_words import opened_lines
from glacier_mpu.cli.tally import Tally
from glacier_mpu.cli.words import as_text
from glacier_mpu.transfer.events import (
    AbortFailed,
    BlockFailed,
    Connected,
    Event,
    LedgerUnusable,
    OtherUpload,
    UploadOpened,
)
from glacier_mpu.transfer.pacing import Measured
from glacier_mpu.transfer.stream_events import (
    BlockRead,
    BlocksRunningOut,
    MoreThanExpected,
    SourceSilent,
    StreamOpened,
)
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.regions import UnknownRegion
from glacier_mpu.vault.retry import Retry

SECONDS_BETWEEN_RETRIES = 60.0
_PROBLEMS = (
    Connected,  # which has a text only where there is something to be warned of
    UnknownRegion,
    OtherUpload,
    BlockFailed,
    AbortFailed,
    LedgerUnusable,
    Outage,
    OutageOver,
    BlocksRunningOut,
    MoreThanExpected,
    SourceSilent,
)


class Display:
    """Counts what happens, and shows of it what each kind of display shows. It is a Watcher.

    `hear`, `moved`, `compared`, `hashed`, `say` and `snapshot` are safe to call from any thread,
    and everything else belongs to the thread that ticks. None of it is for a signal handler, which
    would wait for the thread that it interrupted.
    """

    def __init__(self, lines: Lines, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.lines = lines
        self.clock = clock
        self.tally: Tally = Tally(clock)
        self.is_silent = True
        self._introduction, self._tells_blocks = "", True
        self._cautions: Sequence[str] = ()
        self._begun = False
        self._lock = threading.Lock()
        self._told_retry_at: dict[type[Exception], float] = {}

    def introduce(
        self,
        text: str,
        *,
        tells_blocks: bool,
        cautions: Sequence[str] = (),
        is_stream: bool = False,
    ) -> None:
        """Let the text be the first that is said once the run has begun, and then the cautions.

        Unless it tells the blocks, they are told as soon as they are known.
        """
        self._introduction, self._tells_blocks = text, tells_blocks
        self._cautions = cautions
        if is_stream:
            self.tally = StreamTally(self.clock)

    def say(self, text: str) -> None:
        """Show a line with its time, above whatever is drawn."""
        with self._lock:
            self._say(text)

    def snapshot(self) -> Snapshot:
        """Return how far the run is now."""
        return self.tally.snapshot()

    def hear(self, event: Event) -> None:
        with self._lock:
            self.tally.hear(event)
            if not self._begun:
                self._begun = True
                self._begin()
            self._show(event)

    def moved(self, size: int) -> None:
        self.tally.moved(size)

    def compared(self, size: int) -> None:
        self.tally.compared(size)

    def hashed(self, size: int) -> None:
        self.tally.hashed(size)

    def tick(self) -> None:
        with self._lock:
            self.tally.sample()
            self._draw()

    def close(self) -> None:
        """Leave the screen in order. Safe to repeat. Lines may still be said."""
        with self._lock:
            self.tally.end()
            self._close()

    def _begin(self) -> None:
        self._say(self._introduction)
        for caution in self._cautions:
            self._say(caution)

    def _show(self, event: Event) -> None:
        """Show nothing: what is shown of an event is each display's own."""

    def _say_opened(self, event: UploadOpened) -> None:
        self._say(as_text(event))
        if not self._tells_blocks:
            self._say(f"the upload has {as_plan(event.plan)}")

    def _say_stream_opened(self, event: StreamOpened) -> None:
        for line in opened_lines(event):
            self._say(line)

    def _draw(self) -> None:
        """Draw nothing."""

    def _close(self) -> None:
        """Nothing is drawn that must be cleaned up."""

    def _say(self, text: str) -> None:
        """Show a line, if there is a text."""
        if text:
            self.is_silent = False
            self._write(self.lines.stamped(text))

    def _write(self, line: str) -> None:
        self.lines.console.line(line)

    def _is_detail(self, event: Event) -> bool:
        """Tell whether only `--verbose` shows the event.

        Of retries it shows each; otherwise those for one reason are shown once a minute, and not at
        all those of an outage, which is told as one.
        """
        if not isinstance(event, Retry):
            return isinstance(event, Measured | BlockRead)
        now, kind = self.clock(), type(event.error)
        due = now - self._told_retry_at.get(kind, float("-inf")) >= SECONDS_BETWEEN_RETRIES
        if due and not event.shared:
            self._told_retry_at[kind] = now
        return event.shared or not due


class QuietDisplay(Display):
    """Shows problems and nothing else: a run without any is silent.

    With the first of them it says what the run is about, and which upload is open.
    """

    def _begin(self) -> None:
        """Wait for trouble, unless there is some already."""
        for caution in filter(is_warning, self._cautions):
            self._say(caution)

    def _show(self, event: Event) -> None:
        if isinstance(event, _PROBLEMS):
            self._say(as_text(event))
        elif isinstance(event, UploadOpened | StreamOpened) and not self.is_silent:
            self._say(_upload_text(event.upload_id))

    def _say(self, text: str) -> None:
        if text and self.is_silent and self._begun:
            super()._say(self._introduction)
            super()._say(_upload_text(self.tally.snapshot().upload_id))
        super()._say(text)


def _upload_text(upload_id: str) -> str:
    return f"upload-id: {upload_id}" if upload_id else ""
