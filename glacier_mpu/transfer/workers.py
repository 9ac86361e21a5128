"""Does a piece of work for each of many items, a bounded number at a time. Knows no vault."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager, suppress
from typing import TypeVar

from glacier_mpu.errors import Stopped

Item = TypeVar("Item")
Result = TypeVar("Result")

# How often the caller's thread looks up from waiting: signals act and the display moves.
TICK_SECONDS = 0.2


class Slots:
    """At most `count` holders at a time, in the order of the line; once closed, nobody gets in."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._closed = False
        self._line: deque[int] = deque()
        self._changed = threading.Condition()

    @property
    def busy(self) -> int:
        """How many slots are held."""
        return self.count - self._free

    def resize(self, count: int) -> None:
        """Change the number of slots; those held beyond it are given back when their work ends."""
        if count == self.count:
            return
        with self._changed:
            self._free += count - self.count
            self.count = count
            self._changed.notify_all()

    def line_up(self, numbers: Iterable[int]) -> None:
        """Set the order in which slots are given out. Each number takes one, or steps out."""
        with self._changed:
            self._line = deque(numbers)

    @contextmanager
    def slot(self, number: int) -> Iterator[None]:
        """Wait for a slot and one's turn, and hold it. Raises Stopped when the slots are closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._is_next(number))
            if self._closed:
                raise Stopped
            self._free -= 1
        self.step_out(number)
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def step_out(self, number: int) -> None:
        """Leave the line, if still in it: the next one's turn has come."""
        with self._changed:
            with suppress(ValueError):
                self._line.remove(number)
            self._changed.notify_all()

    def close(self) -> None:
        """Turn away those who wait; those who hold a slot keep it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_next(self, number: int) -> bool:
        return self._free > 0 and (not self._line or self._line[0] == number)


def run_each(
    executor: Executor,
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    window: Callable[[], int],
    on_finished: Callable[[Item, Future[Result]], bool],
    tick: Callable[[], None],
) -> None:
    """Do `work` for every item, `window()` of them at a time, and hand each to `on_finished`.

    Once that returns False no new item is begun; those that run are waited for and handed over as
    well. `tick` is called several times a second, and may raise to leave at once. All callbacks run
    in the caller's thread.
    """
    waiting = iter(items)
    running: dict[Future[Result], Item] = {}
    going = True
    while True:
        while going and len(running) < window():
            try:
                item = next(waiting)
            except StopIteration:
                break
            running[executor.submit(work, item)] = item
        if not running:
            return
        finished, _ = wait(running, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
        for future in finished:
            going = on_finished(running.pop(future), future) and going
        tick()


def run_alone(
    executor: Executor, work: Callable[[], Result], *, tick: Callable[[], None]
) -> Result:
    """Do one piece of work in the executor and return its result, with `tick` called meanwhile."""
    future = executor.submit(work)
    # A result that is there counts: a stop in the last moment must not throw it away.
    while not wait([future], timeout=TICK_SECONDS)[0]:
        tick()
    return future.result()
