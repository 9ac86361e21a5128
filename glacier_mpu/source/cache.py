"""This user's cache folder, whose files may be deleted at any time. The room for platformdirs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from platformdirs import user_cache_dir


def cache_folder() -> str | None:
    """Return the folder, which need not be there yet; None for a user who has no home."""
    try:
        folder = user_cache_dir("glacier_mpu", appauthor=False)
    except (LookupError, OSError, RuntimeError, ValueError):  # each system has its own
        return None
    return folder if os.path.isabs(folder) else None  # old versions return one that begins with ~


def usual_ledger() -> str | None:
    """Return the folder of this user's ledger, if there is a place for one."""
    folder = cache_folder()
    return None if folder is None else os.path.join(folder, "ledger")


@contextmanager
def lock_file(path: str) -> Iterator[int | None]:
    """Yield a descriptor to be locked in place of the file at `path`; None where there is no room.

    The file itself is left alone: on CIFS a lock keeps all others from reading it, this process
    and other machines included. The small file in its place is this user's own, as two users could
    not open the same one, and stays: removing it would let two runs lock two files of one name.
    """
    descriptor = _opened(path)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _opened(path: str) -> int | None:
    # In a temporary folder that all users share, another's link must not be followed.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with suppress(OSError):
        status = os.stat(path)
        for place in _places(f"{status.st_dev}-{status.st_ino}.lock"):
            with suppress(OSError):
                os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
                return os.open(place, flags, 0o600)
    return None


def _places(name: str) -> Iterator[str]:
    """Yield where a lock file may lie, best first."""
    folder = cache_folder()
    if folder is not None:
        yield os.path.join(folder, "locks", name)
    user = os.getuid() if hasattr(os, "getuid") else "user"
    yield os.path.join(tempfile.gettempdir(), f"glacier_mpu-{user}-{name}")
