"""What a command writes to stderr, line by line, as it can be shown."""

from __future__ import annotations

import locale
import re
from collections.abc import Iterator
from io import FileIO

LONGEST_LINE = 1000
_MOST_BYTES = 4 * LONGEST_LINE  # a character has up to four
_CHUNK = 64 * 1024
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def lines(file: FileIO) -> Iterator[str]:
    """Yield each line that is not empty, as soon as it has ended, until the file ends.

    Of a line that is written over again and again, as a progress bar is, only what it is at last;
    no more than LONGEST_LINE characters, and nothing that would move a terminal's cursor. Constant
    memory, also for a line without an end.
    """
    pending = b""
    while chunk := file.read(_CHUNK):
        *ended, pending = (pending + chunk).split(b"\n")
        pending = _kept(pending)
        yield from filter(None, map(_shown, ended))
    if text := _shown(pending):
        yield text


def _kept(line: bytes) -> bytes:
    """Return what may be shown of a line that has not ended: CR at its end may be part of CR LF."""
    last = _last_writing(line)[:_MOST_BYTES]
    return last + b"\r" if line.endswith(b"\r") else last


def _last_writing(line: bytes) -> bytes:
    return line.rstrip(b"\r").rpartition(b"\r")[2]


def _shown(line: bytes) -> str:
    encoding = locale.getpreferredencoding(do_setlocale=False)
    text = _last_writing(line)[:_MOST_BYTES].decode(encoding, errors="replace")
    text = _COLOURS.sub("", text).replace("\t", " ")
    return "".join(filter(str.isprintable, text)).strip()[:LONGEST_LINE]
