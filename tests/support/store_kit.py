"""Parts of an archive, and how to bring them into a store without a server."""

from __future__ import annotations

import os
from pathlib import Path

from glacier_mpu.rehearsal.records import Upload
from glacier_mpu.rehearsal.store import Store
from tests.support.wire_client import MIB, VAULT, pattern, tree_hash

PIECES = [pattern(MIB, seed=seed) for seed in range(3)] + [pattern(777, seed=3)]
WHOLE = b"".join(PIECES)
OTHER = pattern(MIB, seed=9)


def opened(store: Store, *, filled: bool = True) -> Upload:
    """A new upload of that vault, with the parts of WHOLE if it is to be filled."""
    store.create_vault(VAULT)
    upload_id = store.uploads.initiate(VAULT, part_size=MIB, description=None)
    upload = store.uploads.get(VAULT, upload_id)
    for index, body in enumerate(PIECES if filled else []):
        keep(store, upload, index, body)
    return upload


def keep(store: Store, upload: Upload, index: int, body: bytes) -> None:
    """Store a part."""
    with store.receiving() as incoming:
        incoming.write(body)
        store.uploads.keep(
            incoming, upload, first=index * MIB, size=len(body), tree_hash=tree_hash(body)
        )


def complete(store: Store, upload: Upload, whole: bytes = WHOLE) -> str:
    """Complete an upload of those bytes; the archive's id."""
    archive = store.uploads.complete(
        VAULT, upload.upload_id, size=len(whole), tree_hash=tree_hash(whole)
    )
    return archive.archive_id


def completed(store: Store, upload: Upload, whole: bytes = WHOLE) -> bytes:
    """Complete an upload of those bytes; what the archive's file holds."""
    return store.archive_path(complete(store, upload, whole)).read_bytes()


def leftovers(store: Store) -> list[str]:
    """What lies in the folders of bodies that are not archives."""
    found = (path for name in ("uploads", "incoming") for path in (store.folder / name).rglob("*"))
    return sorted(str(path.relative_to(store.folder)) for path in found)


def part_file(store: Store, upload: Upload, index: int) -> Path:
    """The file of a stored part."""
    (path,) = (store.folder / "uploads" / upload.upload_id).glob(f"{index * MIB}-*")
    return path


def piped(store: Store, upload: Upload, index: int) -> Path:
    """Put a pipe in the place of a part's file.

    A completion that comes to it waits until somebody writes to it, and whoever opens it to
    write waits for the completion.
    """
    path = part_file(store, upload, index)
    path.unlink()
    os.mkfifo(path)
    return path
