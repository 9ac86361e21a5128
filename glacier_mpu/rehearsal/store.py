"""The vaults of the stand-in, kept in a folder: an sqlite3 database and plain files.

    vaults.sqlite3      what is stored; only what a row says counts
    archives/<id>       finished archives, plain files
    uploads/<id>        one file for each open upload; a part is written at its own offset
    incoming/<mark>     bodies that may not be written there
    owners/<token>      marks of life of the processes that use the folder

What was acknowledged survives `kill -9` at any moment. That is no promise about a power cut:
bodies are not flushed to the platter. Names from the network never become paths: ids are looked
up in the database first, and vault names (".." is a legal one) stay in it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from glacier_mpu.rehearsal.claims import Claims, Landing
from glacier_mpu.rehearsal.disk import Database, disk_trouble, old_files, remove
from glacier_mpu.rehearsal.records import (
    ARCHIVE_ROWS,
    DAY_MS,
    SCHEMA,
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
    Raises OSError or sqlite3.Error if the folder is unusable.
    """

    def __init__(self, folder: Path, *, now: Callable[[], datetime] = utc_now) -> None:
        self.folder = folder = folder.absolute()
        self._now = now
        for name in ("archives", "uploads", "incoming", "owners"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._db = Database(folder / "vaults.sqlite3", SCHEMA)
        self._claims = Claims(folder, self._db)
        self.uploads = Uploads(folder, db=self._db, claims=self._claims, now_ms=self._now_ms)
        self._recover()

    def close(self) -> None:
        """End what is being received, and let go of the folder. Safe to call twice."""
        self._claims.close()
        self._db.close()

    def _now_ms(self) -> int:
        return to_ms(self._now())

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

    def complete(self, vault: str, upload_id: str, *, size: int, tree_hash: str) -> Archive:
        """Complete an upload, and give the archive its own file. See Uploads.complete."""
        archive = self.uploads.complete(vault, upload_id, size=size, tree_hash=tree_hash)
        self._place(archive.archive_id)
        return archive

    @contextmanager
    def land_archive(self) -> Iterator[Landing]:
        """A place for the body of an archive that comes in one piece; see `keep_archive`."""
        with self._claims.landing() as landing:
            yield landing

    def keep_archive(
        self, landing: Landing, vault: str, *, size: int, tree_hash: str, description: str | None
    ) -> Archive:
        """Record a landed and verified body as an archive, and give it its own file."""
        landing.end()
        archive = Archive(new_archive_id(), vault, size, tree_hash, description, self._now_ms())
        with self._db.writing() as db:
            add_archive(db, archive, source=f"incoming/{landing.mark}")
        landing.kept = True
        self._place(archive.archive_id)
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
        self._place(archive_id)
        return self._archive_file(archive_id)

    def delete_archive(self, vault: str, archive_id: str) -> None:
        """Delete an archive; one that is gone already is no error, another vault's is a 400."""
        with self._db.writing() as db:
            row = db.execute(
                "SELECT vault, source FROM archives WHERE archive_id = ?", (archive_id,)
            ).fetchone()
            if row is None:
                return
            if row[0] != vault:
                raise invalid(f"Invalid vault name: {vault_arn(vault)}")
            db.execute("DELETE FROM archives WHERE archive_id = ?", (archive_id,))
            touch_vault(db, vault, self._now_ms())
        for path in (row[1] and self.folder / row[1], self._archive_file(archive_id)):
            if path:
                remove(path)

    def _archive_file(self, archive_id: str) -> Path:
        return self.folder / "archives" / archive_id

    def _place(self, archive_id: str) -> None:
        """Give a committed archive its own file. Repeats, and finishes, what a kill cut short.

        Two may do this at once: the loser finds the source gone and the archive in place.
        """
        with self._db.reading() as db:
            row = db.execute(
                "SELECT source, size FROM archives WHERE archive_id = ?", (archive_id,)
            ).fetchone()
        if row is None or row[0] is None:
            return
        source, target = self.folder / row[0], self._archive_file(archive_id)
        with disk_trouble():
            try:
                os.truncate(source, row[1])  # noise of bodies that were not kept may follow
                source.replace(target)
            except FileNotFoundError:
                if not target.exists():
                    raise
        with self._db.writing() as db:
            db.execute("UPDATE archives SET source = NULL WHERE archive_id = ?", (archive_id,))

    # -- recovery ----------------------------------------------------------------------------

    def _recover(self) -> None:
        """Finish what a kill cut short and tidy up, while other processes may be at work here."""
        self.uploads.sweep()
        with self._db.reading() as db:
            pending = db.execute("SELECT archive_id FROM archives WHERE source IS NOT NULL")
            for (archive_id,) in pending.fetchall():
                with suppress(Refusal):  # told to whoever asks for that archive
                    self._place(archive_id)
        self._sweep_files()
        self._claims.sweep()

    def _sweep_files(self) -> None:
        """Remove files that no row refers to.

        The folders are read before the rows: an upload has its row before its file. A body in
        incoming/ has no row until it is verified, so only what rested for a day is an orphan.
        """
        shared = list((self.folder / "uploads").iterdir())
        lone = old_files(self.folder / "incoming")
        with self._db.reading() as db:
            rows = db.execute(
                "SELECT 'uploads/' || upload_id FROM uploads WHERE state = 'open'"
                " UNION SELECT 'incoming/' || body FROM parts WHERE body IS NOT NULL"
                " UNION SELECT source FROM archives WHERE source IS NOT NULL"
            ).fetchall()
        wanted = {name for (name,) in rows}
        for path in [*shared, *lone]:
            if f"{path.parent.name}/{path.name}" not in wanted:
                remove(path)
