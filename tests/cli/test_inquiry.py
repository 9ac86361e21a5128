"""A signal that asks how far the run is: noted at once, answered later, and never the end of it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from glacier_mpu.cli.inquiry import Inquiry
from tests.support.scripts import program_ended

if sys.platform == "win32":
    pytest.skip("POSIX signals", allow_module_level=True)


@pytest.fixture
def inquiry() -> Iterator[Inquiry]:
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    inquiry = Inquiry()
    inquiry.listen()
    yield inquiry
    signal.signal(signal.SIGUSR1, before)


def test_signals_are_taken_once_however_many_came(inquiry: Inquiry) -> None:
    assert not inquiry.take()
    signal.raise_signal(signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)
    assert inquiry.take()
    assert not inquiry.take()


def test_a_signal_after_the_end_is_ignored(inquiry: Inquiry) -> None:
    inquiry.ignore()
    signal.raise_signal(signal.SIGUSR1)
    assert not inquiry.take()


def test_a_signal_that_the_caller_ignored_stays_ignored() -> None:
    done = program_ended(
        "import signal; from glacier_mpu.cli.inquiry import Inquiry\n"
        "inquiry = Inquiry(); inquiry.listen(); signal.raise_signal(signal.SIGUSR1)\n"
        "print(inquiry.take())\n"
        "inquiry.ignore()\n"
        "print(signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN)",
        ignoring=signal.SIGUSR1,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["False", "True"])


# What is left of the process when the signal comes is what Python does after the last handler.
AT_THE_VERY_END = """
import os, signal, sys
import glacier_mpu.cli.main
from glacier_mpu.cli.start import run_script

class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGUSR1, write=os.write):
        kill(pid, number)
        write(1, b"still here")

sys.last_of_all = Last()
glacier_mpu.cli.main.main = lambda *_, **__: 3
run_script(lambda: None)
"""


def test_a_signal_while_python_ends_does_not_change_the_exit_code() -> None:
    done = program_ended(AT_THE_VERY_END)
    assert (done.returncode, done.stdout, done.stderr) == (3, "still here", "")


@pytest.mark.parametrize("script", ["GlacierMPU", "GlacierMPUP"])
def test_a_script_loads_next_to_nothing_before_it_hears_signals(script: str) -> None:
    done = program_ended(f"import sys, {script}; print(*sys.modules)")
    mine = [name for name in done.stdout.split() if name.startswith("glacier_mpu.")]
    assert mine == ["glacier_mpu.cli", "glacier_mpu.cli.inquiry", "glacier_mpu.cli.start"]
    assert "argparse" not in done.stdout.split()
