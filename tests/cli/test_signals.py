"""Signals: the first asks to stop, a second ends the process unless it is a hang-up."""

from __future__ import annotations

import os
import signal

import pytest

from glacier_mpu.cli.signals import Interruption
from tests.support.scripts import program_ended

needs_posix = pytest.mark.skipif(os.name == "nt", reason="ends by no signal on Windows")
# Windows' SIGBREAK is Ctrl-Break, or the console window that is closed.
NAMES = ("SIGINT", "SIGTERM", "SIGBREAK" if os.name == "nt" else "SIGHUP")
each_signal = pytest.mark.parametrize("name", NAMES)


@each_signal
def test_the_first_signal_asks_the_stop_and_is_remembered(name: str) -> None:
    number = getattr(signal, name)
    with Interruption() as interruption:
        assert (interruption.stop.asked, interruption.signal) == (False, 0)
        signal.raise_signal(number)
        assert (interruption.stop.asked, interruption.signal) == (True, number)


@pytest.mark.parametrize("interrupted", [False, True])
def test_afterwards_every_handler_is_the_one_from_before(*, interrupted: bool) -> None:
    before = [signal.getsignal(getattr(signal, name)) for name in NAMES]
    with Interruption():
        assert [signal.getsignal(getattr(signal, name)) for name in NAMES] != before
        if interrupted:
            signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(getattr(signal, name)) for name in NAMES] == before


def test_handlers_are_restored_when_the_run_raises() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="no"), Interruption():
        raise ValueError("no")
    assert signal.getsignal(signal.SIGTERM) is before


@each_signal
def test_a_signal_that_was_ignored_stays_ignored(name: str) -> None:
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(number)
            assert interruption.signal == 0
            other = signal.SIGTERM if number != signal.SIGTERM else signal.SIGINT
            signal.raise_signal(other)
            assert interruption.signal == other
            signal.raise_signal(number)  # still ignored: the second one of the others ends it
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


TWICE = """
import signal
from glacier_mpu.cli.signals import Interruption
with Interruption() as interruption:
    signal.raise_signal(signal.{first})
    print(interruption.signal, flush=True)
    signal.raise_signal(signal.{second})
    print("still here", flush=True)
"""


@needs_posix
@pytest.mark.parametrize("second", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("first", NAMES)
def test_the_second_signal_ends_the_process_without_a_word(first: str, second: str) -> None:
    done = program_ended(TWICE.format(first=first, second=second))
    assert done.returncode == -getattr(signal, second)
    assert done.stdout.split() == [str(int(getattr(signal, first)))]
    assert done.stderr == ""


@needs_posix
@pytest.mark.parametrize("first", NAMES)
def test_a_hang_up_after_the_first_signal_ends_nothing(first: str) -> None:
    """A terminal that is closed sends two: the shell passes one on, and the system sends one."""
    done = program_ended(TWICE.format(first=first, second="SIGHUP"))
    assert done.stdout.split() == [str(int(getattr(signal, first))), "still", "here"]
    assert (done.returncode, done.stderr) == (0, "")


@needs_posix
def test_nohup_is_inherited() -> None:
    program = TWICE.format(first="SIGHUP", second="SIGHUP")
    done = program_ended(program, ignoring=signal.SIGHUP)
    assert (done.returncode, done.stdout.split()) == (0, ["0", "still", "here"])
