"""The stand-in's folder: nothing that was acknowledged is lost or damaged, whatever is killed."""

from __future__ import annotations

import gc
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from glacier_mpu.rehearsal.records import Part, Upload, combine
from glacier_mpu.rehearsal.server import RehearsalServer, Store, utc_now
from glacier_mpu.rehearsal.wire import Refusal
from tests.support.rehearsal_kit import (
    MIB,
    VAULT,
    Clock,
    call,
    complete,
    dialled,
    initiate,
    part_head,
    pattern,
    put_part,
    served,
    stored,
    tree_hash,
    wait_until,
)

PIECES = [pattern(MIB, seed=seed) for seed in range(3)] + [pattern(777, seed=3)]
WHOLE = b"".join(PIECES)
OTHER = pattern(MIB, seed=9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with closing(Store(tmp_path, now=clock)) as store:
        store.create_vault(VAULT)
        yield store


@pytest.fixture
def upload(store: Store) -> Upload:
    upload_id = store.uploads.initiate(VAULT, part_size=MIB, description=None)
    return store.uploads.get(VAULT, upload_id)


def keep(store: Store, upload: Upload, index: int, body: bytes) -> bool:
    """Store a part; whether it was written straight to its place."""
    with store.uploads.land(upload, index * MIB) as landing:
        landing.write(body)
        store.uploads.keep(landing, upload, Part(index * MIB, len(body), tree_hash(body)))
    return landing.direct


def keep_all(store: Store, upload: Upload) -> None:
    for index, body in enumerate(PIECES):
        keep(store, upload, index, body)


def completed(store: Store, upload: Upload, whole: bytes = WHOLE) -> bytes:
    archive = store.complete(VAULT, upload.upload_id, size=len(whole), tree_hash=tree_hash(whole))
    return store.archive_path(archive.archive_id).read_bytes()


def files(store: Store) -> list[str]:
    """What lies in the folders of bodies that are not archives."""
    return sorted(
        path.name for name in ("uploads", "incoming") for path in (store.folder / name).iterdir()
    )


# -- who may write where ---------------------------------------------------------------------


def test_every_part_is_written_once_and_completion_renames(store: Store, upload: Upload) -> None:
    keep_all(store, upload)
    place = store.folder / "uploads" / upload.upload_id
    inode = place.stat().st_ino
    archive = store.complete(VAULT, upload.upload_id, size=len(WHOLE), tree_hash=tree_hash(WHOLE))
    assert store.archive_path(archive.archive_id).stat().st_ino == inode
    assert files(store) == []


def test_a_resent_part_that_is_the_same_is_dropped(store: Store, upload: Upload) -> None:
    keep_all(store, upload)
    assert not keep(store, upload, 1, PIECES[1])
    assert files(store) == [upload.upload_id]
    assert completed(store, upload) == WHOLE


def test_the_latest_of_different_parts_wins(store: Store, upload: Upload) -> None:
    keep_all(store, upload)
    for body in (OTHER, PIECES[0], OTHER):
        assert not keep(store, upload, 1, body)
        assert len(files(store)) == 2  # what was replaced is gone at once
    whole = PIECES[0] + OTHER + PIECES[2] + PIECES[3]
    assert completed(store, upload, whole) == whole
    assert files(store) == []


def test_a_short_part_replaced_by_a_full_one_and_the_other_way_round(
    store: Store, upload: Upload
) -> None:
    keep(store, upload, 0, PIECES[3])
    keep(store, upload, 1, PIECES[1])
    keep(store, upload, 0, PIECES[0])
    keep(store, upload, 1, PIECES[3])
    assert completed(store, upload, PIECES[0] + PIECES[3]) == PIECES[0] + PIECES[3]


def test_an_unverified_resend_does_not_damage_the_stored_part(tmp_path: Path, clock: Clock) -> None:
    with RehearsalServer(tmp_path, now=clock) as server:
        server.store.create_vault(VAULT)
        upload = initiate(server, clock)
        assert put_part(server, clock, upload, 0, PIECES[0]).status == 204
        wrong = put_part(server, clock, upload, 0, OTHER, x_amz_sha256_tree_hash="0" * 64)
        assert wrong.status == 400
        assert stored(server, clock, upload) == [(f"0-{MIB - 1}", tree_hash(PIECES[0]))]
        done = complete(server, clock, upload, size=MIB, tree=tree_hash(PIECES[0]))
        path = server.store.archive_path(done.headers["x-amz-archive-id"])
        assert path.read_bytes() == PIECES[0]


def test_noise_behind_the_last_part_is_cut_off(store: Store, upload: Upload) -> None:
    with store.uploads.land(upload, 7 * MIB) as landing:
        landing.write(OTHER)
    keep_all(store, upload)
    assert completed(store, upload) == WHOLE


def test_a_part_that_failed_is_written_to_its_place_the_next_time(
    store: Store, upload: Upload
) -> None:
    with store.uploads.land(upload, 0) as landing:
        landing.write(OTHER)
    assert landing.direct
    assert keep(store, upload, 0, PIECES[0])


def test_while_one_writes_another_cannot_and_the_first_is_stopped_by_completion(
    store: Store, upload: Upload
) -> None:
    keep_all(store, upload)
    place = store.folder / "uploads" / upload.upload_id
    with store.uploads.land(upload, 4 * MIB) as stuck:  # a client that hangs for ever
        stuck.write(b"x" * 10)
        assert stuck.path == place
        assert not keep(store, upload, 4, PIECES[3])
        whole = b"".join(PIECES[:3])
        keep(store, upload, 3, OTHER)
        whole += OTHER + PIECES[3]
        assert completed(store, upload, whole) == whole
        with pytest.raises(Refusal, match="Another call"):
            stuck.write(b"y" * 10)
        with pytest.raises(Refusal, match="was not found"):
            store.uploads.keep(stuck, upload, Part(4 * MIB, 10, tree_hash(b"x" * 10)))


def test_completion_stops_a_body_that_is_no_part_of_the_archive(
    store: Store, upload: Upload
) -> None:
    keep_all(store, upload)
    with store.uploads.land(upload, 9 * MIB) as stuck:
        stuck.write(b"x")
        assert completed(store, upload) == WHOLE
        with pytest.raises(Refusal, match="500"):
            stuck.write(b"y")
    (archive,) = store.archives(VAULT)
    assert store.archive_path(archive.archive_id).stat().st_size == len(WHOLE)


def test_a_body_whose_place_was_taken_after_its_last_byte_is_not_recorded(
    store: Store, upload: Upload
) -> None:
    with store.uploads.land(upload, 0) as slow:
        slow.write(PIECES[0])
        keep(store, upload, 0, OTHER)
        store.uploads._gather(VAULT, upload.upload_id, size=MIB, tree_hash=tree_hash(OTHER))
        with pytest.raises(Refusal, match="500"):
            store.uploads.keep(slow, upload, Part(0, MIB, tree_hash(PIECES[0])))
    assert completed(store, upload, OTHER) == OTHER


def test_a_slow_first_body_may_still_win_over_the_one_that_overtook_it(
    store: Store, upload: Upload
) -> None:
    with store.uploads.land(upload, 0) as slow:
        slow.write(PIECES[0])
        assert not keep(store, upload, 0, OTHER)
        assert len(files(store)) == 2
        store.uploads.keep(slow, upload, Part(0, MIB, tree_hash(PIECES[0])))
    assert files(store) == [upload.upload_id]
    assert completed(store, upload, PIECES[0]) == PIECES[0]


def test_another_process_that_writes_holds_completion_up_and_only_that(
    store: Store, upload: Upload, tmp_path: Path, clock: Clock
) -> None:
    with closing(Store(tmp_path, now=clock)) as other:  # its own mark of life, as a process has
        for index in range(3):
            keep(store, upload, index, PIECES[index])
        with other.uploads.land(upload, 3 * MIB) as slow:
            slow.write(b"x")
            assert not keep(store, upload, 3, PIECES[3])
            with pytest.raises(Refusal, match="500 ServiceUnavailableException"):
                completed(store, upload)
            slow.write(b"y" * 5000)
        assert completed(store, upload) == completed(other, upload) == WHOLE


def test_a_complete_repeated_while_the_first_still_copies_does_not_disturb_it(
    store: Store, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_all(store, upload)
    keep(store, upload, 1, OTHER)
    whole = PIECES[0] + OTHER + PIECES[2] + PIECES[3]
    copy = shutil.copyfileobj

    def interrupted_copy(source: BinaryIO, landing: Any, size: int) -> None:
        with pytest.raises(Refusal, match="500 ServiceUnavailableException"):
            completed(store, upload, whole)
        copy(source, landing, size)

    monkeypatch.setattr(shutil, "copyfileobj", interrupted_copy)
    assert completed(store, upload, whole) == whole


def test_a_closed_store_writes_nothing_more(store: Store, upload: Upload) -> None:
    with store.uploads.land(upload, 0) as landing:
        landing.write(b"x")
        store.close()
        with pytest.raises(Refusal):
            landing.write(b"y")
    with store.uploads.land(upload, 0) as late, pytest.raises(Refusal):
        late.write(b"z")


# -- kill -9 ---------------------------------------------------------------------------------


def test_a_server_killed_in_the_middle_of_a_part_goes_on_with_the_next_one(
    tmp_path: Path,
) -> None:
    now, full, part = Clock(utc_now()), pattern(4 * MIB), pattern(4 * MIB, seed=1)
    with served(tmp_path) as (url, process):
        assert call(url, now, "PUT", f"/-/vaults/{VAULT}").status == 201
        upload = initiate(url, now, part_size=4 * MIB)
        assert put_part(url, now, upload, 0, full).status == 204
        with dialled(url) as wire:
            wire.sendall(part_head(upload, now, part, first=4 * MIB) + OTHER * 2)
            place = tmp_path / "uploads" / upload.rpartition("/")[2]
            wait_until(lambda: place.stat().st_size >= 6 * MIB)
            process.kill()
            process.wait()
    with RehearsalServer(tmp_path) as server:
        assert stored(server, now, upload) == [(f"0-{4 * MIB - 1}", tree_hash(full))]
        assert put_part(server, now, upload, 4 * MIB, part).status == 204
        assert not list((tmp_path / "incoming").iterdir())  # the dead one's claim was taken over
        done = complete(server, now, upload, size=8 * MIB, tree=tree_hash(full + part))
        path = server.store.archive_path(done.headers["x-amz-archive-id"])
        assert path.read_bytes() == full + part


# What dies at the marked place dies as by kill -9: no handler, no finally, no exit code of its own.
DYING = """
import os, sys
from pathlib import Path
from glacier_mpu.rehearsal.claims import Landing
from glacier_mpu.rehearsal.store import Store
from glacier_mpu.rehearsal.disk import Database
store = Store(Path(sys.argv[1]))
vault, upload_id, size, tree_hash = sys.argv[2:6]
def die(*arguments, **named): os._exit(99)
{place} = die
{deed}
"""
COMPLETE = "store.complete(vault, upload_id, size=int(size), tree_hash=tree_hash)"
ONE_PIECE = """
with store.land_archive() as landing:
    landing.write(b"one piece")
    store.keep_archive(landing, vault, size=9, tree_hash="0" * 64, description=None)
"""


def die(store: Store, upload: Upload, *, place: str, deed: str, whole: bytes = WHOLE) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            DYING.format(place=place, deed=deed),
            str(store.folder),
            VAULT,
            upload.upload_id,
            str(len(whole)),
            tree_hash(whole),
        ],
        check=False,
    )
    assert ended.returncode == 99


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Store]:
    """A store by the true time, as the processes that die beside it."""
    with closing(Store(tmp_path / "live")) as store:
        store.create_vault(VAULT)
        yield store


@pytest.fixture
def begun(live: Store) -> Upload:
    upload_id = live.uploads.initiate(VAULT, part_size=MIB, description=None)
    upload = live.uploads.get(VAULT, upload_id)
    keep_all(live, upload)
    return upload


@pytest.mark.parametrize("reopened", [True, False], ids=["reopened", "asked for"])
def test_an_archive_committed_but_not_renamed_is_put_in_place_when(
    live: Store, begun: Upload, reopened: bool
) -> None:
    die(live, begun, place="Store._place", deed=COMPLETE)
    assert files(live) == [begun.upload_id]
    (archive,) = live.archives(VAULT)
    if reopened:
        Store(live.folder).close()
        assert files(live) == []
    assert live.archive_path(archive.archive_id).read_bytes() == WHOLE
    assert completed(live, begun) == WHOLE
    assert len(live.archives(VAULT)) == 1


def test_an_archive_in_one_piece_that_was_committed_is_put_in_place(
    live: Store, begun: Upload
) -> None:
    die(live, begun, place="Store._place", deed=ONE_PIECE)
    (archive,) = live.archives(VAULT)
    assert live.archive_path(archive.archive_id).read_bytes() == b"one piece"
    assert files(live) == [begun.upload_id]


def test_a_kill_before_the_commit_leaves_the_upload_open(live: Store, begun: Upload) -> None:
    die(live, begun, place="store.uploads._commit", deed=COMPLETE)
    assert len(live.uploads.parts(begun.upload_id, start=0, limit=9)) == 4
    assert completed(live, begun) == WHOLE


@pytest.mark.parametrize(
    "place", ["Landing.write", "Landing.end", "store._claims.give_up"], ids=str
)
def test_a_kill_while_a_replaced_part_is_copied_in_loses_nothing(
    live: Store, begun: Upload, place: str
) -> None:
    keep(live, begun, 1, OTHER)
    whole = PIECES[0] + OTHER + PIECES[2] + PIECES[3]
    die(live, begun, place=place, deed=COMPLETE, whole=whole)
    assert completed(live, begun, whole) == whole
    assert files(live) == []


def test_kills_at_random_moments_never_cost_an_acknowledged_part(
    tmp_path: Path, live: Store, begun: Upload
) -> None:
    """A process that stores and replaces parts as fast as it can, killed five times."""
    deed = tmp_path / "deed.py"
    deed.write_text(
        "import sys; from pathlib import Path\n"
        "from tests.rehearsal.test_store import *\n"
        "store = Store(Path(sys.argv[1])); upload = store.uploads.get(VAULT, sys.argv[2])\n"
        "for round in range(10**6):\n"
        "    index, seed = round % 3, round % 5\n"
        "    keep(store, upload, index, pattern(MIB, seed=seed))\n"
        "    print(index, seed, flush=True)\n"
    )
    chance = random.Random(5)
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, str(deed), str(live.folder), begun.upload_id],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randint(1, 20)):
                assert process.stdout.readline()
            process.kill()
    parts = live.uploads.parts(begun.upload_id, start=0, limit=9)
    known = {tree_hash(body): body for seed in range(5) for body in [pattern(MIB, seed=seed)]}
    known[tree_hash(PIECES[3])] = PIECES[3]
    whole = b"".join(known[part.tree_hash] for part in parts)
    assert len(whole) == len(WHOLE)
    assert completed(live, begun, whole) == whole


# -- tidying up ------------------------------------------------------------------------------


def test_orphans_are_swept_when_the_store_is_opened_but_not_what_may_be_in_use(
    store: Store, upload: Upload
) -> None:
    keep_all(store, upload)
    keep(store, upload, 1, OTHER)
    (replaced,) = (store.folder / "incoming").iterdir()
    for name in ("uploads/unknown", "incoming/old", "incoming/fresh", "owners/dead"):
        (store.folder / name).write_bytes(b"x")
    for path in (store.folder / "incoming/old", store.folder / "owners/dead", replaced):
        os.utime(path, (time.time() - 90_000,) * 2)
    Store(store.folder, now=store._now).close()
    assert files(store) == sorted(["fresh", replaced.name, upload.upload_id])
    assert not (store.folder / "owners/dead").exists()


def test_an_upload_whose_day_is_over_gives_its_space_back(
    store: Store, upload: Upload, clock: Clock
) -> None:
    keep_all(store, upload)
    clock.move(hours=24)
    Store(store.folder, now=clock).close()
    assert files(store) == []


def test_a_deleted_archive_is_not_given_by_a_repeated_complete(
    store: Store, upload: Upload
) -> None:
    keep_all(store, upload)
    completed(store, upload)
    (archive,) = store.archives(VAULT)
    store.delete_archive(VAULT, archive.archive_id)
    with pytest.raises(Refusal, match="404"):
        completed(store, upload)
    assert files(store) == []


def test_a_fresh_folder_can_be_opened_by_many_processes_at_once(tmp_path: Path) -> None:
    opening = (
        "import sys\nfrom pathlib import Path\nfrom glacier_mpu.rehearsal.server import Store\n"
    )
    opening += "store = Store(Path(sys.argv[1])); store.create_vault('v'); store.close()"
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", opening, str(tmp_path / "new")])
        for _ in range(6)
    ]
    assert [process.wait(timeout=30) for process in started] == [0] * 6


def test_a_store_that_nobody_closes_leaks_no_connection(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.create_vault(VAULT)
    del store
    gc.collect()  # a ResourceWarning would fail the test
    assert not list((tmp_path / "owners").iterdir())


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
