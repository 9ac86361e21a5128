"""The vaults of the stand-in, kept in a folder: vaults.sqlite3, and the bodies in plain files.

What was acknowledged survives `kill -9` at any moment. A power cut may cost parts of open
uploads, whose bodies are not flushed to the disk; finished archives are.

Until the archive of an upload is whole its parts are kept, so that the completion of an upload
needs as much free space as the upload has already taken (less where the file system can share
blocks between files).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path

from glacier_mpu.rehearsal.disk import Database, old_files, remove
from glacier_mpu.rehearsal.files import Files, Incoming
from glacier_mpu.rehearsal.records import (
    ARCHIVE_ROWS,
    DAY_MS,
    SCHEMA,
    SCHEMA_VERSION,
    Archive,
    Vault,
    add_archive,
    new_archive_id,
    to_ms,
    touch_vault,
    utc_now,
)
from glacier_mpu.rehearsal.uploads import Uploads
from glacier_mpu.rehearsal.wire import VAULT_NAME, Refusal, invalid, vault_arn

MAX_VAULTS = 1_000
ARCHIVE_OVERHEAD = 32 * 1024


class Store:
    """The vaults in `folder`. Safe for many threads, and for many processes on one folder.

    uploads: the multipart uploads. Every method may raise Refusal, in the service's words.
    Raises OSError or sqlite3.Error if the folder is unusable, or was written by a version of
    this program that keeps it in another way; nothing in it is changed then.
    """

    def __init__(self, folder: Path, *, now: Callable[[], datetime] = utc_now) -> None:
        self.folder = folder = folder.absolute()
        self._now = now
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # a copy of what may be private
        self._db = Database(folder / "vaults.sqlite3", schema=SCHEMA, version=SCHEMA_VERSION)
        self._files = Files(folder)
        self.uploads = Uploads(db=self._db, files=self._files, now_ms=self._now_ms)
        self._recover()

    def close(self) -> None:
        """Close the database. Safe to call twice."""
        self._db.close()

    def _now_ms(self) -> int:
        return to_ms(self._now())

    def receiving(self) -> AbstractContextManager[Incoming]:
        """A new file for a body, which is removed unless `keep` or `keep_archive` takes it."""
        return self._files.receiving()

    # -- vaults ------------------------------------------------------------------------------

    def create_vault(self, name: str) -> None:
        """Make a vault; one that exists already stays as it is."""
        if not VAULT_NAME.fullmatch(name):
            raise invalid(f"Invalid vault name: {name}")
        with self._db.writing() as db:
            count, known = db.execute(
                "SELECT COUNT(*), TOTAL(name = ?) FROM vaults", (name,)
            ).fetchone()
            if count >= MAX_VAULTS and not known:
                raise Refusal(400, "LimitExceededException", f"Too many vaults: {count}")
            db.execute("INSERT OR IGNORE INTO vaults VALUES (?, ?, NULL)", (name, self._now_ms()))

    def vault(self, name: str) -> Vault | None:
        """The vault of that name, or None."""
        with self._db.reading() as db:
            row = db.execute(
                "SELECT name, created_ms FROM vaults WHERE name = ?", (name,)
            ).fetchone()
            return self._seen(db, *row) if row else None

    def vaults(self, *, after: str, limit: int) -> list[Vault]:
        """At most `limit` vaults in ASCII order of their names, from the first past `after`."""
        with self._db.reading() as db:
            rows = db.execute(
                "SELECT name, created_ms FROM vaults WHERE name > ? ORDER BY name LIMIT ?",
                (after, limit),
            ).fetchall()
            return [self._seen(db, *row) for row in rows]

    def _seen(self, db: sqlite3.Connection, name: str, created_ms: int) -> Vault:
        """Counts are not live: a vault looks as it did at its last (here: daily) inventory."""
        days = (self._now_ms() - created_ms) // DAY_MS
        inventory_ms = created_ms + days * DAY_MS if days > 0 else None
        count, size = db.execute(
            "SELECT COUNT(*), COALESCE(SUM(size + ?), 0) FROM archives"
            " WHERE vault = ? AND created_ms <= ?",
            (ARCHIVE_OVERHEAD, name, inventory_ms or 0),
        ).fetchone()
        return Vault(name, created_ms, inventory_ms, count, size)

    def delete_vault(self, name: str) -> None:
        """Delete a vault that is empty and had no write for a day; a missing one is no error.

        The service judges "empty" by its last inventory. Here it is stricter: no archive at
        all, and no write (initiate, part, archive stored or deleted) younger than a day.
        """
        with self._db.writing() as db:
            recent = db.execute(
                "SELECT 1 FROM vaults WHERE name = ? AND written_ms > ?",
                (name, self._now_ms() - DAY_MS),
            ).fetchone()
            full = db.execute("SELECT 1 FROM archives WHERE vault = ?", (name,)).fetchone()
            if recent or full:
                raise invalid(f"Vault not empty or recently written to: {vault_arn(name)}")
            db.execute("DELETE FROM vaults WHERE name = ?", (name,))

    # -- archives ----------------------------------------------------------------------------

    def keep_archive(
        self, body: Incoming, vault: str, *, size: int, tree_hash: str, description: str | None
    ) -> Archive:
        """Store a verified body as an archive."""
        body.flush()
        archive = Archive(new_archive_id(), vault, size, tree_hash, description, self._now_ms())
        with self._db.writing(flushed=True) as db:
            body.move(self._files.unplaced(archive.archive_id))
            add_archive(db, archive)
        body.kept = True
        self._files.place(archive.archive_id)
        return archive

    def archives(self, vault: str) -> list[Archive]:
        """What is stored in a vault, oldest first. The service itself has no such call."""
        with self._db.reading() as db:
            rows = db.execute(f"{ARCHIVE_ROWS} WHERE vault = ? ORDER BY rowid", (vault,))
            return [Archive(*row) for row in rows.fetchall()]

    def archive_path(self, archive_id: str) -> Path:
        """The plain file that holds an archive. Raises KeyError for an id that is not stored."""
        with self._db.reading() as db:
            known = db.execute("SELECT 1 FROM archives WHERE archive_id = ?", (archive_id,))
            if known.fetchone() is None:
                raise KeyError(archive_id)
        self._files.place(archive_id)
        return self._files.archive(archive_id)

    def delete_archive(self, vault: str, archive_id: str) -> None:
        """Delete an archive; one that is gone already is no error, another vault's is a 400."""
        with self._db.writing() as db:
            row = db.execute(
                "SELECT vault FROM archives WHERE archive_id = ?", (archive_id,)
            ).fetchone()
            if row is None:
                return
            if row[0] != vault:
                raise invalid(f"Invalid vault name: {vault_arn(vault)}")
            db.execute("DELETE FROM archives WHERE archive_id = ?", (archive_id,))
            touch_vault(db, vault, self._now_ms())
        self._files.remove_archive(archive_id)

    # -- recovery ----------------------------------------------------------------------------

    def _recover(self) -> None:
        """Finish what a kill cut short, and remove what nothing refers to.

        Other processes may be at work in the folder. All is done within one transaction, in
        which none of them can put a body in its place. A body in incoming/ has no row until it
        is verified, so that it is an orphan only after a day without a write.
        """
        with self._db.writing() as db:
            self.uploads.sweep(db)
            rows = db.execute("SELECT archive_id FROM archives").fetchall()
            stored = {archive_id for (archive_id,) in rows}
            old = set(old_files(self._files.incoming))
            for path in self._files.incoming.iterdir():
                if path.name in stored:
                    with suppress(Refusal):  # which whoever asks for that archive will see
                        self._files.place(path.name)
                elif path in old:
                    remove(path)
