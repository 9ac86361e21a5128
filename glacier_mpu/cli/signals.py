"""Signals: the first asks the run to stop in good order, a second one ends the process at once.

A hang-up is no second one: a terminal that is closed sends two, one of them by way of the shell.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from glacier_mpu.stop import Stop

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None

# By signal, what a second one does. Windows has no SIGHUP, but SIGBREAK: Ctrl-Break, and a console
# window that is closed, which leaves a run some five seconds.
_SECOND = {
    getattr(signal, name): then
    for name, then in (
        ("SIGINT", signal.SIG_DFL),
        ("SIGTERM", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_IGN),
        ("SIGBREAK", signal.SIG_DFL),
    )
    if hasattr(signal, name)
}


class Interruption:
    """While entered, a signal that asks to stop asks `stop`; `signal` then holds its number.

    A signal that the caller had ignored, as nohup does with SIGHUP, stays ignored.
    """

    def __init__(self) -> None:
        self.stop = Stop()
        self.signal = 0
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> Interruption:
        for number in _SECOND:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        self.stop.ask()
        for other in self._before:
            signal.signal(other, _SECOND[other])
