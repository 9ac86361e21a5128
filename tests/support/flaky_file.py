"""A file on a disk or a network drive that fails now and then."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import Any


class Flaky:
    """Replaces the source's `open`: once a number of reads went well, some fail."""

    def __init__(self, *, code: int, after: int, times: int) -> None:
        self._code = code
        self._after = after
        self._times = times
        self._lock = threading.Lock()
        self.failures = 0

    def __call__(self, path: str, mode: str, buffering: int = -1) -> Any:
        return _FlakyFile(open(path, mode, buffering=buffering), self.check)

    def check(self) -> None:
        with self._lock:
            self._after -= 1
            if self._after >= 0 or self.failures >= self._times:
                return
            self.failures += 1
        raise OSError(self._code, os.strerror(self._code))


class _FlakyFile:
    def __init__(self, file: Any, check: Callable[[], None]) -> None:
        self._file = file
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _FlakyFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def readinto(self, buffer: memoryview) -> int:
        self._check()
        return int(self._file.readinto(buffer))

    def read(self, size: int) -> bytes:
        self._check()
        return bytes(self._file.read(size))


class BadSpot:
    """Replaces the source's `open`: these bytes of every file cannot be read."""

    def __init__(self, spot: range) -> None:
        self._spot = spot

    def __call__(self, path: str, mode: str, buffering: int = -1) -> Any:
        file = open(path, mode, buffering=buffering)  # noqa: SIM115 - the reader closes it

        def check() -> None:
            if file.tell() in self._spot:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        return _FlakyFile(file, check)
