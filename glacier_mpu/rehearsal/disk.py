"""The database of the stand-in, and what to do when the disk is full or gone."""

from __future__ import annotations

import errno
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from glacier_mpu.rehearsal.wire import unavailable

BUSY_SECONDS = 30.0
DAY_SECONDS = 86_400


@contextmanager
def disk_trouble() -> Iterator[None]:
    """Turn an OSError (disk full, file too large, folder gone) into a 500 with its plain words."""
    try:
        yield
    except OSError as error:
        text = error.strerror or str(error)
        raise unavailable(f"The rehearsal folder cannot be used: {text}.") from error


def old_files(folder: Path) -> list[Path]:
    """The files of a folder that were not written to for a day."""
    found = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # removed by another thread or process
            if path.stat().st_mtime < time.time() - DAY_SECONDS:
                found.append(path)
    return found


def remove(path: Path) -> None:
    """Remove a file if that is possible now. Otherwise it is swept a day later."""
    with suppress(OSError):
        path.unlink()


class Database:
    """An sqlite3 file for many threads and processes: short transactions, write-ahead log.

    Each use takes an idle connection, or opens one. They stay open, because sqlite writes the
    whole log back when the last connection closes, which costs more than the queries.

    version: of the tables. A file with another one raises OSError, as does one that is no
    database.
    """

    def __init__(self, path: Path, *, schema: str, version: int) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self.close = weakref.finalize(self, _close_all, self._idle)
        with _as_os_error(path), self.writing() as db:
            (found,) = db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            if tables and found != version:
                raise OSError(
                    f"{path.parent} was written by another version of this program. Name a new "
                    "folder, or delete this one if you do not need its archives any more"
                )
            for statement in schema.split(";"):  # executescript() would end the transaction
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {version}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection in autocommit mode: every statement is a transaction."""
        try:
            db = self._idle.pop()
        except IndexError:
            db = self._connect()
        try:
            yield db
        finally:
            if self.close.alive:
                self._idle.append(db)
            else:
                db.close()

    @contextmanager
    def writing(self, *, flushed: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction. No other one, of any process, begins before it ends.

        flushed: when it ends, it survives a power cut, and so do all before it. Without that
        it survives only the end of the process.
        """
        with self.reading() as db:
            db.execute(f"PRAGMA synchronous = {'FULL' if flushed else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _set_journal(db)
        except BaseException:
            db.close()
            raise
        return db


@contextmanager
def _as_os_error(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(errno.EIO, f"not usable as a database: {error}", str(path)) from error


def _set_journal(db: sqlite3.Connection) -> None:
    """Use a write-ahead log. sqlite does not wait here if another process sets it as well."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _close_all(idle: list[sqlite3.Connection]) -> None:
    while idle:
        idle.pop().close()
