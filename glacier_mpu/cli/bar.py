"""The display for a terminal: one bar, and lines above it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

from tqdm import tqdm

from glacier_mpu.cli.bar_text import bar_text
from glacier_mpu.cli.lines import Lines
from glacier_mpu.cli.progress import Display
from glacier_mpu.cli.progress_line import done_of_all
from glacier_mpu.cli.words import as_text, begin_lines
from glacier_mpu.transfer.events import BlockMatches, BlocksBegin, BlockSent, Event, UploadOpened
from glacier_mpu.transfer.stream_events import StreamOpened

_COUNTED = (BlockSent, BlockMatches)
# A terminal shows Ctrl-C as two characters behind the bar, and one in the last column makes some
# go on to the next line.
_SPARE_COLUMNS = 3


class BarDisplay(Display):
    """One bar of all that the run is asked for, with lines above it.

    Where there is nothing to send, it is of what is compared. All figures are the tally's: tqdm
    draws the bar and keeps the lines above it.
    """

    def __init__(
        self,
        lines: Lines,
        *,
        clock: Callable[[], float] = time.monotonic,
        columns: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(lines, clock=clock)
        self._columns = columns or lines.console.columns
        self._begins = False
        self._bar: tqdm[NoReturn] | None = None

    def _show(self, event: Event) -> None:
        if isinstance(event, BlocksBegin):
            # Where nothing is compared, the bar says it all.
            for line in begin_lines(event) if event.to_compare.blocks else ():
                self._say(line)
            self._begins = True
            self._draw()
        elif isinstance(event, UploadOpened):
            self._say_opened(event)
        elif isinstance(event, StreamOpened):
            self._say_stream_opened(event)
            self._begins = True
            self._draw()
        elif not isinstance(event, _COUNTED) and not self._is_detail(event):
            self._say(as_text(event))

    def _write(self, line: str) -> None:
        tqdm.write(line, file=self.lines.console)

    def _draw(self) -> None:
        snapshot = self.snapshot()
        if not (self._begins or snapshot.source_silent_seconds):
            return
        columns = max(1, self._columns() - _SPARE_COLUMNS)
        done, size = done_of_all(snapshot)
        text = bar_text(snapshot, columns=columns)
        if self._bar is None:
            self._bar = self._new_bar()
        bar = self._bar
        bar.n, bar.total, bar.ncols, bar.bar_format = done, size, columns, text
        bar.refresh()

    def _new_bar(self) -> tqdm[NoReturn]:
        tqdm.monitor_interval = 0  # tick() draws often enough without a thread of tqdm's own
        return tqdm(file=self.lines.console, bar_format="{desc}")

    def _close(self) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.close()
            self._bar = None
            self._begins = False
