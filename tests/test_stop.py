"""A Stop: asked once, heard by its children, cutting waits short."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from glacier_mpu.stop import Stop, Stopped


def test_nothing_happens_before_it_is_asked() -> None:
    stop = Stop()
    stop.check()
    stop.wait(0)
    assert not stop.asked


def test_once_asked_it_is_raised_at_every_check() -> None:
    stop = Stop()
    stop.ask()
    stop.ask()
    for _ in range(2):
        with pytest.raises(Stopped):
            stop.check()


def test_a_child_hears_its_parent_and_not_the_other_way_round() -> None:
    parent = Stop()
    first, second = parent.child(), parent.child()
    grandchild = first.child()
    second.ask()
    assert (parent.asked, first.asked, second.asked) == (False, False, True)
    parent.ask()
    assert first.asked
    assert grandchild.asked


def test_a_child_of_one_that_was_asked_is_asked() -> None:
    parent = Stop()
    parent.ask()
    assert parent.child().asked


def test_a_wait_in_another_thread_is_cut_short_also_by_a_parent() -> None:
    parent = Stop()
    child = parent.child()
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(Stopped):
            child.wait(60)
        ended.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    parent.ask()
    assert ended.wait(20)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX only")
def test_a_signal_handler_may_ask_while_the_main_thread_asks_a_child() -> None:
    """The handler interrupts `ask` anywhere, also where it holds a lock that `ask` needs."""
    until = time.monotonic() + 0.3
    parents: list[Stop] = []
    before = signal.signal(signal.SIGALRM, lambda *_: parents[-1].ask())
    try:
        while time.monotonic() < until:
            parents.append(Stop())
            children = [parents[-1].child() for _ in range(20)]
            signal.setitimer(signal.ITIMER_REAL, 2e-5)
            for child in children:
                child.ask()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert all(child.asked for child in children)


def test_stopped_is_no_exception_so_that_botocore_does_not_wrap_it() -> None:
    assert not issubclass(Stopped, Exception)
