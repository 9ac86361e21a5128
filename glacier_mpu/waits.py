"""How long an upload waits for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long to wait for what, in seconds.

    retry     until a call in which nothing moves any more counts as failed
    longest   between two tries
    connect   for a connection, or for room to send more of a body
    read      for the next byte of an answer
    complete  for the answer to a completion: users saw it lost for archives of 3 TB
    """

    retry: float = 15 * 60
    longest: float = 60
    connect: float = 30
    read: float = 120
    complete: float = 10 * 60
