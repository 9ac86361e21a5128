"""The multipart uploads of the stand-in: from initiate to the archive.

Each part has a file of its own, so that nothing that is written later can damage it. A body that
is verified is renamed into its place and recorded in one transaction. The latest recorded wins.

Completion (see `Uploads.complete`) appends the parts to a new file and commits the archive only
when that file is whole. Transactions of all threads and processes come one after another, and
the commit compares the parts with those that were appended.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import suppress

from glacier_mpu.rehearsal.disk import Database, disk_trouble, old_files, remove
from glacier_mpu.rehearsal.files import Files, Incoming
from glacier_mpu.rehearsal.records import (
    ARCHIVE_ROWS,
    DAY_MS,
    Archive,
    Part,
    Upload,
    add_archive,
    check_whole,
    new_archive_id,
    touch_vault,
)
from glacier_mpu.rehearsal.wire import Refusal, invalid, not_found, unavailable

_UPLOAD = "SELECT upload_id, vault, part_size, description, created_ms, archive_id FROM uploads"


class Uploads:
    """Multipart uploads. Methods raise Refusal in the service's words.

    An upload lives for a day after its last activity: its initiation or a stored part. For a
    day after its end a Complete or an Abort may be repeated. (The facts: "24 h" and "a short
    period".)
    """

    def __init__(self, *, db: Database, files: Files, now_ms: Callable[[], int]) -> None:
        self._db = db
        self._files = files
        self._now_ms = now_ms

    def initiate(self, vault: str, *, part_size: int, description: str | None) -> str:
        """Open an upload and return its id: random, 92 characters, as the service's are."""
        upload_id, now_ms = secrets.token_urlsafe(69), self._now_ms()
        with self._db.writing() as db:
            db.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, 'open')",
                (upload_id, vault, part_size, description, now_ms, new_archive_id(), now_ms),
            )
            touch_vault(db, vault, now_ms)
        return upload_id

    def get(self, vault: str, upload_id: str) -> Upload:
        """The open upload of that id in that vault, or a 404."""
        with self._db.reading() as db:
            return self._open(db, vault, upload_id)

    def page(self, vault: str, *, start: str, limit: int) -> list[Upload]:
        """At most `limit` open uploads of a vault, by id, from `start` on."""
        with self._db.reading() as db:
            rows = db.execute(
                f"{_UPLOAD} WHERE vault = ? AND upload_id >= ? AND state = 'open'"
                " AND active_ms > ? ORDER BY upload_id LIMIT ?",
                (vault, start, self._day_ago(), limit),
            )
            return [Upload(*row) for row in rows.fetchall()]

    def abort(self, vault: str, upload_id: str) -> None:
        """Give an upload up and free its space. Repeated: no error for a day, then a 404."""
        with self._db.writing() as db:
            row = db.execute(
                "SELECT state, archive_id FROM uploads"
                " WHERE vault = ? AND upload_id = ? AND active_ms > ?",
                (vault, upload_id, self._day_ago()),
            ).fetchone()
            if row is None or row[0] == "completed":
                raise _no_upload(upload_id)
            if row[0] == "open":
                self._end(db, upload_id, "aborted")
        remove(self._files.unplaced(row[1]))  # of a completion that was killed
        self._files.remove_upload(upload_id)

    # -- parts -------------------------------------------------------------------------------

    def keep(
        self, body: Incoming, upload: Upload, *, first: int, size: int, tree_hash: str
    ) -> None:
        """Store a verified body as the part that begins at `first`, instead of any before it."""
        part = Part(first, size, tree_hash, body.mark)
        with self._db.writing() as db:
            self._open(db, upload.vault, upload.upload_id)
            replaced = [
                self._files.part(upload.upload_id, old)
                for old in _parts(db, upload.upload_id, start=first, limit=1)
                if old.first == first
            ]
            body.move(self._files.part(upload.upload_id, part))
            db.execute(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)",
                (upload.upload_id, first, size, tree_hash, part.mark),
            )
            now_ms = self._now_ms()
            db.execute(
                "UPDATE uploads SET active_ms = ? WHERE upload_id = ?", (now_ms, upload.upload_id)
            )
            touch_vault(db, upload.vault, now_ms)
        body.kept = True
        for path in replaced:
            remove(path)

    def parts(self, upload_id: str, *, start: int, limit: int) -> list[Part]:
        """At most `limit` stored parts in order, from the one at byte `start` on."""
        with self._db.reading() as db:
            return _parts(db, upload_id, start=start, limit=limit)

    # -- completion --------------------------------------------------------------------------

    def complete(self, vault: str, upload_id: str, *, size: int, tree_hash: str) -> Archive:
        """Turn an upload into an archive, or return the one it became less than a day ago.

        A refusal leaves the upload open. The order of the writes makes a kill at any moment
        harmless:

        1. The parts are appended to incoming/<archive id>, which is flushed to the disk. A file
           that a killed process left half done is begun again.
        2. One transaction makes the archive known and the upload completed. It refuses (500) if
           a part was replaced since 1, and finds (404) that the upload was aborted.
        3. The file is renamed to archives/<archive id>. After a kill the next completion, the
           next reader or the next opening of the folder does it.
        4. The parts are removed. After a kill the next opening of the folder does it.

        Steps 1 and 2 are done under a lock, so that a Complete that is repeated meanwhile waits
        for the answer of the first one instead of copying as well.
        """
        self._check_known(vault, upload_id)
        with self._files.locked(upload_id):
            done = self._completed(vault, upload_id)
            if done is None:
                done = self._assemble(vault, upload_id, size=size, tree_hash=tree_hash)
        self._files.place(done.archive_id)
        self._files.remove_upload(upload_id)
        if size != done.size:
            raise invalid(f"Invalid x-amz-archive-size: {size}")
        if tree_hash != done.tree_hash:
            raise invalid(f"Invalid x-amz-sha256-tree-hash: {tree_hash}")
        return done

    def _check_known(self, vault: str, upload_id: str) -> None:
        """Refuse (404) an id that is neither open nor completed, before it names a lock file."""
        with self._db.reading() as db:
            known = db.execute(
                "SELECT 1 FROM uploads WHERE vault = ? AND upload_id = ? AND active_ms > ?"
                " AND (state = 'open' OR archive_id IN (SELECT archive_id FROM archives))",
                (vault, upload_id, self._day_ago()),
            ).fetchone()
        if known is None:
            raise _no_upload(upload_id)

    def _completed(self, vault: str, upload_id: str) -> Archive | None:
        """The archive that the upload became. None as well if it was deleted since."""
        with self._db.reading() as db:
            row = db.execute(
                f"{ARCHIVE_ROWS} JOIN uploads u USING (archive_id) WHERE u.vault = ?"
                " AND u.upload_id = ? AND u.state = 'completed' AND u.active_ms > ?",
                (vault, upload_id, self._day_ago()),
            ).fetchone()
        return Archive(*row) if row else None

    def _assemble(self, vault: str, upload_id: str, *, size: int, tree_hash: str) -> Archive:
        with self._db.reading() as db:
            upload = self._open(db, vault, upload_id)
            parts = _parts(db, upload_id)
        check_whole(parts, part_size=upload.part_size, size=size, tree_hash=tree_hash)
        with self._files.receiving(upload.archive_id) as body, disk_trouble():
            # A part whose file is gone was replaced, or the upload was aborted: see the commit.
            with suppress(FileNotFoundError):
                for part in parts:
                    body.append(self._files.part(upload_id, part))
            body.flush()
            body.close()
            archive = Archive(
                upload.archive_id, vault, size, tree_hash, upload.description, self._now_ms()
            )
            with self._db.writing(flushed=True) as db:
                self._open(db, vault, upload_id)
                if parts != _parts(db, upload_id) or body.path.stat().st_size != size:
                    raise unavailable("The parts changed while the upload was completed.")
                add_archive(db, archive)
                self._end(db, upload_id, "completed")
            body.kept = True
        return archive

    # -- shared ------------------------------------------------------------------------------

    def sweep(self, db: sqlite3.Connection) -> None:
        """Forget uploads whose day is over, and remove files that belong to no open upload.

        Within an open upload only what was not written to for a day is removed.
        """
        db.execute("DELETE FROM uploads WHERE active_ms <= ?", (self._day_ago(),))
        db.execute("DELETE FROM parts WHERE upload_id NOT IN (SELECT upload_id FROM uploads)")
        rows = db.execute("SELECT upload_id FROM uploads WHERE state = 'open'").fetchall()
        still_open = {upload_id for (upload_id,) in rows}
        for path in self._files.uploads.iterdir():
            upload_id = path.name.removesuffix(".lock")
            if upload_id not in still_open:
                self._files.remove_upload(upload_id)
            elif path.is_dir():
                known = {self._files.part(upload_id, part) for part in _parts(db, upload_id)}
                for orphan in set(old_files(path)) - known:
                    remove(orphan)

    def _open(self, db: sqlite3.Connection, vault: str, upload_id: str) -> Upload:
        row = db.execute(
            f"{_UPLOAD} WHERE vault = ? AND upload_id = ? AND state = 'open' AND active_ms > ?",
            (vault, upload_id, self._day_ago()),
        ).fetchone()
        if row is None:
            raise _no_upload(upload_id)
        return Upload(*row)

    def _end(self, db: sqlite3.Connection, upload_id: str, state: str) -> None:
        db.execute(
            "UPDATE uploads SET state = ?, active_ms = ? WHERE upload_id = ?",
            (state, self._now_ms(), upload_id),
        )
        db.execute("DELETE FROM parts WHERE upload_id = ?", (upload_id,))

    def _day_ago(self) -> int:
        return self._now_ms() - DAY_MS


def _no_upload(upload_id: str) -> Refusal:
    # By analogy with the documented text for a job; no report of the real one is known.
    return not_found(f"The upload ID was not found: {upload_id}")


def _parts(
    db: sqlite3.Connection, upload_id: str, *, start: int = 0, limit: int = -1
) -> list[Part]:
    rows = db.execute(
        "SELECT first, size, tree_hash, mark FROM parts"
        " WHERE upload_id = ? AND first >= ? ORDER BY first LIMIT ?",
        (upload_id, start, limit),
    )
    return [Part(*row) for row in rows.fetchall()]
