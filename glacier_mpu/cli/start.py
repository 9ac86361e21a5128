"""The process of a script, from its first moment to its last.

The rooms of the run itself are imported once its signals are heard: on a slow machine it takes a
second to load them.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from glacier_mpu.cli.inquiry import Inquiry

if TYPE_CHECKING:
    from glacier_mpu.cli.parser import Parser

_WIND_UP_SECONDS = 1.0


def run_script(build_parser: Callable[[], Parser]) -> None:
    """Run the script of this parser, as Python began it, and end the process with its exit code."""
    _run(build_parser, command=(sys.executable, sys.argv[0]))


def run_command(build_parser: Callable[[], Parser]) -> None:
    """Run the same as an installed command, which needs no Python in front of its name."""
    _run(build_parser, command=(sys.argv[0],))


def _run(build_parser: Callable[[], Parser], *, command: Sequence[str]) -> NoReturn:
    inquiry = Inquiry()
    inquiry.listen()
    # Before and after the upload, Ctrl-C ends the process at once and without a traceback; where
    # the caller has it ignored, as a shell does for a job in the background, it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from glacier_mpu.cli.console import use_utf8_in_files
    from glacier_mpu.cli.main import main

    for stream in (sys.stdout, sys.stderr):
        use_utf8_in_files(stream)
    code = main(build_parser(), sys.argv[1:], command=command, inquiry=inquiry)
    inquiry.ignore()
    # A worker may hang in a socket of a dead line for minutes, and Python waits for its threads.
    deadline = time.monotonic() + _WIND_UP_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                os._exit(code)
    gc.freeze()  # the process ends here, and a last collection would take a tenth of a second
    sys.exit(code)
