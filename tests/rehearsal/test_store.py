"""The stand-in's folder: parts, completion, full disks, restarts, and what is removed."""

from __future__ import annotations

import errno
import gc
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.files import without_limit
from glacier_mpu.rehearsal.records import Upload, combine
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.store import Store
from glacier_mpu.rehearsal.wire import Refusal
from tests.support import wire_client
from tests.support.store_kit import (
    OTHER,
    PIECES,
    WHOLE,
    complete,
    completed,
    keep,
    leftovers,
    opened,
    part_file,
)
from tests.support.wire_client import (
    MIB,
    VAULT,
    Clock,
    initiate,
    put_part,
    served,
    stored,
    tree_hash,
)

# -- parts and completion --------------------------------------------------------------------


def test_completion_leaves_the_archive_and_nothing_else(store: Store, upload: Upload) -> None:
    assert len(leftovers(store)) == 1 + len(PIECES)
    archive_id = complete(store, upload)
    (archive,) = (store.folder / "archives").iterdir()
    assert (archive.name, archive.read_bytes()) == (archive_id, WHOLE)
    assert leftovers(store) == []


def test_the_latest_body_of_a_part_wins_and_the_one_before_is_removed(
    store: Store, upload: Upload
) -> None:
    for body in (PIECES[1], OTHER, PIECES[0], OTHER):
        keep(store, upload, 1, body)
        assert part_file(store, upload, 1).read_bytes() == body
        assert len(leftovers(store)) == 1 + len(PIECES)
    whole = PIECES[0] + OTHER + PIECES[2] + PIECES[3]
    assert completed(store, upload, whole) == whole
    assert leftovers(store) == []


def test_a_full_part_replaces_a_short_one_and_a_short_one_a_full_one(store: Store) -> None:
    upload = opened(store, filled=False)
    for index, body in [(0, PIECES[3]), (1, PIECES[1]), (0, PIECES[0]), (1, PIECES[3])]:
        keep(store, upload, index, body)
    assert completed(store, upload, PIECES[0] + PIECES[3]) == PIECES[0] + PIECES[3]


def test_a_body_with_a_wrong_hash_does_not_replace_the_stored_part(
    tmp_path: Path, clock: Clock
) -> None:
    with RehearsalServer(tmp_path, now=clock) as server:
        server.store.create_vault(VAULT)
        path = initiate(server, clock)
        assert put_part(server, clock, path, 0, PIECES[0]).status == 204
        wrong = put_part(server, clock, path, 0, OTHER, x_amz_sha256_tree_hash="0" * 64)
        assert wrong.status == 400
        assert stored(server, clock, path) == [(f"0-{MIB - 1}", tree_hash(PIECES[0]))]
        done = wire_client.complete(server, clock, path, size=MIB, tree=tree_hash(PIECES[0]))
        archive = server.store.archive_path(done.headers["x-amz-archive-id"])
        assert archive.read_bytes() == PIECES[0]
        assert leftovers(server.store) == []


def refuse_to_copy(source: int, target: int, count: int) -> int:
    raise OSError(errno.EXDEV, "as between two file systems")


def copy_a_little(source: int, target: int, count: int) -> int:
    if os.lseek(source, 0, os.SEEK_CUR):
        return 0
    return os.write(target, os.read(source, 500))


@pytest.mark.parametrize("copy", [refuse_to_copy, copy_a_little, None])
def test_completion_does_not_depend_on_the_kernels_copy(
    store: Store,
    upload: Upload,
    monkeypatch: pytest.MonkeyPatch,
    copy: Callable[[int, int, int], int] | None,
) -> None:
    if copy:
        monkeypatch.setattr(os, "copy_file_range", copy, raising=False)
    else:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    assert completed(store, upload) == WHOLE


def test_a_part_whose_file_was_damaged_makes_no_archive(store: Store, upload: Upload) -> None:
    os.truncate(part_file(store, upload, 2), 5)
    with pytest.raises(Refusal, match="500 ServiceUnavailableException"):
        complete(store, upload)
    keep(store, upload, 2, PIECES[2])
    assert completed(store, upload) == WHOLE


# -- a full disk -----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process")
def test_a_completion_for_which_the_disk_has_no_room_fails_and_can_be_repeated(
    live: Store,
) -> None:
    import resource

    now, path = Clock.set_right(), f"/-/vaults/{VAULT}/multipart-uploads/"
    upload = opened(live)
    path += upload.upload_id
    with served(live.folder) as (url, process):
        _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (5 * MIB // 2, most))
        full = wire_client.complete(url, now, path, size=len(WHOLE), tree=tree_hash(WHOLE))
        assert full.said == (
            500,
            "ServiceUnavailableException",
            "The rehearsal folder cannot be used: File too large.",
        )
        assert len(stored(url, now, path)) == len(PIECES)
        assert not [name for name in leftovers(live) if name.startswith("incoming")]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
        done = wire_client.complete(url, now, path, size=len(WHOLE), tree=tree_hash(WHOLE))
        archive = live.archive_path(done.headers["x-amz-archive-id"])
        assert archive.read_bytes() == WHOLE


# -- restarts --------------------------------------------------------------------------------


def seen(store: Store, upload: Upload) -> list[object]:
    """All that a client can ask for."""
    archives = store.archives(VAULT)
    return [
        store.vaults(after="", limit=10),
        archives,
        [store.archive_path(archive.archive_id).read_bytes() for archive in archives],
        store.uploads.page(VAULT, start="", limit=10),
        store.uploads.parts(upload.upload_id, start=0, limit=10),
    ]


def test_a_restart_changes_nothing_that_a_client_sees(
    store: Store, upload: Upload, clock: Clock
) -> None:
    done = opened(store)
    archive_id = complete(store, done)
    with store.receiving() as body:
        body.write(PIECES[3])
        store.keep_archive(body, VAULT, size=777, tree_hash=tree_hash(PIECES[3]), description="a b")
    before = seen(store, upload)
    store.close()
    with closing(Store(store.folder, now=clock)) as again:
        assert seen(again, upload) == before
        assert complete(again, done) == archive_id
        assert completed(again, upload) == WHOLE


VERSION_1 = """
CREATE TABLE uploads (upload_id TEXT PRIMARY KEY, vault TEXT, part_size INTEGER,
    description TEXT, created_ms INTEGER, active_ms INTEGER, state TEXT, archive_id TEXT);
CREATE TABLE parts (upload_id TEXT, first INTEGER, size INTEGER, tree_hash TEXT, body TEXT,
    PRIMARY KEY (upload_id, first)) WITHOUT ROWID;
CREATE TABLE archives (archive_id TEXT PRIMARY KEY, vault TEXT, size INTEGER, tree_hash TEXT,
    description TEXT, created_ms INTEGER, source TEXT);
INSERT INTO uploads VALUES ('u', 'photos', 1048576, NULL, 0, 0, 'open', NULL);
INSERT INTO parts VALUES ('u', 0, 1000, 'hash', NULL);
"""


def test_a_folder_of_version_1_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    for name in ("archives", "uploads", "incoming", "owners"):
        (tmp_path / name).mkdir()
    kept = [tmp_path / "archives" / ("a" * 138), tmp_path / "uploads" / "u"]
    for path in kept:
        path.write_bytes(b"of version 1")
        os.utime(path, (0, 0))
    with closing(sqlite3.connect(tmp_path / "vaults.sqlite3")) as db:
        db.executescript(VERSION_1)
    for _ in range(2):
        with pytest.raises(OSError, match=f"{re.escape(str(tmp_path))} was written by another"):
            Store(tmp_path)
        gc.collect()
    assert [path.read_bytes() for path in kept] == [b"of version 1"] * 2
    with closing(sqlite3.connect(tmp_path / "vaults.sqlite3")) as db:
        assert db.execute("SELECT upload_id, state FROM uploads").fetchall() == [("u", "open")]


# -- space that is given back ----------------------------------------------------------------


def make_old(path: Path) -> None:
    os.utime(path, (time.time() - 90_000,) * 2)


def test_opening_the_store_removes_what_nothing_refers_to_but_not_what_may_be_in_use(
    store: Store, upload: Upload, clock: Clock
) -> None:
    ours = leftovers(store)
    uploads, incoming = store.folder / "uploads", store.folder / "incoming"
    (uploads / "ended").mkdir()
    for path in (uploads / "ended" / "0-mark", uploads / "ended.lock"):
        path.write_bytes(b"x")
    fresh = [incoming / "fresh", uploads / upload.upload_id / "0-fresh"]
    old = [incoming / "old", uploads / upload.upload_id / "0-old"]
    for path in fresh + old:
        path.write_bytes(b"x")
    for path in [*old, *(store.folder / name for name in ours)]:
        make_old(path)
    Store(store.folder, now=clock).close()
    assert leftovers(store) == sorted(
        [*ours, *(str(path.relative_to(store.folder)) for path in fresh)]
    )
    assert completed(store, upload) == WHOLE


def test_an_upload_whose_day_is_over_gives_its_space_back(
    store: Store, upload: Upload, clock: Clock
) -> None:
    clock.move(hours=24)
    Store(store.folder, now=clock).close()
    assert leftovers(store) == []


def test_an_aborted_upload_gives_its_space_back_with_what_a_killed_completion_left(
    store: Store, upload: Upload
) -> None:
    (store.folder / "incoming" / upload.archive_id).write_bytes(PIECES[0])
    (store.folder / "uploads" / f"{upload.upload_id}.lock").touch()
    store.uploads.abort(VAULT, upload.upload_id)
    assert leftovers(store) == []


def test_a_deleted_archive_is_not_given_by_a_repeated_complete(
    store: Store, upload: Upload
) -> None:
    store.delete_archive(VAULT, complete(store, upload))
    with pytest.raises(Refusal, match="404"):
        complete(store, upload)
    assert leftovers(store) == []
    assert list((store.folder / "archives").iterdir()) == []


def test_a_store_that_nobody_closes_leaks_no_connection(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.create_vault(VAULT)
    del store
    gc.collect()  # a ResourceWarning would fail the test


# -- hashes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("part_size", [MIB, 2 * MIB, 4 * MIB])
@pytest.mark.parametrize(
    "size", [1, MIB - 1, MIB, MIB + 1, 4 * MIB, 5 * MIB, 7 * MIB + 7, 12 * MIB]
)
def test_the_combination_of_part_hashes_is_botocores_hash_of_the_whole(
    size: int, part_size: int
) -> None:
    whole = b"\5" * size
    pieces = [whole[first : first + part_size] for first in range(0, size, part_size)]
    assert combine([tree_hash(piece) for piece in pieces]) == tree_hash(whole)


@pytest.mark.parametrize(
    ("folder", "unlimited"),
    [
        (r"C:\a folder\g", r"\\?\C:\a folder\g"),
        (r"\\nas\share\g", r"\\?\UNC\nas\share\g"),
        (r"\\?\C:\g", r"\\?\C:\g"),
    ],
)
def test_on_windows_the_long_names_of_archives_fit_into_any_folder(
    folder: str, unlimited: str
) -> None:
    assert without_limit(folder) == unlimited
