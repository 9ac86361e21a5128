"""What is shown while an upload runs: a bar, a log, or only what matters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

from tqdm import tqdm

from glacier_mpu.cli.console import Console
from glacier_mpu.cli.figures import as_duration, as_size
from glacier_mpu.cli.tally import Progress, Tally
from glacier_mpu.cli.words import as_text, begin_lines
from glacier_mpu.transfer.events import (
    AbortFailed,
    BlockDiffers,
    BlockFailed,
    BlockMatches,
    BlocksBegin,
    BlockSent,
    Connected,
    Event,
    LedgerUnusable,
    OtherUpload,
    UploadOpened,
)
from glacier_mpu.transfer.pacing import Measured
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.regions import UnknownRegion
from glacier_mpu.vault.retry import Retry

SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_RETRIES = 60.0
# What even `--quiet` shows.
_ALWAYS = (
    Connected,
    UnknownRegion,
    OtherUpload,
    UploadOpened,
    BlockFailed,
    AbortFailed,
    LedgerUnusable,
    Outage,
    OutageOver,
)
_COUNTED = (BlocksBegin, BlockSent, BlockMatches)


class Display:
    """Shows the lines that matter, with a time each; the base of those that show progress, too.

    This is all that `--quiet` shows. It is a Watcher: `hear`, `moved` and `compared` are safe to
    call from any thread, and everything else belongs to the thread that ticks.
    """

    def __init__(
        self,
        console: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.console = console
        self.clock = clock
        self.tally = Tally(clock)
        self._now = now
        self._lock = threading.Lock()
        self._told_retry_at: dict[type[Exception], float] = {}

    def hear(self, event: Event) -> None:
        with self._lock:
            self.tally.hear(event)
            self._show(event)

    def moved(self, size: int) -> None:
        self.tally.moved(size)

    def compared(self, size: int) -> None:
        self.tally.compared(size)

    def tick(self) -> None:
        with self._lock:
            self._draw()

    def close(self) -> None:
        """Leave the screen in order. Safe to repeat."""

    def _show(self, event: Event) -> None:
        if isinstance(event, _ALWAYS):
            self._say(as_text(event))

    def _is_detail(self, event: Event) -> bool:
        """Tell whether only `--verbose` shows the event.

        Of retries it shows each; otherwise those for one reason are shown once a minute, and not at
        all those of an outage, which is told as one.
        """
        if not isinstance(event, Retry):
            return isinstance(event, Measured)
        now, kind = self.clock(), type(event.error)
        due = now - self._told_retry_at.get(kind, float("-inf")) >= SECONDS_BETWEEN_RETRIES
        if due and not event.shared:
            self._told_retry_at[kind] = now
        return event.shared or not due

    def _draw(self) -> None:
        """Draw nothing."""

    def _say(self, text: str) -> None:
        """Show a line, if there is a text."""
        if text:
            self.console.line(f"{self._now():%Y-%m-%d %H:%M:%S} {text}")


class LogDisplay(Display):
    """For logs and mails.

    A line for each block, but at most one every few seconds for those that are sent and for those
    that are compared, unless `every_block`.
    """

    def __init__(
        self,
        console: Console,
        *,
        every_block: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(console, clock=clock, now=now)
        self._every_block = every_block
        self._said_at: dict[type[Event], float] = {}

    def _show(self, event: Event) -> None:
        match event:
            case BlocksBegin():
                self._said_at.clear()
                for line in begin_lines(event):
                    self._say(line)
            case BlockSent():
                self._say_if_due(event, self.tally.sending, "blocks")
            case BlockMatches():
                self._say_if_due(event, self.tally.comparing, "blocks compared")
            case BlockDiffers(tree_hash=bytes(), read=True):
                so_far = progress_text(self.tally.comparing, "blocks compared", self.clock())
                self._say(f"{as_text(event)}; {so_far}")
            case _:
                if self._every_block or not self._is_detail(event):
                    self._say(as_text(event))

    def _say_if_due(self, event: Event, progress: Progress, what: str) -> None:
        now = self.clock()
        due = now - self._said_at.get(type(event), float("-inf")) >= SECONDS_BETWEEN_LINES
        if self._every_block or due or progress.is_over:
            self._said_at[type(event)] = now
            self._say(f"{as_text(event)}; {progress_text(progress, what, now)}")

    def _draw(self) -> None:
        self.tally.sample()


class BarDisplay(Display):
    """For a terminal: one bar with bytes, rate, time left and blocks, and lines above it.

    The bar is of what is sent, or of what is compared where there was nothing to send.
    """

    def __init__(
        self,
        console: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(console, clock=clock, now=now)
        self._bar: tqdm[NoReturn] | None = None
        self._sends = True

    def close(self) -> None:
        with self._lock:
            self._close()

    def _show(self, event: Event) -> None:
        if isinstance(event, BlocksBegin):
            self._close()
            self._begin()
        elif not isinstance(event, _COUNTED) and not self._is_detail(event):
            self._say(as_text(event))
        if isinstance(event, (*_COUNTED, BlockDiffers, BlockFailed)):
            self._show_blocks()

    def _say(self, text: str) -> None:
        if text:
            tqdm.write(f"{self._now():%H:%M:%S} {text}", file=self.console)

    def _begin(self) -> None:
        self._sends = self.tally.sending.blocks > 0
        tqdm.monitor_interval = 0  # tick() draws often enough without a thread of tqdm's own
        self._bar = tqdm(
            total=self._progress.size,
            desc="send" if self._sends else "check",
            unit="B",
            unit_scale=True,
            miniters=0,  # draw on a dead line, too, where only the time goes on
            dynamic_ncols=True,
            file=self.console,
        )

    @property
    def _progress(self) -> Progress:
        return self.tally.sending if self._sends else self.tally.comparing

    def _draw(self) -> None:
        if self._bar is not None:
            self._bar.total = self._progress.size
            self._bar.update(self._progress.moved - self._bar.n)

    def _show_blocks(self) -> None:
        if self._bar is not None:
            self._bar.total = self._progress.size
            self._bar.set_postfix_str(_blocks_text(self.tally))

    def _close(self) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.close()
            self._bar = None


def choose_display(console: Console, *, quiet: bool, verbose: bool) -> Display:
    """Return the display that suits the flags and the console."""
    if quiet:
        return Display(console)
    if console.isatty() and not verbose:
        return BarDisplay(console)
    return LogDisplay(console, every_block=verbose)


def progress_text(progress: Progress, what: str, now: float) -> str:
    """Say how far it is: `1 of 57 blocks, 128.0 MiB of 7.1 GiB (1 %), 5.2 MiB/s, 0:22:10 left`."""
    moved, size, rate = progress.moved, progress.size, progress.rate(now)
    text = f"{progress.done:,} of {progress.blocks:,} {what}, {as_size(moved)} of {as_size(size)}"
    text += f" ({100 * moved // max(size, 1)} %)"
    if progress.failed:
        text += f", {progress.failed:,} failed"
    if rate > 0:
        text += f", {as_size(int(rate))}/s, {as_duration(max(size - moved, 0) / rate)} left"
    return text


def _blocks_text(tally: Tally) -> str:
    """Say the same in short, beside the bar: `12/57 blocks, 130/1,000 compared`."""
    sending, comparing = tally.sending, tally.comparing
    parts = [
        f"{progress.done:,}/{progress.blocks:,} {what}"
        for progress, what in ((sending, "blocks"), (comparing, "compared"))
        if progress.blocks
    ]
    failed = sending.failed + comparing.failed
    return ", ".join(parts + ([f"{failed:,} failed"] if failed else []))
