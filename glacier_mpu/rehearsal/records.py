"""The tables and records of the stand-in, and the check that parts make a whole archive."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256

from glacier_mpu.rehearsal.wire import invalid

DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

# Raise it with every change of the tables or of the layout of the folder.
# 0 is what version 1.0.0 wrote: all parts of an upload in one file.
SCHEMA_VERSION = 2

# uploads.active_ms: the last initiate or stored part of an open one, the end of any other.
# uploads.archive_id: the id that its archive will have, chosen when the upload is initiated.
# parts.mark: the end of the name of the part's file.
SCHEMA = """
CREATE TABLE IF NOT EXISTS vaults (
    name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, written_ms INTEGER);
CREATE TABLE IF NOT EXISTS uploads (
    upload_id TEXT PRIMARY KEY, vault TEXT NOT NULL, part_size INTEGER NOT NULL,
    description TEXT, created_ms INTEGER NOT NULL, archive_id TEXT NOT NULL,
    active_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'completed', 'aborted')));
CREATE TABLE IF NOT EXISTS parts (
    upload_id TEXT, first INTEGER, size INTEGER NOT NULL, tree_hash TEXT NOT NULL,
    mark TEXT NOT NULL, PRIMARY KEY (upload_id, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS archives (
    archive_id TEXT PRIMARY KEY, vault TEXT NOT NULL, size INTEGER NOT NULL,
    tree_hash TEXT NOT NULL, description TEXT, created_ms INTEGER NOT NULL);
"""


def utc_now() -> datetime:
    """The time in UTC."""
    return datetime.now(timezone.utc)


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def iso_date(ms: int) -> str:
    """A date as the service writes it: 2012-03-20T17:03:43.221Z."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


@dataclass(frozen=True, slots=True)
class Vault:
    """A vault as of its last inventory. inventory_ms is None before the first, after a day."""

    name: str
    created_ms: int
    inventory_ms: int | None
    archives: int
    size: int


@dataclass(frozen=True, slots=True)
class Upload:
    """An open multipart upload. part_size in bytes; archive_id is what it will become."""

    upload_id: str
    vault: str
    part_size: int
    description: str | None
    created_ms: int
    archive_id: str


@dataclass(frozen=True, slots=True)
class Part:
    """A stored part: its first byte in the archive, its size in bytes, its tree hash in hex.

    mark tells its file from those of other bodies for the same range.
    """

    first: int
    size: int
    tree_hash: str
    mark: str


@dataclass(frozen=True, slots=True)
class Archive:
    """A stored archive: size in bytes, tree hash in lower-case hex."""

    archive_id: str
    vault: str
    size: int
    tree_hash: str
    description: str | None
    created_ms: int


ARCHIVE_ROWS = (
    "SELECT a.archive_id, a.vault, a.size, a.tree_hash, a.description, a.created_ms FROM archives a"
)


def new_archive_id() -> str:
    """A random id of 138 characters A-Z a-z 0-9 - _ like the service's. It may begin with "-"."""
    return secrets.token_urlsafe(104)[:138]


def touch_vault(db: sqlite3.Connection, vault: str, now_ms: int) -> None:
    """Note that the vault was written to."""
    db.execute("UPDATE vaults SET written_ms = ? WHERE name = ?", (now_ms, vault))


def add_archive(db: sqlite3.Connection, archive: Archive) -> None:
    """Record an archive, and the write to its vault."""
    db.execute("INSERT INTO archives VALUES (?, ?, ?, ?, ?, ?)", astuple(archive))
    touch_vault(db, archive.vault, archive.created_ms)


def combine(roots: Sequence[str]) -> str:
    """The tree hash of an archive (hex) from those of its parts, in order, at least one.

    Right only if all parts but the last have the same size of 2^n MiB.
    """
    level = [bytes.fromhex(root) for root in roots]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [sha256(b"".join(pair)).digest() if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0].hex()


def check_whole(parts: Sequence[Part], *, part_size: int, size: int, tree_hash: str) -> None:
    """Refuse (400) unless the parts, sorted, are an archive of that size and tree hash.

    All texts but the last are our wording.
    """
    if not parts:
        raise invalid("No part has been uploaded.")
    for index, part in enumerate(parts):
        wanted = index * part_size
        if part.first != wanted:
            raise invalid(f"Missing range: {wanted}-{part.first - 1}")
        if part is not parts[-1] and part.size != part_size:
            raise invalid(f"Missing range: {wanted + part.size}-{wanted + part_size - 1}")
    total = parts[-1].first + parts[-1].size
    if size != total:
        raise invalid(f"Invalid x-amz-archive-size: {size}. The parts have {total} bytes.")
    if tree_hash != combine([part.tree_hash for part in parts]):
        raise invalid(f"Invalid x-amz-sha256-tree-hash: {tree_hash}")
