"""Lines for people: each with its time in front and, on a terminal, in the colour of its kind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime

from glacier_mpu.cli.console import Console

ERROR = "error: "
WARNING = "warning: "
DONE = "Done"

_RED, _YELLOW, _GREEN = "\x1b[31m", "\x1b[33m", "\x1b[32m"
_PLAIN = "\x1b[0m"
_COLOURS = {ERROR: _RED, WARNING: _YELLOW, DONE: _GREEN}


class Lines:
    """Writes lines to a console. A log and a mail need the date, too; a person does not."""

    def __init__(
        self,
        console: Console,
        *,
        now: Callable[[], datetime] = datetime.now,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.console = console
        self._now = now
        self._time = "%H:%M:%S" if console.isatty() else "%Y-%m-%d %H:%M:%S"
        self._in_colour = takes_colour(console, environment, platform=sys.platform)

    def say(self, text: str) -> None:
        """Write the text as a line."""
        self.console.line(self.stamped(text))

    def stamped(self, text: str) -> str:
        """Return the text as `say` writes it."""
        return f"{self._now():{self._time}} {coloured(text) if self._in_colour else text}"


def coloured(text: str) -> str:
    """Return the text in the colour of its kind, which its first word tells."""
    for prefix, colour in _COLOURS.items():
        if text.startswith(prefix):
            return f"{colour}{text}{_PLAIN}"
    return text


def takes_colour(console: Console, environment: Mapping[str, str], *, platform: str) -> bool:
    """Tell whether colour is wanted (https://no-color.org) and shown.

    The old console of Windows shows the codes as text; the terminals that say who they are do not.
    """
    wanted = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    shown = platform != "win32" or any(map(environment.get, ("WT_SESSION", "ANSICON")))
    return wanted and shown and console.isatty()
