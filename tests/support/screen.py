"""A terminal of a given width, and what stands on its screen. Not on Windows."""

from __future__ import annotations

import os
import select
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pyte

if sys.platform != "win32":
    import fcntl
    import termios

CTRL_C = b"\x03"
_LINES = 50


class Screen:
    """What a person sees. `tty` is the end that a program writes to."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._keyboard, self.tty = os.openpty()
        os.set_blocking(self._keyboard, False)
        fcntl.ioctl(self.tty, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, columns, 0, 0))
        self._screen = pyte.Screen(columns, _LINES)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """The lines that are not empty."""
        self._read()
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def text(self) -> str:
        """All that is written, with the lines that the terminal's edge broke put together."""
        self._read()
        return "".join(self._screen.display)

    @property
    def bars(self) -> list[str]:
        """The lines with a bar: a bar that the edge broke, or that was drawn twice, is two."""
        return [line for line in self.lines if "|" in line]

    def wait(self, until: Callable[[Screen], bool]) -> None:
        """Look at the screen whenever something is written, until it shows this; for 30 s."""
        deadline = time.monotonic() + 30
        while not until(self):
            assert time.monotonic() < deadline, "\n".join(self.lines)
            select.select([self._keyboard], [], [], 0.2)

    def press(self, keys: bytes) -> None:
        """Press keys, as a person does."""
        os.write(self._keyboard, keys)

    def take_over(self) -> None:
        """Make it the terminal of this process, so that Ctrl-C reaches it: after a fork."""
        fcntl.ioctl(self.tty, termios.TIOCSCTTY, 0)

    def close(self) -> None:
        """Close both ends."""
        os.close(self.tty)
        os.close(self._keyboard)

    def _read(self) -> None:
        # Nothing to read, or nobody who could write any more.
        with suppress(OSError):
            while data := os.read(self._keyboard, 65536):
                self._stream.feed(data)


@contextmanager
def screen_of(columns: int) -> Iterator[Screen]:
    """Yield a screen, and close it."""
    screen = Screen(columns)
    try:
        yield screen
    finally:
        screen.close()
