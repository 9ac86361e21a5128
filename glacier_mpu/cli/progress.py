"""What a person or a log sees while an upload runs. Calls no vault.

Workers only add to a Meter; the thread that ticks draws.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

from tqdm import tqdm

from glacier_mpu.cli.console import Console
from glacier_mpu.errors import UploadError
from glacier_mpu.source.blocks import Block, Plan
from glacier_mpu.transfer.request import Meter
from glacier_mpu.vault.retry import Retry

# A rate over less jumps about, and over more it hides that the line has changed.
RATE_WINDOW_SECONDS = 60.0
SECONDS_BETWEEN_LINES = 5.0
PHASES = {"send": "sending", "check": "comparing what is stored with the file:"}


class Display:
    """Tells the lines that matter, with a time each; the base of those that show progress, too.

    This is all that `--quiet` shows. It is a job.Watcher.
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
        self.now = now
        self.meter = Meter()
        self.blocks = self.done = self.failures = self.size = 0

    def say(self, text: str) -> None:
        """Show a line. Safe to call from any thread."""
        self.console.line(f"{self.now():%Y-%m-%d %H:%M:%S} {text}")

    def opened(self, upload_id: str, plan: Plan) -> None:
        self.say(f"upload-id: {upload_id}")

    def begins(self, phase: str, *, blocks: int, size: int) -> None:
        self.blocks, self.size = blocks, size
        self.done = self.failures = 0
        self.meter = Meter()

    def moved(self, size: int) -> None:
        self.meter.add(size)

    def finished(self, block: Block, what: str) -> None:
        self.done += 1

    def failed(self, block: Block, error: UploadError) -> None:
        self.failures += 1
        self.say(f"block {block.number} failed: {error.message}")

    def note(self, text: str) -> None:
        """Say nothing: the base shows only what matters."""

    def retrying(self, retry: Retry) -> None:
        """Say nothing, likewise. Called from any thread."""

    def trace(self, text: str) -> None:
        """Say nothing: this is for those who want to know everything."""

    def tick(self) -> None:
        """Draw nothing."""

    def close(self) -> None:
        """Put the screen in order."""


class LogDisplay(Display):
    """For logs and mails: a line a block, but at most one in a few seconds unless `every_block`."""

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
        self._said_at = float("-inf")
        self._samples = deque([(self.clock(), 0)])

    def begins(self, phase: str, *, blocks: int, size: int) -> None:
        super().begins(phase, blocks=blocks, size=size)
        self._samples = deque([(self.clock(), 0)])
        self._said_at = float("-inf")
        self.say(f"{PHASES[phase]} {blocks:,} block{'s' * (blocks != 1)}, {as_size(size)}")

    def finished(self, block: Block, what: str) -> None:
        super().finished(block, what)
        last_of_all = self.done + self.failures == self.blocks
        due = self.clock() - self._said_at >= SECONDS_BETWEEN_LINES
        if self._every_block or last_of_all or due:
            self._said_at = self.clock()
            self.say(f"block {block.number} {what}; {self._progress()}")

    def note(self, text: str) -> None:
        self.say(text)

    def retrying(self, retry: Retry) -> None:
        self.say(as_text(retry))

    def trace(self, text: str) -> None:
        if self._every_block:
            self.say(text)

    def tick(self) -> None:
        now = self.clock()
        if now - self._samples[-1][0] >= 1.0:
            self._samples.append((now, self.meter.size))
        while now - self._samples[0][0] > RATE_WINDOW_SECONDS and len(self._samples) > 1:
            self._samples.popleft()

    def _progress(self) -> str:
        then, before = self._samples[0]
        moved = self.meter.size
        rate = (moved - before) / max(self.clock() - then, 1e-6)
        text = f"{self.done:,} of {self.blocks:,} blocks, {as_size(moved)} of {as_size(self.size)}"
        text += f" ({100 * moved // self.size} %)"
        if self.failures:
            text += f", {self.failures:,} failed"
        if rate > 0:
            text += f", {as_size(int(rate))}/s, {as_duration((self.size - moved) / rate)} left"
        return text


class BarDisplay(Display):
    """For a terminal: one bar with bytes, rate, time left and blocks, and lines above it."""

    def __init__(self, console: Console, *, now: Callable[[], datetime] = datetime.now) -> None:
        super().__init__(console, now=now)
        self._bar: tqdm[NoReturn] | None = None

    def say(self, text: str) -> None:
        tqdm.write(f"{self.now():%H:%M:%S} {text}", file=self.console)

    def begins(self, phase: str, *, blocks: int, size: int) -> None:
        self.close()
        super().begins(phase, blocks=blocks, size=size)
        tqdm.monitor_interval = 0  # tick() draws often enough without a thread of tqdm's own
        self._bar = tqdm(
            total=size,
            desc=phase,
            unit="B",
            unit_scale=True,
            miniters=0,  # draw on a dead line, too, where only the time goes on
            dynamic_ncols=True,
            file=self.console,
        )
        self._show_blocks()

    def finished(self, block: Block, what: str) -> None:
        super().finished(block, what)
        self._show_blocks()

    def failed(self, block: Block, error: UploadError) -> None:
        super().failed(block, error)
        self._show_blocks()

    def note(self, text: str) -> None:
        self.say(text)

    def retrying(self, retry: Retry) -> None:
        self.say(as_text(retry))

    def tick(self) -> None:
        if self._bar is not None:
            self._bar.update(self.meter.size - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self.tick()
            self._bar.close()
            self._bar = None

    def _show_blocks(self) -> None:
        if self._bar is not None:
            failures = f", {self.failures:,} failed" if self.failures else ""
            self._bar.set_postfix_str(f"{self.done:,}/{self.blocks:,} blocks{failures}")


def choose_display(console: Console, *, quiet: bool, verbose: bool) -> Display:
    """Return the display that suits the flags and whoever reads the console."""
    if quiet:
        return Display(console)
    if console.isatty() and not verbose:
        return BarDisplay(console)
    return LogDisplay(console, every_block=verbose)


def as_text(retry: Retry) -> str:
    """Say what happened and when the next try is."""
    when = f"in {retry.wait_seconds:.0f} s" if retry.wait_seconds >= 1 else "in under a second"
    return f"{retry.call}: {retry.error.message}; trying again {when}"


def as_size(size: int) -> str:
    """Write a number of bytes for people: `60.1 MiB`."""
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.1f} {unit}" if unit != "B" else f"{size} B"
        number /= 1024
    return f"{number:.1f} TiB"


def as_duration(seconds: float) -> str:
    """Write a time for people: `3:05:09`, with days in front where there are any."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hour}:{minute:02}:{second:02}"
