"""Whether standard input can be read, or handed on to a command."""

from __future__ import annotations

import os
import sys

# Of a process that was begun without one, 0 may be any file that has been opened since.
DESCRIPTOR = None if sys.__stdin__ is None else 0


def why_not_read(descriptor: int | None = DESCRIPTOR) -> str:
    """Say why nothing can be read from it, as what follows "standard input"; empty if it can be.

    A terminal counts as such: what is typed is no backup, and a command that asks for a password
    there would wait for ever. Nothing is taken from the descriptor.
    """
    if descriptor is None:
        return "is closed"
    try:
        if os.isatty(descriptor):
            return "is a terminal"
        os.read(descriptor, 0)  # fails where nohup has opened it for writing only
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""
