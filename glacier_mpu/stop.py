"""Stopping and waiting: a Stop is asked once and heard everywhere; Waits says how long for what."""

from __future__ import annotations

import threading
from dataclasses import dataclass


class Stopped(BaseException):
    """The run was asked to stop.

    Not an Exception: botocore wraps an Exception that a body's `read` raises as if the connection
    had broken, and retries it, while a BaseException passes straight through.
    """


class Stop:
    """A request to stop. It cannot be taken back.

    Safe to use from any thread. `ask` may be called in a signal handler, so the main thread, where
    handlers run, must not call `wait`: the handler could interrupt it while it holds the lock that
    `ask` needs.
    """

    def __init__(self) -> None:
        self.asked = False
        self._event = threading.Event()
        self._children: list[Stop] = []

    def child(self) -> Stop:
        """Return a Stop that is asked when this one is, and can also be asked alone."""
        child = Stop()
        self._children.append(child)
        if self.asked:  # asked between the two lines above, perhaps
            child.ask()
        return child

    def ask(self) -> None:
        """Ask for the stop, and cut every wait short. Safe to repeat."""
        if self.asked:
            return
        self.asked = True  # first, so that a signal handler that interrupts this returns above
        self._event.set()
        for child in self._children:
            child.ask()

    def check(self) -> None:
        """Raise Stopped if the stop was asked for."""
        if self.asked:
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Wait. Raises Stopped as soon as the stop is asked for."""
        self._event.wait(seconds)
        self.check()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long to wait for what, in seconds.

    retry        until a call in which nothing moves any more counts as failed
    longest      between two tries
    connect      for a connection, or for room to send more of a body
    read         for the next byte of an answer
    complete     for the answer to a completion: users saw it lost for archives of 3 TB
    credentials  for what hands them out: a helper, the login portal, a role
    """

    retry: float = 15 * 60
    longest: float = 30
    connect: float = 30
    read: float = 120
    complete: float = 10 * 60
    credentials: float = 60
