"""Signals that ask how far the run is. Imports next to nothing, so that they are heard at once."""

from __future__ import annotations

import signal
from types import FrameType

# Ctrl-T sends SIGINFO, on macOS and the BSDs. Windows has neither.
_SIGNALS = [getattr(signal, name) for name in ("SIGUSR1", "SIGINFO") if hasattr(signal, name)]


class Inquiry:
    """Whether a signal has asked how far the run is.

    The handler only notes it: it runs in the main thread, which may hold the lock of the display.
    """

    def __init__(self) -> None:
        self._asked = False
        self._heard: list[int] = []

    def listen(self) -> None:
        """Note such signals from now on; by default SIGUSR1 would end the process.

        One that the caller had ignored stays ignored.
        """
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._ask)
                self._heard.append(number)

    def ignore(self) -> None:
        """Ignore them from now on.

        At its very end Python gives each signal that has a handler its default action back.
        """
        for number in self._heard:
            signal.signal(number, signal.SIG_IGN)

    def take(self) -> bool:
        """Tell whether one came since the last time."""
        asked, self._asked = self._asked, False
        return asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
