"""The multipart uploads of the stand-in.

Every byte is written once in the ordinary case, and completion renames a file. The price is
that an unverified body lands in the file that also holds acknowledged parts. Three rules keep
those safe, across threads, processes and `kill -9`:

1. A region is written only by the holder of its claim, and never once it has a row in `parts`.
2. A body that cannot have the claim goes to a file of its own. Verified, it is dropped (the
   same content is stored already) or recorded as the part's body, to be copied in at the end.
3. An upload completes only when nobody holds a claim in it: own landings are ended, one of
   another living process makes the call fail with a 500, to be repeated.
"""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from glacier_mpu.rehearsal.claims import Claims, Landing
from glacier_mpu.rehearsal.disk import Database, disk_trouble, remove
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

_COPY_SIZE = 1024 * 1024
_UPLOAD = "SELECT upload_id, vault, part_size, description, created_ms FROM uploads"
_PART = "SELECT first, size, tree_hash FROM parts"


class Uploads:
    """Multipart uploads, from initiate to the row of the finished archive.

    An upload lives for a day after its last activity: its initiation or a stored part. For a
    day after its end a Complete or an Abort may be repeated. (The facts: "24 h" and "a short
    period".) Methods raise Refusal in the service's words.
    """

    def __init__(
        self, folder: Path, *, db: Database, claims: Claims, now_ms: Callable[[], int]
    ) -> None:
        self._folder = folder
        self._db = db
        self._claims = claims
        self._now_ms = now_ms

    def initiate(self, vault: str, *, part_size: int, description: str | None) -> str:
        """Open an upload and return its id: random, 92 characters, as the service's are."""
        upload_id, now_ms = secrets.token_urlsafe(69), self._now_ms()
        with self._db.writing() as db:
            db.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, 'open', NULL)",
                (upload_id, vault, part_size, description, now_ms, now_ms),
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
                "SELECT state FROM uploads WHERE vault = ? AND upload_id = ? AND active_ms > ?",
                (vault, upload_id, self._day_ago()),
            ).fetchone()
            if row is None or row[0] == "completed":
                raise _no_upload(upload_id)
            if row[0] == "open":
                db.execute(
                    "UPDATE uploads SET state = 'aborted', active_ms = ? WHERE upload_id = ?",
                    (self._now_ms(), upload_id),
                )
            bodies = _forget_parts(db, upload_id)
        remove(self._folder / "uploads" / upload_id)
        for body in bodies:
            remove(self._folder / "incoming" / body)

    # -- parts -------------------------------------------------------------------------------

    @contextmanager
    def land(self, upload: Upload, first: int) -> Iterator[Landing]:
        """A place for the body of the part that begins at `first`; see `keep`."""
        with self._claims.landing() as landing:
            with self._db.writing() as db:
                self._open(db, upload.vault, upload.upload_id)
                if _stored(db, upload, first) is None:
                    self._claims.take(db, landing, upload_id=upload.upload_id, first=first)
            yield landing

    def keep(self, landing: Landing, upload: Upload, part: Part) -> None:
        """Record a landed and verified body as the part. The latest wins."""
        landing.end()
        with self._db.writing() as db:
            self._open(db, upload.vault, upload.upload_id)
            old = _stored(db, upload, part.first)
            body = None if landing.direct else landing.mark
            if landing.direct:
                self._claims.give_up(db, landing)
            elif old is not None and old[:2] == (part.size, part.tree_hash):
                body = old[2]
            db.execute(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)",
                (upload.upload_id, part.first, part.size, part.tree_hash, body),
            )
            self._touch(db, upload)
        landing.kept = landing.direct or body == landing.mark
        if old is not None and old[2] not in (None, body):
            remove(self._folder / "incoming" / old[2])

    def parts(self, upload_id: str, *, start: int, limit: int) -> list[Part]:
        """At most `limit` stored parts in order, from the one at byte `start` on."""
        with self._db.reading() as db:
            return _parts(db, upload_id, start=start, limit=limit)

    # -- completion --------------------------------------------------------------------------

    def complete(self, vault: str, upload_id: str, *, size: int, tree_hash: str) -> Archive:
        """Turn an upload into an archive, or return the one it became less than a day ago.

        A refusal leaves the upload open. When this returns, the archive is committed, and its
        file is still called uploads/<id> (archives.source says so).
        """
        self._gather(vault, upload_id, size=size, tree_hash=tree_hash)
        with self._db.writing() as db:
            done = self._completed(db, vault, upload_id)
            if done is None:
                upload = self._open(db, vault, upload_id)
                return self._commit(db, upload, size=size, tree_hash=tree_hash)
        if size != done.size:
            raise invalid(f"Invalid x-amz-archive-size: {size}")
        if tree_hash != done.tree_hash:
            raise invalid(f"Invalid x-amz-sha256-tree-hash: {tree_hash}")
        return done

    def _gather(self, vault: str, upload_id: str, *, size: int, tree_hash: str) -> None:
        """Copy bodies that lie in files of their own to their places, if all else is right."""
        with self._db.reading() as db:
            if self._completed(db, vault, upload_id):
                return
            upload = self._open(db, vault, upload_id)
            parts = _parts(db, upload_id)
            check_whole(parts, part_size=upload.part_size, size=size, tree_hash=tree_hash)
            apart = db.execute(
                "SELECT first, body FROM parts WHERE upload_id = ? AND body IS NOT NULL",
                (upload_id,),
            ).fetchall()
        for first, body in apart:
            self._copy_in(upload_id, first, self._folder / "incoming" / body)

    def _copy_in(self, upload_id: str, first: int, body: Path) -> None:
        """Until the row says so the body in its own file is the part: a kill here costs nothing."""
        with self._claims.landing() as landing:
            landing.firm = True
            with self._db.writing() as db:
                self._claims.evict(db, upload_id=upload_id, first=first)
                self._claims.take(db, landing, upload_id=upload_id, first=first)
            with disk_trouble(), body.open("rb") as source:
                shutil.copyfileobj(source, landing, _COPY_SIZE)
            landing.end()
            with self._db.writing() as db:
                self._claims.give_up(db, landing)
                db.execute(
                    "UPDATE parts SET body = NULL WHERE upload_id = ? AND first = ? AND body = ?",
                    (upload_id, first, body.name),
                )
            landing.kept = True
        remove(body)

    def _commit(
        self, db: sqlite3.Connection, upload: Upload, *, size: int, tree_hash: str
    ) -> Archive:
        parts = _parts(db, upload.upload_id)
        check_whole(parts, part_size=upload.part_size, size=size, tree_hash=tree_hash)
        self._claims.evict(db, upload_id=upload.upload_id)
        if _forget_parts(db, upload.upload_id):
            raise unavailable("A part was sent again while the upload was completed.")
        archive = Archive(
            new_archive_id(), upload.vault, size, tree_hash, upload.description, self._now_ms()
        )
        add_archive(db, archive, source=f"uploads/{upload.upload_id}")
        db.execute(
            "UPDATE uploads SET state = 'completed', active_ms = ?, archive_id = ?"
            " WHERE upload_id = ?",
            (self._now_ms(), archive.archive_id, upload.upload_id),
        )
        return archive

    def _completed(self, db: sqlite3.Connection, vault: str, upload_id: str) -> Archive | None:
        """The archive that the upload became. None as well if it was deleted since."""
        row = db.execute(
            f"{ARCHIVE_ROWS} JOIN uploads u USING (archive_id)"
            " WHERE u.vault = ? AND u.upload_id = ? AND u.state = 'completed' AND u.active_ms > ?",
            (vault, upload_id, self._day_ago()),
        ).fetchone()
        return Archive(*row) if row else None

    # -- shared ------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Forget uploads whose day is over."""
        with self._db.writing() as db:
            rows = db.execute(
                "SELECT upload_id FROM uploads WHERE active_ms <= ?", (self._day_ago(),)
            ).fetchall()
            for (upload_id,) in rows:
                _forget_parts(db, upload_id)
            db.execute("DELETE FROM uploads WHERE active_ms <= ?", (self._day_ago(),))

    def _open(self, db: sqlite3.Connection, vault: str, upload_id: str) -> Upload:
        row = db.execute(
            f"{_UPLOAD} WHERE vault = ? AND upload_id = ? AND state = 'open' AND active_ms > ?",
            (vault, upload_id, self._day_ago()),
        ).fetchone()
        if row is None:
            raise _no_upload(upload_id)
        return Upload(*row)

    def _touch(self, db: sqlite3.Connection, upload: Upload) -> None:
        now_ms = self._now_ms()
        db.execute(
            "UPDATE uploads SET active_ms = ? WHERE upload_id = ?", (now_ms, upload.upload_id)
        )
        touch_vault(db, upload.vault, now_ms)

    def _day_ago(self) -> int:
        return self._now_ms() - DAY_MS


def _forget_parts(db: sqlite3.Connection, upload_id: str) -> list[str]:
    """Delete the rows of an upload's parts and claims; the names in incoming/ they referred to."""
    bodies = db.execute(
        "SELECT body FROM parts WHERE upload_id = ? AND body IS NOT NULL", (upload_id,)
    ).fetchall()
    db.execute("DELETE FROM parts WHERE upload_id = ?", (upload_id,))
    db.execute("DELETE FROM claims WHERE upload_id = ?", (upload_id,))
    return [body for (body,) in bodies]


def _no_upload(upload_id: str) -> Refusal:
    # By analogy with the documented text for a job; no report of the real one is known.
    return not_found(f"The upload ID was not found: {upload_id}")


def _stored(
    db: sqlite3.Connection, upload: Upload, first: int
) -> tuple[int, str, str | None] | None:
    """Size, tree hash and body of the stored part that begins at `first`."""
    row: tuple[int, str, str | None] | None = db.execute(
        "SELECT size, tree_hash, body FROM parts WHERE upload_id = ? AND first = ?",
        (upload.upload_id, first),
    ).fetchone()
    return row


def _parts(
    db: sqlite3.Connection, upload_id: str, *, start: int = 0, limit: int = -1
) -> list[Part]:
    rows = db.execute(
        f"{_PART} WHERE upload_id = ? AND first >= ? ORDER BY first LIMIT ?",
        (upload_id, start, limit),
    )
    return [Part(*row) for row in rows.fetchall()]
