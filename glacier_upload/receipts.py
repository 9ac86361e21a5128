"""Receipts: one JSON line for each completed archive, for whoever looks for it in years."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from glacier_upload.errors import BadInput

try:
    import fcntl
except ImportError:  # Windows has none; an append of one line is whole there, too
    fcntl = None  # type: ignore[assignment]


class Receipts:
    """A file of receipts, appended to. Raises BadInput at once if that cannot be done."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with self._opened():
                pass
        except OSError as error:
            raise BadInput(
                f"no receipt can be written to {path!r}: {error.strerror}",
                next_step="name a file for --receipts that can be written to",
            ) from error

    def append(self, receipt: Mapping[str, object]) -> None:
        """Append one line, durable when this returns; other processes may append at the same time.

        Raises OSError.
        """
        line = json.dumps(receipt).encode() + b"\n"
        with self._opened() as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            if _ends_in_mid_line(file):
                line = b"\n" + line
            while line:
                line = line[os.write(file, line) :]
            os.fsync(file)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        file = os.open(self.path, flags, 0o644)
        try:
            yield file
        finally:
            os.close(file)


def _ends_in_mid_line(file: int) -> bool:
    """Tell whether a full disk cut the last receipt short."""
    if os.fstat(file).st_size == 0:
        return False
    os.lseek(file, -1, os.SEEK_END)
    return os.read(file, 1) != b"\n"
