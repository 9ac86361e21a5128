"""Who runs the block tasks, how many at once, in which order: threads, gates, a bounded window."""

from __future__ import annotations

import os
import threading
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from glacier_mpu.stop import Stop

Task = TypeVar("Task")
TaskIn = TypeVar("TaskIn", contravariant=True)
TaskOut = TypeVar("TaskOut", covariant=True)
Done = TypeVar("Done")
Result = TypeVar("Result")
Place = tuple[int, ...]

# How often the caller's thread looks up from waiting, to hear signals and move the display.
TICK_SECONDS = 0.2


class Workers(Protocol[TaskIn, Done]):
    """Does tasks somewhere: in threads, in processes, on other machines."""

    @property
    def window(self) -> int:
        """How many blocks to send are in hand at once: one more than can be sent at once.

        The one more is hashed while the others are sent.
        """

    @property
    def readers(self) -> int:
        """How many stored blocks are in hand at once, to be compared."""

    def submit(self, task: TaskIn, /) -> Future[Done]:
        """Have the task done; tasks begin in the order in which they are submitted."""

    def close(self) -> None:
        """Begin no further task, and wait for none."""


class Gate:
    """Lets at most `count` in at a time, in the order of their places in line, lowest first.

    A place is unique, and taken by `line_up` or at the latest by `turn`. A place that is taken and
    not used keeps those behind it waiting until it is given up.
    """

    def __init__(self, count: int, *, stop: Stop) -> None:
        self.count = count
        self.busy = 0
        self.stop = stop.child()
        self._line: list[Place] = []
        self._changed = threading.Condition()

    def resize(self, count: int) -> None:
        """Change how many are let in; those inside beyond it leave when their work ends.

        Or earlier, if they ask by `give_way`.
        """
        if count != self.count:
            with self._changed:
                self.count = count
                self._changed.notify_all()

    def line_up(self, place: Place) -> None:
        """Take a place in line."""
        with self._changed:
            insort(self._line, place)

    def leave(self, place: Place) -> None:
        """Give the place up, if it is still held."""
        with self._changed, suppress(ValueError):
            self._line.remove(place)
            self._changed.notify_all()

    @contextmanager
    def turn(self, place: Place) -> Iterator[None]:
        """Wait for the turn of this place, then be inside. Raises Stopped once it is closed."""
        with self._changed:
            if place not in self._line:
                insort(self._line, place)
            self._come_in(place)
        try:
            self.stop.check()
            yield
        finally:
            with self._changed:
                self.busy -= 1
                self._changed.notify_all()

    def give_way(self, place: Place) -> None:
        """Wait outside while one that comes before this place needs the room, or it has shrunk.

        To be called in the turn of this place, and often. Raises Stopped once the gate is closed.
        """
        with self._changed:
            full = self.busy >= self.count and bool(self._line) and self._line[0] < place
            if not full and self.busy <= self.count:
                return
            self.busy -= 1
            insort(self._line, place)
            self._changed.notify_all()
            self._come_in(place)
        self.stop.check()

    def close(self) -> int:
        """Turn away all who wait; those inside stay. Return how many they are.

        To be called after a stop, too, which wakes nobody here by itself: it may come from a
        signal handler, where no lock can be taken.
        """
        with self._changed:
            self.stop.ask()
            self._changed.notify_all()
            return self.busy

    def _come_in(self, place: Place) -> None:
        """Wait for the turn of a place in line. Inside it is looked whether the gate is closed."""
        self._changed.wait_for(lambda: self.stop.asked or self._is_next(place))
        self._line.remove(place)
        self.busy += 1
        self._changed.notify_all()

    def _is_next(self, place: Place) -> bool:
        return self.busy < self.count and self._line[0] == place


class Threads(Generic[Task, Done]):
    """Workers in this process. `slots` and `reading` are the gates through which `work` goes.

    `line_up` is called with each task before it begins, in the order of submission, which threads
    by themselves do not keep.
    """

    def __init__(
        self,
        work: Callable[[Task], Done],
        *,
        line_up: Callable[[Task], None],
        slots: Gate,
        reading: Gate,
        most_slots: int,
        most_readers: int,
    ) -> None:
        self._work = work
        self._line_up = line_up
        self._slots = slots
        self._reading = reading
        self._pool = ThreadPoolExecutor(most_slots + 1 + most_readers + 1)

    @property
    def window(self) -> int:
        """One more block than there are slots now."""
        return self._slots.count + 1

    @property
    def readers(self) -> int:
        """One more block than are read at once now."""
        return self._reading.count + 1

    def submit(self, task: Task, /) -> Future[Done]:
        """Do the task in a thread."""
        self._line_up(task)
        return self._pool.submit(self._work, task)

    def close(self) -> None:
        """Begin no further task, and wait for none."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Lane(Protocol[TaskOut]):
    """Tasks in order, of which `window()` are in hand at once. More may come meanwhile.

    awaited  is done when `next` should be asked again; None where nothing is to be awaited
    """

    @property
    def awaited(self) -> Future[Any] | None: ...

    def window(self) -> int: ...

    def next(self) -> TaskOut | None:
        """Return the next task, or None if there is none now."""


@dataclass(frozen=True, slots=True)
class Queue(Generic[Task]):
    """A lane whose tasks are there."""

    tasks: deque[Task]
    window: Callable[[], int]
    awaited: None = None

    def next(self) -> Task | None:
        return self.tasks.popleft() if self.tasks else None


def run_each(
    submit: Callable[[Task], Future[Done]],
    lanes: Sequence[Lane[Task]],
    *,
    on_finished: Callable[[Task, Future[Done]], bool],
    tick: Callable[[], None],
) -> None:
    """Do all tasks of all lanes side by side, and hand each with its future to `on_finished`.

    Once that returns False no new task is begun; those in hand are waited for and handed over as
    well. `tick` is called several times a second, and may raise to leave at once. All callbacks run
    in the caller's thread.
    """
    in_hand = [0] * len(lanes)
    running: dict[Future[Done], tuple[Task, int]] = {}
    going = True
    while True:
        for number, lane in enumerate(lanes):
            while going and in_hand[number] < lane.window() and (task := lane.next()) is not None:
                running[submit(task)] = task, number
                in_hand[number] += 1
        awaited = [lane.awaited for lane in lanes if going and lane.awaited is not None]
        if not running and not awaited:
            return
        wait([*running, *awaited], timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
        for future in [future for future in running if future.done()]:
            task, number = running.pop(future)
            in_hand[number] -= 1
            going = on_finished(task, future) and going
        tick()


def run_aside(
    executor: Executor, work: Callable[[], Result], *, tick: Callable[[], None]
) -> Result:
    """Do one piece of work in the executor and return its result, with `tick` called meanwhile."""
    future = executor.submit(work)
    # A result that is there counts: a stop in the last moment must not throw it away.
    while not wait([future], timeout=TICK_SECONDS)[0]:
        tick()
    return future.result()
