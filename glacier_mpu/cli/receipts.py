"""Receipts: one JSON line for each completed archive, with all that is needed to find it later."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from glacier_mpu.cli.options import UsageError
from glacier_mpu.errors import quoted
from glacier_mpu.source.filelock import lock

_LOCK_TRIES = 50
_SECONDS_BETWEEN_TRIES = 0.1


class Receipts:
    """A file of receipts, appended to. Raises UsageError at once if that cannot be done.

    source_path  what is uploaded, to which nothing is appended; None where it has no path
    """

    def __init__(self, path: str, *, source_path: str | None) -> None:
        self.path = path
        try:
            with self._opened() as file:
                itself = source_path is not None and os.path.samestat(
                    os.fstat(file), os.stat(source_path)
                )
        except OSError as error:
            raise UsageError(
                f"cannot write receipts to {quoted(path)}: {error.strerror}",
                next_step="give --receipts a file that can be written to",
            ) from error
        if itself:
            raise UsageError(
                f"cannot write receipts to {quoted(path)}: it is the file to be uploaded",
                next_step="give --receipts another file",
            )

    def append(self, receipt: Mapping[str, object]) -> None:
        """Append one line, durable when this returns; other processes may append at the same time.

        Raises OSError.
        """
        line = json.dumps(receipt).encode() + b"\n"
        with self._opened() as file:
            # A pipe, a terminal or /dev/null has no places to seek, and cannot be synced.
            is_regular = stat.S_ISREG(os.fstat(file).st_mode)
            if is_regular:
                _wait_for_lock(file)
                if _ends_in_mid_line(file):
                    line = b"\n" + line
            while line:
                line = line[os.write(file, line) :]
            if is_regular:
                os.fsync(file)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        file = os.open(self.path, flags, 0o644)
        try:
            yield file
        finally:
            os.close(file)


def _wait_for_lock(file: int) -> None:
    """Keep other processes out until the file is closed.

    In vain where the caller holds the lock itself: then the line is appended all the same.
    """
    for _ in range(_LOCK_TRIES):
        os.lseek(file, 0, os.SEEK_SET)  # Windows locks the bytes from here on
        if lock(file):
            return
        time.sleep(_SECONDS_BETWEEN_TRIES)


def _ends_in_mid_line(file: int) -> bool:
    """Tell whether a full disk cut the last receipt short."""
    if os.fstat(file).st_size == 0:
        return False
    os.lseek(file, -1, os.SEEK_END)
    return os.read(file, 1) != b"\n"
