"""A file that always holds one whole JSON object, whatever its disk does meanwhile."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from glacier_mpu.cli.options import UsageError
from glacier_mpu.errors import quoted
from glacier_mpu.source.body import reason

# On Windows a file cannot be replaced while somebody reads it, which takes a monitor a moment.
_FAILURES_UNTOLD = 2
_TRIES_AT_THE_END = 4
_SECONDS_BETWEEN_TRIES = 0.2


def replace_file(path: str, data: bytes) -> None:
    """Replace the file as a whole: a reader finds what was there or what is now. Raises OSError.

    It is not synced: after a power cut nobody needs it, and syncing slows all that the disk does.
    """
    temporary = _temporary(path)
    with suppress(FileNotFoundError):  # a killed run left it; it may be a link, and is not followed
        os.unlink(temporary)
    try:
        _create(temporary, data)
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise


class StatusFile:
    """Replaces a file by one JSON object after the other, in a thread of its own.

    The first is written at once. Raises UsageError if that cannot be done, or if the path names
    anything but a regular file, or one of `others`, each of which has a name for people. A link is
    followed. `put`, `trouble` and `end` belong to one thread.
    """

    def __init__(
        self,
        path: str,
        first: Mapping[str, object],
        *,
        others: Mapping[str, str],
        replace: Callable[[str, bytes], None] = replace_file,
        seconds_between_tries: float = _SECONDS_BETWEEN_TRIES,
    ) -> None:
        self._path = os.path.realpath(path)
        self._replace = replace
        self._seconds_between_tries = seconds_between_tries
        self._newest = _as_line(first)
        self._due = threading.Event()
        self._is_over = False
        self._failures = 0
        self._trouble = ""
        why_not = _why_not(self._path, others)
        try:
            if not why_not:
                self._replace(self._path, self._newest)
        except OSError as error:
            why_not = reason(error)
        if why_not:
            raise UsageError(
                f"cannot write the status to {quoted(path)}: {why_not}",
                next_step="give --status-file a file of its own that can be written to",
            )
        self._thread = threading.Thread(target=self._work, daemon=True, name="status file")
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why the file could not be written several times running; empty where it could."""
        return self._trouble

    def put(self, record: Mapping[str, object]) -> None:
        """Have this written soon, in place of what has not been written yet. Returns at once."""
        self._newest = _as_line(record)
        self._due.set()

    def end(self, last: Mapping[str, object], *, seconds: float) -> str:
        """Write the last object, and wait for that for so many seconds at most.

        Return why it was not written; empty where it was.
        """
        self._newest = _as_line(last)
        self._is_over = True  # after the line above, so that the thread takes none before the last
        self._due.set()
        self._thread.join(seconds)
        return "its disk does not answer" if self._thread.is_alive() else self._trouble

    def _work(self) -> None:
        is_over = False
        while not is_over:
            self._due.wait()
            self._due.clear()
            is_over = self._is_over
            self._write(self._newest)
        for _ in range(_TRIES_AT_THE_END):
            if not self._failures:
                return
            self._due.wait(self._seconds_between_tries)
            self._write(self._newest)

    def _write(self, line: bytes) -> None:
        try:
            self._replace(self._path, line)
        except OSError as error:
            self._failures += 1
            if self._failures > _FAILURES_UNTOLD:
                self._trouble = reason(error)
        else:
            self._failures, self._trouble = 0, ""


def _why_not(path: str, others: Mapping[str, str]) -> str:
    """Return why the file must not be replaced; empty where it may be."""
    for what, other in others.items():
        if _is_same(path, other):
            return f"it is {what}"
        if _is_same(_temporary(path), other):
            return f"it would replace {quoted(_temporary(path))}, which is {what}"
    if os.path.isdir(path):
        return "it is a folder"
    if os.path.exists(path) and not os.path.isfile(path):
        return "it is not a regular file, and would be replaced by one"
    return ""


def _is_same(path: str, other: str) -> bool:
    """Tell whether both name one file, which need not exist yet."""
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _temporary(path: str) -> str:
    """Return the one name beside the file that a killed run may leave behind."""
    return f"{path}.glacier-mpu.tmp"


def _create(path: str, data: bytes) -> None:
    """Write a new file, which everybody may read whom the umask lets."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    file = os.open(path, flags, 0o666)
    try:
        if os.write(file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def _as_line(record: Mapping[str, object]) -> bytes:
    return json.dumps(record).encode() + b"\n"
