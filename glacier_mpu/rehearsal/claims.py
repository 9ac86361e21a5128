"""Who may write where: bodies on their way to disk, and claims to regions of a shared file.

A claim is a row (upload, first byte) with the mark of one landing and the token of the process
that made it. It lasts while that landing writes. What a process that died has left behind is
recognised by its lock, which the system gives back however the process ends.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glacier_mpu.rehearsal.disk import Database, disk_trouble, old_files, remove
from glacier_mpu.rehearsal.wire import unavailable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_WRITE_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)


class Landing:
    """Where one body goes until it is verified: a file of its own, or a region of a shared one.

    mark: this landing's name, never used again. direct: it writes into the shared file of an
    upload, which is safe only while it holds the claim to that region. firm: what it writes
    was verified before, and its claim is not taken away.
    """

    def __init__(self, path: Path, mark: str) -> None:
        self.path = path
        self.mark = mark
        self.direct = False
        self.kept = False
        self.firm = False
        self._offset = 0
        self._fd = -1
        self._ended = False
        self._lock = threading.Lock()

    def redirect(self, path: Path, offset: int) -> None:
        """Write to a region of `path` instead; before the first write, and with the claim."""
        self.path, self._offset, self.direct = path, offset, True

    def write(self, chunk: memoryview | bytes) -> None:
        """Append to what this landing wrote so far. Raises Refusal (500) when it cannot."""
        with self._lock, disk_trouble():
            if self._ended:
                raise unavailable("Another call took this body's place.")
            if self._fd < 0:
                self._fd = os.open(self.path, _WRITE_FLAGS, 0o644)
                os.lseek(self._fd, self._offset, os.SEEK_SET)
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._fd, view) :]

    def end(self) -> None:
        """Write nothing more; any thread may say so, and it holds as soon as this returns.

        The file is closed as well, because Windows renames and removes no open one.
        """
        with self._lock:
            self._ended = True
            fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Owner:
    """A lock that lives exactly as long as this process, however the process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.token = secrets.token_hex(16)
        path = folder / self.token
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        if not _lock(fd):
            os.close(fd)
            raise OSError(f"the file system of {folder} has no file locks")
        self.close = weakref.finalize(self, _drop_lock, fd, path)

    def is_alive(self, token: str) -> bool:
        """Whether the owner with that token still runs (in this process or in any other)."""
        try:
            fd = os.open(self._folder / token, os.O_RDWR)
        except OSError:
            return False
        try:
            return not _lock(fd)
        finally:
            os.close(fd)  # which gives the lock back

    def sweep(self) -> None:
        """Remove the marks of owners that were killed.

        Only those a day old: between its creation and its lock a fresh mark looks dead.
        """
        for path in old_files(self._folder):
            if not self.is_alive(path.name):
                remove(path)


def _lock(fd: int) -> bool:
    """Take the lock if it is free. flock belongs to the open file, so threads compete too."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _drop_lock(fd: int, path: Path) -> None:
    os.close(fd)
    remove(path)


class Claims:
    """The landings of this process, and the claims that they hold."""

    def __init__(self, folder: Path, db: Database) -> None:
        self._folder = folder
        self._db = db
        self._owner = Owner(folder / "owners")
        self._landings: dict[str, Landing] = {}
        self._closed = False

    @contextmanager
    def landing(self) -> Iterator[Landing]:
        """A place for one body: at first a file of its own under incoming/.

        Unless the body is `kept` when the block is left, nothing of it counts: the file is
        removed, a claim is given up. (What it wrote into a shared file is noise there, to be
        overwritten by the next holder of the claim.)
        """
        mark = secrets.token_hex(16)
        landing = Landing(self._folder / "incoming" / mark, mark)
        # Listed before it can claim anything: a claim of ours whose mark is not listed is over.
        self._landings[mark] = landing
        if self._closed:  # and close() cannot overlook it
            landing.end()
        try:
            yield landing
        finally:
            landing.end()
            del self._landings[mark]
            self._clear(landing)

    def _clear(self, landing: Landing) -> None:
        if landing.kept:
            return
        if landing.direct:
            with self._db.writing() as db:
                db.execute("DELETE FROM claims WHERE mark = ?", (landing.mark,))
        else:
            remove(landing.path)

    def take(self, db: sqlite3.Connection, landing: Landing, *, upload_id: str, first: int) -> bool:
        """Let `landing` write into the upload's file from `first` on, if nobody else does."""
        row = db.execute(
            "SELECT mark, owner FROM claims WHERE upload_id = ? AND first = ?",
            (upload_id, first),
        ).fetchone()
        if row and self._is_held(*row):
            return False
        db.execute(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)",
            (upload_id, first, landing.mark, self._owner.token),
        )
        landing.redirect(self._folder / "uploads" / upload_id, first)
        return True

    def give_up(self, db: sqlite3.Connection, landing: Landing) -> None:
        """End a claim at the moment when its region is recorded as stored.

        Raises Refusal (500) if the claim was taken away meanwhile; then nothing is recorded.
        """
        gone = db.execute("DELETE FROM claims WHERE mark = ?", (landing.mark,))
        if gone.rowcount != 1:
            raise unavailable("Another call took this body's place.")

    def evict(self, db: sqlite3.Connection, *, upload_id: str, first: int | None = None) -> None:
        """Take all claims of an upload (or the one at `first`) away, so that nobody writes.

        Raises Refusal (500) if one is firm, or held by another living process, which cannot
        be told to stop.
        """
        rows = db.execute(
            "SELECT mark, owner FROM claims WHERE upload_id = ? AND first = IFNULL(?, first)",
            (upload_id, first),
        ).fetchall()
        for mark, owner in rows:
            own = self._landings.get(mark)
            if own and not own.firm:
                own.end()
            elif self._is_held(mark, owner):
                raise unavailable("A part of this upload is still being written.")
            db.execute("DELETE FROM claims WHERE mark = ?", (mark,))

    def _is_held(self, mark: str, owner: str) -> bool:
        if owner == self._owner.token:
            return mark in self._landings
        return self._owner.is_alive(owner)

    def sweep(self) -> None:
        """Remove what killed processes left: see Owner.sweep."""
        self._owner.sweep()

    def close(self) -> None:
        """End all landings of this process, and its mark of life. Safe to call twice."""
        self._closed = True
        for landing in list(self._landings.values()):
            landing.end()
        self._owner.close()
