"""The driver: a bounded window, callbacks in the caller's thread, slots, and leaving at once."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from glacier_mpu.errors import Stopped
from glacier_mpu.transfer import workers as driver
from glacier_mpu.transfer.workers import Slots, run_alone, run_each


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Tick without waiting."""
    monkeypatch.setattr(driver, "TICK_SECONDS", 0.001)


class ByHand(Executor):
    """An executor whose pieces of work end when the test says so."""

    def __init__(self) -> None:
        self.running: list[tuple[Future, object, object]] = []
        self.most = 0
        self.begun: list[object] = []

    def submit(self, work, /, *arguments):
        future: Future = Future()
        self.running.append((future, work, arguments))
        self.begun += arguments
        self.most = max(self.most, len(self.running))
        return future

    def end_one(self, at: int = 0) -> None:
        future, work, arguments = self.running.pop(at)
        try:
            future.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 - that is what an executor does
            future.set_exception(error)


def never_asked() -> None:
    """Tick, and do nothing."""


@pytest.mark.parametrize("at", [0, -1], ids=["oldest ends first", "newest ends first"])
@pytest.mark.parametrize("window", [1, 2, 5, 50])
def test_never_more_than_the_window_is_under_way_and_each_item_is_handed_over_once(window, at):
    executor, finished = ByHand(), []

    def on_finished(item, future):
        finished.append((item, future.result()))
        return True

    run_each(
        executor,
        lambda n: n * n,
        range(12),
        window=lambda: window,
        on_finished=on_finished,
        tick=lambda: executor.running and executor.end_one(at),
    )
    assert sorted(finished) == [(n, n * n) for n in range(12)]
    assert executor.most == min(window, 12)
    assert executor.begun == list(range(12))


def test_no_items_are_no_work():
    run_each(
        ByHand(),
        abs,
        [],
        window=lambda: 3,
        on_finished=lambda *_: pytest.fail("none is there"),
        tick=never_asked,
    )


def test_after_a_false_nothing_is_begun_and_what_runs_is_handed_over():
    executor, finished = ByHand(), []

    def on_finished(item, _):
        finished.append(item)
        return item != 1

    run_each(
        executor,
        abs,
        range(100),
        window=lambda: 3,
        on_finished=on_finished,
        tick=lambda: executor.running and executor.end_one(),
    )
    assert executor.begun == [0, 1, 2, 3]
    assert finished == [0, 1, 2, 3]


def test_a_later_true_does_not_take_a_false_back():
    executor = ByHand()
    answers = iter([False, True, True])
    run_each(
        executor,
        abs,
        range(100),
        window=lambda: 3,
        on_finished=lambda *_: next(answers),
        tick=lambda: executor.running and executor.end_one(),
    )
    assert executor.begun == [0, 1, 2]


def test_items_are_asked_for_only_when_there_is_room():
    executor, asked = ByHand(), []

    def items():
        for n in range(100):
            asked.append(n)
            yield n

    def tick():
        raise Stopped

    with pytest.raises(Stopped):
        run_each(executor, abs, items(), window=lambda: 4, on_finished=lambda *_: True, tick=tick)
    assert asked == [0, 1, 2, 3]


def test_a_failed_item_is_handed_over_as_its_future():
    errors = []

    def work(_):
        raise ValueError("no")

    def on_finished(_, future):
        errors.append(future.exception())
        return True

    with ThreadPoolExecutor(2) as executor:
        run_each(
            executor, work, range(3), window=lambda: 2, on_finished=on_finished, tick=never_asked
        )
    assert [type(error) for error in errors] == [ValueError] * 3


def test_callbacks_run_in_the_callers_thread_and_work_does_not():
    seen: dict[str, set[int]] = {"work": set(), "finished": set(), "tick": set()}

    def note(what, result=None):
        seen[what].add(threading.get_ident())
        return result

    with ThreadPoolExecutor(2) as executor:
        run_each(
            executor,
            lambda _: note("work"),
            range(6),
            window=lambda: 2,
            on_finished=lambda *_: note("finished", result=True),
            tick=lambda: note("tick"),
        )
    here = {threading.get_ident()}
    assert seen["finished"] == seen["tick"] == here
    assert not seen["work"] & here


@pytest.mark.parametrize("way", ["each", "alone"])
def test_a_tick_that_raises_leaves_at_once_though_work_is_stuck(way):
    stuck = threading.Event()
    ticked = []

    def tick():
        ticked.append(1)
        if len(ticked) == 3:
            raise Stopped

    def each(executor):
        run_each(
            executor,
            lambda _: stuck.wait(60),
            range(5),
            window=lambda: 2,
            on_finished=lambda *_: True,
            tick=tick,
        )

    def alone(executor):
        run_alone(executor, lambda: stuck.wait(60), tick=tick)

    with ThreadPoolExecutor(1) as executor:
        try:
            with pytest.raises(Stopped):
                {"each": each, "alone": alone}[way](executor)
        finally:
            stuck.set()
    assert len(ticked) == 3


def test_alone_gives_the_result_and_ticks_meanwhile():
    let_go, ticked = threading.Event(), []

    def tick():
        ticked.append(threading.get_ident())
        let_go.set()

    with ThreadPoolExecutor(1) as executor:
        assert run_alone(executor, lambda: let_go.wait(60), tick=tick) is True
    assert set(ticked) == {threading.get_ident()}


def test_alone_raises_what_the_work_raised():
    def work():
        raise Stopped

    with ThreadPoolExecutor(1) as executor, pytest.raises(Stopped):
        run_alone(executor, work, tick=never_asked)


def test_a_result_that_is_there_is_not_thrown_away_by_a_stop(monkeypatch):
    executor = ByHand()

    def wait_until_it_ends(futures, timeout):
        executor.end_one()
        return futures, set()

    def tick():
        raise Stopped

    monkeypatch.setattr(driver, "wait", wait_until_it_ends)
    assert run_alone(executor, lambda: "the archive id", tick=tick) == "the archive id"


# -- slots


def in_threads(work, count: int) -> None:
    """Do the work in so many threads, none of which can keep the tests from ending."""
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads), "a thread still waits for a slot"


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_as_there_are_slots_hold_one_and_never_more(count):
    slots = Slots(count)
    together = threading.Barrier(count, timeout=20)
    lock, inside, most = threading.Lock(), [0], [0]

    def hold():
        with slots.slot(0):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            together.wait()  # count holders are inside, or this breaks
            with lock:
                inside[0] -= 1
            together.wait()

    in_threads(hold, 4 * count)
    assert most[0] == count


def test_a_holder_that_fails_gives_its_slot_back():
    slots, failures = Slots(1), []

    def fail():
        try:
            with slots.slot(0):
                int("no")
        except ValueError as error:
            failures.append(error)

    in_threads(fail, 5)
    assert len(failures) == 5


def test_closing_turns_away_who_waits_and_leaves_holders_alone():
    slots = Slots(1)
    waiting = threading.Barrier(4, timeout=20)
    ends = []

    def wait_for_one():
        waiting.wait()
        try:
            with slots.slot(0):
                ends.append("got in")
        except Stopped:
            ends.append("turned away")

    def close():
        waiting.wait()
        slots.close()

    roles = iter([wait_for_one, wait_for_one, wait_for_one, close])
    with slots.slot(0):
        in_threads(lambda: next(roles)(), 4)
    assert ends == ["turned away"] * 3
    with pytest.raises(Stopped), slots.slot(0):
        pytest.fail("got in")
