"""Workers: a bounded window of lanes, callbacks in the caller's thread, gates, leaving at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count as count_from
from typing import Any

import pytest

from glacier_mpu.stop import Stop, Stopped
from glacier_mpu.transfer import workers
from glacier_mpu.transfer.workers import Gate, Queue, Threads, run_aside, run_each


@pytest.fixture(autouse=True)
def ticks_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "TICK_SECONDS", 0.001)


class ByHand:
    """Takes tasks, which end when the test says so."""

    def __init__(self, work: Callable[[int], Any] = abs) -> None:
        self.running: list[tuple[Future[Any], int]] = []
        self.begun: list[int] = []
        self.most = 0
        self._work = work

    def submit(self, task: int) -> Future[Any]:
        future: Future[Any] = Future()
        self.running.append((future, task))
        self.begun.append(task)
        self.most = max(self.most, len(self.running))
        return future

    def end_one(self, at: int = 0) -> None:
        if self.running:
            future, task = self.running.pop(at)
            try:
                future.set_result(self._work(task))
            except BaseException as error:  # noqa: BLE001 - that is what an executor does
                future.set_exception(error)


def never_asked() -> None:
    """Tick, and do nothing."""


def lane(tasks: range, window: int) -> Queue[int]:
    return Queue(deque(tasks), lambda: window)


@pytest.mark.parametrize("at", [0, -1], ids=["oldest ends first", "newest ends first"])
@pytest.mark.parametrize("window", [1, 2, 5, 50])
def test_never_more_than_the_window_is_in_hand_and_each_task_is_handed_over_once(
    window: int, at: int
) -> None:
    by_hand = ByHand(lambda n: n * n)
    finished: list[tuple[int, int]] = []

    def on_finished(task: int, future: Future[int]) -> bool:
        finished.append((task, future.result()))
        return True

    run_each(
        by_hand.submit,
        [lane(range(12), window)],
        on_finished=on_finished,
        tick=lambda: by_hand.end_one(at),
    )
    assert sorted(finished) == [(n, n * n) for n in range(12)]
    assert by_hand.most == min(window, 12)
    assert by_hand.begun == list(range(12))


def test_each_lane_has_a_window_of_its_own() -> None:
    """A lane whose tasks do not end holds no other up."""
    by_hand = ByHand()
    finished: list[int] = []

    def on_finished(task: int, _: Future[int]) -> bool:
        finished.append(task)
        return True

    def end_one_of_the_second() -> None:
        of_second = [i for i, (_, task) in enumerate(by_hand.running) if task >= 100]
        by_hand.end_one(of_second[0] if of_second else 0)

    lanes = [lane(range(3), 2), lane(range(100, 110), 3)]
    run_each(by_hand.submit, lanes, on_finished=on_finished, tick=end_one_of_the_second)
    assert by_hand.begun[:5] == [0, 1, 100, 101, 102]
    assert by_hand.most == 5
    assert finished == [*range(100, 110), 0, 1, 2]


def test_no_tasks_are_no_work() -> None:
    run_each(
        ByHand().submit,
        [lane(range(0), 3)],
        on_finished=lambda *_: pytest.fail("none is there"),
        tick=never_asked,
    )


def test_after_a_false_nothing_is_begun_and_what_is_in_hand_is_handed_over() -> None:
    by_hand = ByHand()
    finished: list[int] = []

    def on_finished(task: int, _: Future[int]) -> bool:
        finished.append(task)
        return task != 1

    run_each(by_hand.submit, [lane(range(100), 3)], on_finished=on_finished, tick=by_hand.end_one)
    assert by_hand.begun == [0, 1, 2, 3]
    assert finished == [0, 1, 2, 3]


def test_a_later_true_does_not_take_a_false_back() -> None:
    by_hand = ByHand()
    answers = iter([False, True, True])
    run_each(
        by_hand.submit,
        [lane(range(100), 3)],
        on_finished=lambda *_: next(answers),
        tick=by_hand.end_one,
    )
    assert by_hand.begun == [0, 1, 2]


def test_a_task_that_is_added_meanwhile_is_done_too_also_to_a_lane_that_was_empty() -> None:
    by_hand = ByHand()
    first, second = deque([0, 1]), deque[int]()
    finished: list[int] = []

    def on_finished(task: int, _: Future[int]) -> bool:
        finished.append(task)
        if task < 2:
            second.append(task + 10)
        return True

    lanes = [Queue(first, lambda: 1), Queue(second, lambda: 1)]
    run_each(by_hand.submit, lanes, on_finished=on_finished, tick=by_hand.end_one)
    assert sorted(finished) == [0, 1, 10, 11]


def test_a_failed_task_is_handed_over_as_its_future() -> None:
    errors: list[BaseException | None] = []

    def work(_: int) -> int:
        raise ValueError("no")

    def on_finished(_: int, future: Future[int]) -> bool:
        errors.append(future.exception())
        return True

    with ThreadPoolExecutor(2) as pool:
        run_each(
            lambda task: pool.submit(work, task),
            [lane(range(3), 2)],
            on_finished=on_finished,
            tick=never_asked,
        )
    assert [type(error) for error in errors] == [ValueError] * 3


def test_callbacks_run_in_the_callers_thread_and_work_does_not() -> None:
    seen: dict[str, set[int]] = {"work": set(), "finished": set(), "tick": set()}

    def note(what: str) -> bool:
        seen[what].add(threading.get_ident())
        return True

    def tick() -> None:
        note("tick")

    with ThreadPoolExecutor(2) as pool:
        run_each(
            lambda _: pool.submit(note, "work"),
            [lane(range(6), 2)],
            on_finished=lambda *_: note("finished"),
            tick=tick,
        )
    here = {threading.get_ident()}
    assert seen["finished"] == seen["tick"] == here
    assert not seen["work"] & here


@pytest.mark.parametrize("way", ["each", "aside"])
def test_a_tick_that_raises_leaves_at_once_though_work_is_stuck(way: str) -> None:
    stuck = threading.Event()
    ticked: list[int] = []

    def tick() -> None:
        ticked.append(1)
        if len(ticked) == 3:
            raise Stopped

    def each(pool: ThreadPoolExecutor) -> None:
        lanes = [lane(range(5), 2)]
        run_each(
            lambda _: pool.submit(stuck.wait, 60), lanes, on_finished=lambda *_: True, tick=tick
        )

    def aside(pool: ThreadPoolExecutor) -> None:
        run_aside(pool, lambda: stuck.wait(60), tick=tick)

    with ThreadPoolExecutor(1) as pool:
        try:
            with pytest.raises(Stopped):
                {"each": each, "aside": aside}[way](pool)
        finally:
            stuck.set()
    assert len(ticked) == 3


def test_work_aside_gives_its_result_and_ticks_meanwhile() -> None:
    let_go = threading.Event()
    ticked: list[int] = []

    def tick() -> None:
        ticked.append(threading.get_ident())
        let_go.set()

    with ThreadPoolExecutor(1) as pool:
        assert run_aside(pool, lambda: let_go.wait(60), tick=tick) is True
    assert set(ticked) == {threading.get_ident()}


def test_work_aside_raises_what_it_raised() -> None:
    def work() -> None:
        raise Stopped

    with ThreadPoolExecutor(1) as pool, pytest.raises(Stopped):
        run_aside(pool, work, tick=never_asked)


def test_a_result_that_is_there_is_not_thrown_away_by_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Work ends in the very wait after which the stop would be heard."""
    let_go = threading.Event()
    real_wait = wait

    def wait_until_it_ends(futures: list[Future[str]], timeout: float) -> object:
        let_go.set()
        return real_wait(futures)

    def tick() -> None:
        raise Stopped

    def work() -> str:
        let_go.wait(60)
        return "the archive id"

    monkeypatch.setattr(workers, "wait", wait_until_it_ends)
    with ThreadPoolExecutor(1) as pool:
        assert run_aside(pool, work, tick=tick) == "the archive id"


# -- gates


def in_threads(work: Callable[[], object], count: int) -> None:
    """Do the work in so many threads, none of which can keep the tests from ending."""
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads), "a thread still waits at the gate"


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_as_the_gate_lets_in_are_inside_and_never_more(count: int) -> None:
    gate = Gate(count, stop=Stop())
    together = threading.Barrier(count, timeout=20)
    lock, inside, most = threading.Lock(), [0], [0]

    places = count_from(0)

    def hold() -> None:
        with gate.turn((next(places),)):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            together.wait()  # count holders are inside, or this breaks
            with lock:
                inside[0] -= 1
            together.wait()

    in_threads(hold, 4 * count)
    assert most[0] == count
    assert gate.busy == 0


def test_a_holder_that_fails_leaves_the_gate() -> None:
    gate = Gate(1, stop=Stop())
    failures: list[ValueError] = []
    places = count_from(0)

    def fail() -> None:
        try:
            with gate.turn((next(places),)):
                int("no")
        except ValueError as error:
            failures.append(error)

    in_threads(fail, 5)
    assert len(failures) == 5


def test_turns_are_in_the_order_of_the_places_in_line_whoever_comes_first() -> None:
    gate = Gate(1, stop=Stop())
    order: list[int] = []
    for number in range(5):
        gate.line_up((0, number))
    numbers = iter([4, 2, 0, 3, 1])

    def take_turn() -> None:
        number = next(numbers)
        with gate.turn((0, number)):
            order.append(number)

    in_threads(take_turn, 5)
    assert order == [0, 1, 2, 3, 4]


def test_who_leaves_the_line_holds_nobody_up() -> None:
    gate = Gate(1, stop=Stop())
    gate.line_up((0, 0))
    entered: list[int] = []
    waiting = threading.Event()

    def wait_behind() -> None:
        waiting.set()
        with gate.turn((0, 1)):
            entered.append(1)

    def leave() -> None:
        waiting.wait(20)
        gate.leave((0, 0))
        gate.leave((0, 0))  # safe to repeat

    roles = iter([wait_behind, leave])
    in_threads(lambda: next(roles)(), 2)
    assert entered == [1]


def test_a_wider_gate_lets_more_in_at_once() -> None:
    gate = Gate(1, stop=Stop())
    both = threading.Barrier(2, timeout=20)

    places = count_from(0)

    def hold() -> None:
        with gate.turn((next(places),)):
            both.wait()

    def widen() -> None:
        gate.resize(2)

    roles = iter([hold, hold, widen])
    in_threads(lambda: next(roles)(), 3)
    assert gate.count == 2


class Inside:
    """Threads inside a gate, each of which gives way when the test says so."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.log: list[str] = []
        self._changed = threading.Condition()
        self._may_go_on: set[int] = set()
        self._threads: list[threading.Thread] = []

    def enter(self, number: int) -> None:
        """Let a thread take this place; it gives way once `goes_on` says its number."""
        thread = threading.Thread(target=self._turn, args=(number,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _turn(self, number: int) -> None:
        try:
            with self.gate.turn((number,)):
                self._note(f"{number} in")
                with self._changed:
                    assert self._changed.wait_for(lambda: number in self._may_go_on, 20)
                self.gate.give_way((number,))
                self._note(f"{number} goes on")
        except Stopped:
            self._note(f"{number} turned away")

    def _note(self, what: str) -> None:
        with self._changed:
            self.log.append(what)
            self._changed.notify_all()

    def goes_on(self, *numbers: int) -> None:
        with self._changed:
            self._may_go_on |= set(numbers)
            self._changed.notify_all()

    def wait_for(self, *what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: set(what) <= set(self.log), 20), self.log

    def wait_until_busy(self, count: int) -> None:
        with self.gate._changed:
            assert self.gate._changed.wait_for(lambda: self.gate.busy == count, 20)

    def end(self) -> list[str]:
        for thread in self._threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self._threads)
        assert self.gate.busy == 0
        return self.log


def test_who_is_inside_gives_way_to_one_that_comes_first_and_goes_on_before_the_later_ones() -> (
    None
):
    gate = Gate(1, stop=Stop())
    inside = Inside(gate)
    inside.enter(5)
    inside.wait_for("5 in")
    gate.line_up((2,))
    gate.line_up((7,))
    inside.enter(7)
    inside.enter(2)
    inside.goes_on(5)
    inside.wait_for("2 in")
    assert gate.busy == 1
    inside.goes_on(2, 7)
    assert inside.end() == ["5 in", "2 in", "2 goes on", "5 goes on", "7 in", "7 goes on"]


def test_nobody_gives_way_to_later_ones_or_where_there_is_room_or_for_two_at_once() -> None:
    gate = Gate(2, stop=Stop())
    inside = Inside(gate)
    inside.enter(5)
    inside.wait_for("5 in")
    gate.line_up((1,))  # and is not there yet; there is room for it
    inside.goes_on(5)
    inside.wait_for("5 goes on")
    gate.leave((1,))
    for number in (6, 7):
        inside.enter(number)
    inside.wait_for("6 in", "7 in")
    gate.line_up((8,))
    gate.line_up((2,))
    inside.goes_on(6)  # gives way to 2, which is not there yet
    inside.wait_until_busy(1)
    inside.goes_on(7)  # has not to: there is room now
    inside.wait_for("7 goes on")
    gate.leave((2,))
    gate.leave((8,))
    assert inside.end()[-1] == "6 goes on"


def test_who_is_inside_a_gate_that_has_become_narrower_steps_out_and_comes_back_in_order() -> None:
    gate = Gate(3, stop=Stop())
    inside = Inside(gate)
    for number in (1, 2, 3):
        inside.enter(number)
    inside.wait_for("1 in", "2 in", "3 in")
    gate.resize(1)
    inside.goes_on(3)
    inside.wait_until_busy(2)
    inside.goes_on(2)
    inside.wait_until_busy(1)
    inside.goes_on(1)
    assert inside.end()[-3:] == ["1 goes on", "2 goes on", "3 goes on"]


def test_closing_turns_away_who_gave_way() -> None:
    gate = Gate(1, stop=Stop())
    inside = Inside(gate)
    inside.enter(5)
    inside.wait_for("5 in")
    gate.line_up((2,))
    inside.goes_on(5)
    inside.wait_until_busy(0)
    gate.close()
    assert inside.end() == ["5 in", "5 turned away"]


@pytest.mark.parametrize("by", ["closing", "a stop and closing"])
def test_closing_turns_away_who_waits_and_leaves_holders_alone(by: str) -> None:
    stop = Stop()
    gate = Gate(1, stop=stop)
    waiting = threading.Barrier(4, timeout=20)
    ends: list[str] = []
    places = count_from(1)

    def wait_for_turn() -> None:
        waiting.wait()
        try:
            with gate.turn((0, next(places))):
                ends.append("got in")
        except Stopped:
            ends.append("turned away")

    def close() -> None:
        waiting.wait()
        if by != "closing":
            stop.ask()
        gate.close()

    roles = iter([wait_for_turn, wait_for_turn, wait_for_turn, close])
    with gate.turn((0, 0)):
        in_threads(lambda: next(roles)(), 4)
    assert ends == ["turned away"] * 3
    with pytest.raises(Stopped), gate.turn((0, next(places))):
        pytest.fail("got in")
    assert stop.asked == (by != "closing")


# -- threads


def test_threads_take_tasks_in_the_order_of_submission_and_as_many_as_are_in_hand() -> None:
    """Every task in hand has a thread, or the first in line could wait for one for ever."""
    stop = Stop()
    slots, reading = Gate(2, stop=stop), Gate(1, stop=stop)
    all_there = threading.Barrier(7, timeout=20)
    lined_up: list[int] = []

    def work(task: int) -> int:
        all_there.wait()
        return task

    threads: Threads[int, int] = Threads(
        work,
        line_up=lined_up.append,
        slots=slots,
        reading=reading,
        most_slots=2,
        most_readers=2,
    )
    assert (threads.window, threads.readers) == (3, 2)
    reading.resize(2)
    assert (threads.window, threads.readers) == (3, 3)
    futures = [threads.submit(n) for n in range(threads.window + threads.readers)]
    all_there.wait()
    assert [future.result(20) for future in futures] == list(range(6))
    assert lined_up == list(range(6))
    slots.resize(1)
    assert (threads.window, threads.readers) == (2, 3)
    threads.close()
