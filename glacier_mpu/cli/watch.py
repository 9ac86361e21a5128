"""The watcher of a run: a display that also answers inquiries and keeps the status file."""

from __future__ import annotations

from collections.abc import Callable

from glacier_mpu.cli.inquiry import Inquiry
from glacier_mpu.cli.progress import Display
from glacier_mpu.cli.progress_line import progress_line
from glacier_mpu.cli.status import StatusReport
from glacier_mpu.transfer.events import Event, OtherUpload


class Watch:
    """A Watcher that shows what the display shows, and at each tick tells whoever asks besides.

    `command_of` gives the command that resumes an upload by its id.
    """

    def __init__(
        self,
        display: Display,
        *,
        inquiry: Inquiry,
        status: StatusReport,
        command_of: Callable[[str], str],
    ) -> None:
        self.moved = display.moved
        self.compared = display.compared
        self.hashed = display.hashed
        self._display = display
        self._inquiry = inquiry
        self._status = status
        self._command_of = command_of

    def hear(self, event: Event) -> None:
        self._display.hear(event)
        if isinstance(event, OtherUpload):
            self._display.say(f"the command for that: {self._command_of(event.upload.upload_id)}")

    def tick(self) -> None:
        self._display.tick()
        self._tell()

    def close(self) -> None:
        """Answer what was asked since the last tick, and leave the screen in order."""
        self._tell()
        self._display.close()

    def _tell(self) -> None:
        snapshot = self._display.snapshot()
        if self._inquiry.take():
            self._display.say(progress_line(snapshot))
        self._status.see(snapshot)
