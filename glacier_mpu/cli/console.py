"""The streams that a person or a log reads, which may go away at any time."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from io import TextIOWrapper
from typing import TextIO

_USUAL_COLUMNS = 80


class Console:
    """Lines on a stream that may go away: a closed pipe or a full disk must not end an upload."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Write, or forget the stream once it does not take the text."""
        self.take(text)
        return len(text)

    def take(self, text: str) -> bool:
        """Write, likewise, and tell whether the stream took the text."""
        with self._lock:
            if self._stream is None:
                return False
            try:
                _write(self._stream, text)
            except (OSError, ValueError):
                _abandon(self._stream)
                self._stream = None
                return False
            return True

    def flush(self) -> None:
        """Do nothing: every write is flushed."""

    def line(self, text: str) -> None:
        """Write a line of its own."""
        self.write(text + "\n")

    def isatty(self) -> bool:
        """Tell whether a person watches."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    @property
    def encoding(self) -> str:
        """Return the stream's encoding, by which tqdm chooses what its bar is drawn with."""
        return getattr(self._stream, "encoding", None) or "ascii"

    def columns(self) -> int:
        """Return how wide the terminal is now; 80 where that is not known."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns if self._stream else 0
        except (OSError, ValueError):
            columns = 0
        return columns or _USUAL_COLUMNS


def use_utf8_in_files(stream: TextIO | None, *, windows: bool = os.name == "nt") -> None:
    """On Windows, let a stream that goes to a file or a pipe take every name.

    Python would write it in the ANSI code page, which has the letters of a few languages only, and
    the next command would name no file. PYTHONIOENCODING, where it is set, stays in force.
    """
    if not windows or "PYTHONIOENCODING" in os.environ:
        return
    if isinstance(stream, TextIOWrapper) and not stream.isatty():
        stream.reconfigure(encoding="utf-8", errors=stream.errors)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _abandon(stream: TextIO) -> None:
    """Let the stream end nowhere: Python flushes it at exit, where a failure is exit code 120."""
    with suppress(OSError, ValueError):
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
