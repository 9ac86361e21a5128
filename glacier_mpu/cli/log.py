"""The display for logs and mails: lines, each of which stays."""

from __future__ import annotations

import time
from collections.abc import Callable

from glacier_mpu.cli.lines import Lines
from glacier_mpu.cli.progress import Display
from glacier_mpu.cli.progress_line import progress_line, progress_text
from glacier_mpu.cli.words import as_text, begin_lines
from glacier_mpu.transfer.events import (
    BlockDiffers,
    BlockMatches,
    BlocksBegin,
    BlockSent,
    Event,
    UploadOpened,
)
from glacier_mpu.transfer.stream_events import StreamOpened
from glacier_mpu.vault.outage import Outage

SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_HEARTBEATS = 60.0


class LogDisplay(Display):
    """A line for each block, but at most one every few seconds unless `every_block`.

    Blocks that are sent and those that are compared are no reason to leave out each other. Where
    blocks take long, a line a minute says how far it is.
    """

    def __init__(
        self,
        lines: Lines,
        *,
        every_block: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(lines, clock=clock)
        self._every_block = every_block
        self._said_at: dict[type[Event], float] = {}
        self._heartbeat_at = clock()

    def _show(self, event: Event) -> None:
        match event:
            case UploadOpened():
                self._say_opened(event)
            case StreamOpened():
                self._say_stream_opened(event)
            case BlocksBegin():
                self._said_at.clear()
                for line in begin_lines(event):
                    self._say(line)
            case BlockSent():
                self._say_if_due(event, is_last=self.tally.all_are_sent)
            case BlockMatches():
                self._say_if_due(event, is_last=self.tally.all_are_compared)
            case BlockDiffers(tree_hash=bytes(), read=True):
                self._say_with_progress(as_text(event))
            case _:
                if self._every_block or not self._is_detail(event):
                    self._say(as_text(event))
        if isinstance(event, Outage):  # which is told once a minute
            self._heartbeat_at = self.clock()

    def _draw(self) -> None:
        if self.clock() - self._heartbeat_at >= SECONDS_BETWEEN_HEARTBEATS:
            self._heartbeat_at = self.clock()
            self._say(progress_line(self.snapshot()))

    def _say_if_due(self, event: Event, *, is_last: bool) -> None:
        now = self.clock()
        due = now - self._said_at.get(type(event), float("-inf")) >= SECONDS_BETWEEN_LINES
        if self._every_block or due or is_last:
            self._said_at[type(event)] = now
            self._say_with_progress(as_text(event))

    def _say_with_progress(self, text: str) -> None:
        self._heartbeat_at = self.clock()
        self._say(f"{text}; {progress_text(self.snapshot())}")
