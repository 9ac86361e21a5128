"""Commands whose output is uploaded, and that tests can follow, halt and kill."""

from __future__ import annotations

import os
import select
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.scripts import ROOT, VAULT

_LONGEST_WAIT_SECONDS = 30


class Life:
    """A named pipe that a command and all that it begins hold open for as long as any of it runs.

    `script` is a line for sh in which "$1" and so on are the arguments; `pid` is that of sh, or of
    what it executes in its place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        os.mkfifo(path)
        self._reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._reading)

    def words(self, script: str, *arguments: object) -> list[str]:
        """Return the command."""
        held = f"exec 9>{shlex.quote(str(self._path))}; echo $$ >&9; {script}"
        return ["sh", "-c", held, "sh", *map(str, arguments)]

    def pid(self) -> int:
        """Return the process number of the command that was begun last. To be asked once for it."""
        return int(self.said())

    def said(self) -> str:
        """Return what it has written to descriptor 9 since this was last asked."""
        return self._read().decode().strip()

    def await_end(self) -> None:
        """Wait until none of it runs any more."""
        while self._read():
            pass

    def _read(self) -> bytes:
        ready, _, _ = select.select([self._reading], [], [], _LONGEST_WAIT_SECONDS)
        assert ready, "the command still runs, and says nothing"
        return os.read(self._reading, 1000)


def kill(pid: int) -> None:
    """Kill a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def streaming(server: RehearsalServer, *words: object, script: str = "GlacierMPUP.py") -> list[str]:
    """Return the command that runs a script; the stream is named among the words."""
    ours = [sys.executable, ROOT / script, "--vault", VAULT]
    return list(map(str, [*ours, "--endpoint-url", server.endpoint_url, *words]))
