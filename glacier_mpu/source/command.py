"""A command whose output is uploaded, and the process that it becomes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from shutil import which
from typing import Any, cast

from glacier_mpu.errors import CommandFailed, CommandUnusable, quoted
from glacier_mpu.source import stderr, stdin
from glacier_mpu.source.body import reason
from glacier_mpu.source.group import ARGUMENTS, Group
from glacier_mpu.source.shell import Shell, find_shell
from glacier_mpu.stop import Stop

PIPE_SIZE = 1024 * 1024  # the most that Linux gives to any user
LINES_KEPT = 10
_LOOK_SECONDS = 0.1  # between two looks whether it has ended
_KILLED_SECONDS = 5.0  # a process whose disk hangs does not end even then
_LAST_LINES_SECONDS = 1.0  # others that the command began may keep its stderr open

_SIGNALLED = 128

_PIPELINE = re.compile(r"(?<!\|)\|(?!\|)")  # no ||, which means "or else"


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments; `in_shell`, one word, which is a line for the shell."""

    words: tuple[str, ...]
    in_shell: bool = False

    @property
    def name(self) -> str:
        """What messages call it: the whole line."""
        return self.words[0] if self.in_shell else shlex.join(self.words)

    @property
    def program(self) -> str:
        """What stands before its lines on stderr: in a shell, any of several may have written."""
        return "command" if self.in_shell else os.path.basename(self.words[0])

    def hides_failures(self, shell: Callable[[], Shell] = find_shell) -> bool:
        """Tell whether a program of the line's pipeline can fail without anybody learning of it.

        A `|` in quotes counts as well: only the shell could tell.
        """
        if not self.in_shell or not _PIPELINE.search(self.words[0]):
            return False
        return not shell().sees_pipeline


class Producer:
    """A running command. Raises CommandUnusable if it cannot be started.

    `stdout` is what it writes, to be read by one thread. `hear` is told each line that it writes to
    stderr, in a thread of its own, until it is closed. It runs in a session of its own: Ctrl-C at
    the terminal does not reach it, and a program that would ask for a password there fails at once.
    """

    def __init__(
        self,
        command: Command,
        *,
        hear: Callable[[str], None],
        standard_input: int | None = stdin.DESCRIPTOR,
    ) -> None:
        self._in_shell = command.in_shell
        self._hear = hear
        self._closed = False
        self._said: deque[str] = deque(maxlen=LINES_KEPT)
        self._process = _started(command, standard_input)
        self._group = Group(self._process)
        self.stdout = cast("FileIO", self._process.stdout)
        enlarge_pipe(self.stdout.fileno())
        self._listener = threading.Thread(target=self._listen, name="stderr", daemon=True)
        self._listener.start()

    def wait(self, *, stop: Stop) -> None:
        """Wait for its end; it does not come as long as nobody reads what it writes.

        Raises CommandFailed if it ended otherwise than well, and Stopped.
        """
        while self._process.poll() is None:
            stop.check()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_LOOK_SECONDS)
        stop.check()
        self.check()

    def check(self) -> None:
        """Raise CommandFailed if it has ended otherwise than well.

        Others that it began may hold its output open then, and give no end for as long as they run.
        """
        status = self._process.poll()
        if status is not None:
            self._group.lives()  # while its number cannot be another's yet
        if status:
            self._listener.join(_LAST_LINES_SECONDS)
            how = _how_it_ended(status, in_shell=self._in_shell)
            raise CommandFailed(how, said=tuple(self._said))

    def close(self, *, grace_seconds: float = 10.0) -> None:
        """End it, likewise, and close `stdout`, which nobody may be reading any more."""
        self.end(grace_seconds=grace_seconds)
        self.stdout.close()

    def end(self, *, grace_seconds: float = 10.0) -> None:
        """End it, and all that it began, if any of it still runs; safe to repeat.

        It is asked to end, and killed after `grace_seconds`. Whoever reads `stdout` comes to its
        end by this.
        """
        self._closed = True
        if self._group.lives():
            self._group.ask_to_end()
            if not self._group.ends_within(grace_seconds):
                self._group.kill()
                self._group.ends_within(_KILLED_SECONDS)
        self._listener.join(_LAST_LINES_SECONDS)

    def _listen(self) -> None:
        with cast("FileIO", self._process.stderr) as file:
            for line in stderr.lines(file):
                self._said.append(line)
                if not self._closed:
                    self._hear(line)


def _started(command: Command, standard_input: int | None) -> subprocess.Popen[bytes]:
    """Start the command's process, whose standard input is ours where there is anything to read."""
    _hear_of_children()
    words = find_shell().invocation(command.words[0]) if command.in_shell else list(command.words)
    arguments: dict[str, Any] = dict(ARGUMENTS)
    try:
        return subprocess.Popen(  # noqa: S603 - it is what the user asks for
            words,
            stdin=subprocess.DEVNULL if stdin.why_not_read(standard_input) else standard_input,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            **arguments,
        )
    except FileNotFoundError as error:
        program = words if isinstance(words, str) else words[0]
        missing = "its interpreter is missing" if which(program) else "there is no such program"
        raise CommandUnusable(f"cannot run {quoted(program)}: {missing}") from error
    except (OSError, ValueError) as error:
        raise CommandUnusable(f"cannot run {quoted(command.name)}: {reason(error)}") from error


def _hear_of_children() -> None:
    """Have the system tell how children end, also where the caller has had SIGCHLD ignored.

    It would throw the exit status away, and Popen would take that for 0.
    """
    if sys.platform == "win32" or signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN:
        return
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    except ValueError as error:  # only the main thread may
        raise CommandUnusable(
            "SIGCHLD is ignored, so that nobody would learn how the command ends"
        ) from error


def _how_it_ended(status: int, *, in_shell: bool) -> str:
    if status < 0:
        return f"the command was killed by signal {_signal_text(-status)}"
    said = f"the command ended with exit status {status}"
    # A shell says so of a program that a signal has killed.
    if in_shell and status > _SIGNALLED and (name := _signal_name(status - _SIGNALLED)):
        return f"{said} ({_SIGNALLED} + {status - _SIGNALLED}: {name})"
    return said


def _signal_text(number: int) -> str:
    name = _signal_name(number)
    return f"{number} ({name})" if name else str(number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def enlarge_pipe(descriptor: int) -> None:
    """Let the pipe hold more, so that writer and reader wait for each other less often.

    Only Linux can; what is no pipe, and a refusal, is left as it is.
    """
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
