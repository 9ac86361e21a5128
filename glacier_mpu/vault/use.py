"""One call's part in a line: what it moves, and how far that has come."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol


class Moving(Protocol):
    """What a try moves: how far it ever came, and when it last moved, by the line's clock."""

    @property
    def furthest(self) -> int: ...

    @property
    def moved_at(self) -> float: ...


@dataclass(slots=True, eq=False)
class Use:
    """One call's part in a line.

    moving           what it moves, which had `reached` so far when it was looked at last
    longest_silence  seconds of a try in which nothing moves, as far as its time-outs allow
    outages          how often the line had been given up when the call began
    thread           that makes the call; a call that it makes within another is a part of that
    try_began_at     by the line's clock, as the next
    progress_at      when it last came further than ever, as far as was looked at
    failed_at        when a try of it failed last
    """

    moving: Moving | None
    longest_silence: float
    reached: int
    outages: int
    thread: int = field(default_factory=threading.get_ident)
    try_began_at: float = float("-inf")
    progress_at: float = float("-inf")
    failed_at: float = float("-inf")
