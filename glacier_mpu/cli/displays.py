"""Chooses the display of a run."""

from __future__ import annotations

from glacier_mpu.cli.bar import BarDisplay
from glacier_mpu.cli.lines import Lines
from glacier_mpu.cli.log import LogDisplay
from glacier_mpu.cli.progress import Display, QuietDisplay


def choose_display(lines: Lines, *, quiet: bool, verbose: bool) -> Display:
    """Return the display that suits the flags and the console."""
    if quiet:
        return QuietDisplay(lines)
    if lines.console.isatty() and not verbose:
        return BarDisplay(lines)
    return LogDisplay(lines, every_block=verbose)
