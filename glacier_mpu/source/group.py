"""A process and all that it began, as one group that is ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

_LOOK_SECONDS = 0.05

# What makes a group of the process, as arguments of Popen.
ARGUMENTS: Mapping[str, bool | int]
if sys.platform == "win32":
    ARGUMENTS = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    # A session, and not only a group: one of the terminal's that is in the background is stopped
    # for ever when it asks for a password, where a session without a terminal is refused at once.
    ARGUMENTS = {"start_new_session": True}


class Group:
    """The group of a process that was begun with ARGUMENTS. Raises nothing.

    On Windows what the process began is known only as long as the process itself lives.
    """

    def __init__(self, leader: subprocess.Popen[bytes]) -> None:
        self._leader = leader
        self._gone = False

    def lives(self) -> bool:
        """Tell whether any of the group still runs.

        Once none does this stays so: the number may become that of others.
        """
        self._gone = self._gone or not self._has_members()
        return not self._gone

    def ends_within(self, seconds: float) -> bool:
        """Wait so long for the end of them all, and tell whether it came."""
        deadline = time.monotonic() + seconds
        while self.lives():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def ask_to_end(self) -> None:
        """Ask them all to end, those that are halted included."""
        if sys.platform == "win32":
            import ctypes

            # Not by os.kill: without a console that ends the leader, and what it began is lost.
            kernel = ctypes.WinDLL("kernel32")
            kernel.GenerateConsoleCtrlEvent(signal.CTRL_BREAK_EVENT, self._leader.pid)
        else:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End them all at once."""
        if sys.platform == "win32":
            with suppress(OSError):
                subprocess.run(  # noqa: S603 - fixed words and a number
                    ["taskkill", "/T", "/F", "/PID", str(self._leader.pid)],  # noqa: S607
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                )
                self._leader.kill()
        else:
            self._signal(signal.SIGKILL)

    def _has_members(self) -> bool:
        if self._leader.poll() is None:
            return True
        if sys.platform == "win32":
            return False
        return self._signal(0) and _any_runs(self._leader.pid)

    if sys.platform != "win32":

        def _signal(self, number: int) -> bool:
            """Send the signal, 0 for none, and tell whether there is anybody to receive it."""
            try:
                os.killpg(self._leader.pid, number)
            except ProcessLookupError:
                return False
            except PermissionError:  # of another user, as what sudo runs
                return True
            return True


def _any_runs(group: int, proc: str = "/proc") -> bool:
    """Tell whether any process of the group is more than a zombie.

    Those stay for as long as nobody collects them: in a container, till its end. Where the system
    does not tell, one runs.
    Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    if sys.platform != "linux":
        return True
    try:
        numbers = [name for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return True
    return any(_is_running_member(f"{proc}/{number}/stat", group) for number in numbers)


def _is_running_member(stat_path: str, group: int) -> bool:
    try:
        with open(stat_path, "rb") as file:
            state, _parent, its_group = file.read().rpartition(b")")[2].split()[:3]
    except OSError:  # it has ended meanwhile
        return False
    return int(its_group) == group and state not in (b"Z", b"X")
