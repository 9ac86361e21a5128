"""Locks on files between processes of one machine; they end with the file's descriptor."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def lock(descriptor: int) -> bool:
    """Try to lock the file and tell whether others have to keep out now.

    True, too, where there are no locks to be had, as on some network drives: then there is nothing
    to wait for. On Windows the file must be open for writing, and its first byte is locked.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        return error.errno != 0  # wine has no number for a lock that somebody else holds
    return True
