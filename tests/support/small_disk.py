"""A small file system in memory for the spool of a script, which another program may fill."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

_MOUNTS = 'mount -t tmpfs -o "size=$1" none "$2" && shift 2 && exec "$@"'
_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


def _can_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    words = [*_UNSHARE, "sh", "-c", _MOUNTS, "sh", "1m", str(folder), "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


class SmallDisk:
    """Mounted for one process, in a name space of its own, so that any user may do it.

    `folder` is where it lies for that process; there it is gone when the process ends.
    """

    def __init__(self, folder: Path, *, size: int) -> None:
        folder.mkdir()
        if not _can_mount(folder):
            pytest.skip("no file system can be mounted here")
        self.folder = folder
        self._size = size

    def under(self, words: Sequence[str]) -> list[str]:
        """Return the command that runs with it."""
        return [*_UNSHARE, "sh", "-c", _MOUNTS, "sh", str(self._size), str(self.folder), *words]

    def fill(self, pid: int) -> None:
        """Take all the room that is left on the disk of the process."""
        with suppress(OSError), self._other_file(pid).open("ab", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))

    def clear(self, pid: int) -> None:
        """Give the room back."""
        self._other_file(pid).unlink()

    def names(self, pid: int) -> list[str]:
        """Return the names of all files there."""
        return os.listdir(self._other_file(pid).parent)

    def _other_file(self, pid: int) -> Path:
        return Path(f"/proc/{pid}/root{self.folder}/of-another-program")
