"""Locks on files between processes of one machine; they end with the file's handle."""

from __future__ import annotations

import sys
from io import FileIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def lock(file: FileIO | int) -> bool:
    """Try to lock the file and tell whether others have to keep out now.

    True, too, where there are no locks to be had, as on some network drives and, for a file that is
    only read, on Windows: then there is nothing to wait for.
    """
    descriptor = file if isinstance(file, int) else file.fileno()
    try:
        if sys.platform == "win32":
            if isinstance(file, int):
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
