"""The stand-in's folder after `kill -9`: what was acknowledged is there, nothing is half done."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPException
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.records import Upload
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
    piped,
)
from tests.support.wire_client import (
    MIB,
    ROOT,
    VAULT,
    Clock,
    call,
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

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")

# -- before every step -----------------------------------------------------------------------

# Python tells an audit hook of each file that is about to be opened, renamed or removed.
DYING = """
import os, signal, sys
from pathlib import Path
from glacier_mpu.rehearsal.store import Store
steps = int(sys.argv[2])
def count(event, arguments):
    global steps
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
        steps -= 1
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
store = Store(Path(sys.argv[1]))
upload = store.uploads.get("photos", sys.argv[3])
whole_size, whole_hash, other, other_hash = sys.argv[4:]
with open(other, "rb") as file:
    other = file.read()
sys.addaudithook(count)
"""


def killed_before_each_step(
    folder: Path, deed: str, *, least: int
) -> Iterator[tuple[Store, Upload, bool]]:
    """Stores that a process left when it was killed before the first, second, ... step of a deed.

    Each has an upload with all its parts. The last one, after `least` others or more, is that
    of a process that lived to do the deed; only there is the third value true.
    """
    with closing(Store(folder / "origin")) as store:
        upload = opened(store)
    (folder / "other").write_bytes(OTHER)
    facts = [len(WHOLE), tree_hash(WHOLE), folder / "other", tree_hash(OTHER)]
    step, done = 0, False
    while not done:
        step += 1
        words = [folder / str(step), step, upload.upload_id, *facts]
        shutil.copytree(folder / "origin", folder / str(step))
        ended = subprocess.run(
            [sys.executable, "-c", DYING + deed, *map(str, words)], check=False, cwd=ROOT
        )
        assert ended.returncode in (0, -signal.SIGKILL)
        done = ended.returncode == 0
        for path in (folder / str(step) / "archives").iterdir():
            assert path.read_bytes() in (WHOLE, OTHER)  # before anything repairs it
        with closing(Store(folder / str(step))) as store:
            yield store, upload, done
    assert step > least


def test_a_completion_killed_before_any_step_is_repeated_and_gives_one_archive(
    tmp_path: Path,
) -> None:
    deed = "store.uploads.complete('photos', upload.upload_id, size=int(whole_size)"
    deed += ", tree_hash=whole_hash)"
    for store, upload, done in killed_before_each_step(tmp_path, deed, least=10):
        known = store.archives(VAULT)
        assert len(known) == 1 if done else len(known) <= 1
        for archive in known:
            assert store.archive_path(archive.archive_id).read_bytes() == WHOLE
            assert leftovers(store) == []  # opening the folder finished it
        assert completed(store, upload) == WHOLE
        assert len(store.archives(VAULT)) == 1
        assert leftovers(store) == []


def test_a_part_replaced_by_a_process_killed_before_any_step_is_the_old_or_the_new_one(
    tmp_path: Path,
) -> None:
    deed = """
with store.receiving() as body:
    body.write(other)
    store.uploads.keep(body, upload, first=1 << 20, size=len(other), tree_hash=other_hash)
"""
    for store, upload, done in killed_before_each_step(tmp_path, deed, least=4):
        part = store.uploads.parts(upload.upload_id, start=MIB, limit=1)[0]
        replaced = part.tree_hash == tree_hash(OTHER)
        assert replaced or not done
        whole = WHOLE.replace(PIECES[1], OTHER) if replaced else WHOLE
        assert completed(store, upload, whole) == whole


def test_an_archive_in_one_piece_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    deed = """
with store.receiving() as body:
    body.write(other)
    store.keep_archive(body, "photos", size=len(other), tree_hash=other_hash, description=None)
"""
    for store, upload, done in killed_before_each_step(tmp_path, deed, least=3):
        known = store.archives(VAULT)
        assert len(known) == 1 if done else len(known) <= 1
        for archive in known:
            assert store.archive_path(archive.archive_id).read_bytes() == OTHER
        assert completed(store, upload) == WHOLE


def test_an_abort_killed_before_any_step_is_repeated_and_frees_the_space(tmp_path: Path) -> None:
    deed = "store.uploads.abort('photos', upload.upload_id)"
    for store, upload, _ in killed_before_each_step(tmp_path, deed, least=5):
        store.uploads.abort(VAULT, upload.upload_id)
        assert leftovers(store) == []
        with pytest.raises(Refusal, match="404"):
            complete(store, upload)


# -- a server ---------------------------------------------------------------------------------


def test_a_server_killed_in_the_middle_of_a_part_has_the_parts_before_it(tmp_path: Path) -> None:
    now, full, part = Clock.set_right(), pattern(4 * MIB), pattern(4 * MIB, seed=1)
    with served(tmp_path) as (url, process):
        assert call(url, now, "PUT", f"/-/vaults/{VAULT}").status == 201
        upload = initiate(url, now, part_size=4 * MIB)
        assert put_part(url, now, upload, 0, full).status == 204
        with dialled(url) as wire:
            wire.sendall(part_head(upload, now, part, first=4 * MIB) + part[: 2 * MIB])
            incoming = tmp_path / "incoming"
            wait_until(lambda: sum(path.stat().st_size for path in incoming.iterdir()) >= 2 * MIB)
            process.kill()
            process.wait()
    with RehearsalServer(tmp_path) as server:
        assert stored(server, now, upload) == [(f"0-{4 * MIB - 1}", tree_hash(full))]
        assert put_part(server, now, upload, 4 * MIB, part).status == 204
        done = wire_client.complete(server, now, upload, size=8 * MIB, tree=tree_hash(full + part))
        path = server.store.archive_path(done.headers["x-amz-archive-id"])
        assert path.read_bytes() == full + part


def test_a_server_killed_while_it_appends_the_parts_completes_after_a_restart(
    tmp_path: Path,
) -> None:
    now = Clock.set_right()
    with closing(Store(tmp_path)) as store:
        upload = opened(store)
        pipe = piped(store, upload, 2)
    path = f"/-/vaults/{VAULT}/multipart-uploads/{upload.upload_id}"

    def complete_it(server: wire_client.Server) -> wire_client.Reply:
        return wire_client.complete(server, now, path, size=len(WHOLE), tree=tree_hash(WHOLE))

    with served(tmp_path) as (url, process), ThreadPoolExecutor() as pool:
        unanswered = pool.submit(complete_it, url)
        with pipe.open("wb"):  # which waits until the server has come to this part
            process.kill()
            process.wait()
        with pytest.raises((OSError, HTTPException)):
            unanswered.result()
    assert (tmp_path / "incoming" / upload.archive_id).read_bytes() == WHOLE[: 2 * MIB]
    assert list((tmp_path / "archives").iterdir()) == []
    pipe.unlink()
    pipe.write_bytes(PIECES[2])
    with RehearsalServer(tmp_path) as server:
        assert len(stored(server, now, path)) == len(PIECES)
        done = complete_it(server)
        archive = server.store.archive_path(done.headers["x-amz-archive-id"])
        assert archive.read_bytes() == WHOLE
        assert leftovers(server.store) == []


# -- at random moments -----------------------------------------------------------------------

BUSY = """
import sys
from pathlib import Path
from glacier_mpu.rehearsal.store import Store
from tests.support.store_kit import *
store, seed = Store(Path(sys.argv[1])), int(sys.argv[2])
while True:
    seed += 1
    pieces = [OTHER, *PIECES[seed % 3:]]
    upload = opened(store, filled=False)
    print("begun", upload.upload_id, seed, flush=True)
    for index, body in [(0, PIECES[0]), *enumerate(pieces)]:
        keep(store, upload, index, body)
        print("kept", index, tree_hash(body), flush=True)
    print("completed", complete(store, upload, b"".join(pieces)), flush=True)
"""


def test_kills_at_random_moments_cost_no_acknowledged_part_and_no_archive(tmp_path: Path) -> None:
    chance = random.Random(5)
    with closing(Store(tmp_path)) as store:
        for turn in range(6):
            with subprocess.Popen(
                [sys.executable, "-c", BUSY, str(tmp_path), str(turn)],
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            ) as process:
                assert process.stdout
                lines = [process.stdout.readline() for _ in range(chance.randint(1, 30))]
                process.kill()
                lines += process.stdout.readlines()
            check_acknowledged(store, [line.split() for line in lines if line.endswith("\n")])


def check_acknowledged(store: Store, lines: list[list[str]]) -> None:
    """Hold a store to what a process printed before it was killed, and finish its last upload."""
    kept: dict[int, str] = {}
    for word, *facts in lines:
        if word == "begun":
            upload_id, pieces, kept = facts[0], [OTHER, *PIECES[int(facts[1]) % 3 :]], {}
        elif word == "kept":
            kept[int(facts[0])] = facts[1]
        else:
            assert store.archive_path(facts[0]).read_bytes() == b"".join(pieces)
    whole = b"".join(pieces)
    if lines[-1][0] != "completed":
        listed = store.uploads.page(VAULT, start=upload_id, limit=1)
        if [upload.upload_id for upload in listed] == [upload_id]:
            fill(store, listed[0], pieces, kept)
        # Otherwise the process was killed between completing it and saying so.
    archive = store.uploads.complete(VAULT, upload_id, size=len(whole), tree_hash=tree_hash(whole))
    assert store.archive_path(archive.archive_id).read_bytes() == whole


def fill(store: Store, upload: Upload, pieces: list[bytes], kept: dict[int, str]) -> None:
    """Hold an open upload to the parts that were acknowledged, and send all of them again."""
    parts = store.uploads.parts(upload.upload_id, start=0, limit=9)
    found = {part.first // MIB: part.tree_hash for part in parts}
    for index, sent in kept.items():
        # The first part is sent twice: the second one may be there without an acknowledgement.
        assert found[index] == sent or (index == 0 and found[0] == tree_hash(OTHER))
    for index, body in enumerate(pieces):
        keep(store, upload, index, body)
