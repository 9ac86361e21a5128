"""The stand-in's folder with several threads and processes at work in it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.records import Upload
from glacier_mpu.rehearsal.store import Store
from glacier_mpu.rehearsal.wire import Refusal
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
    piped,
)
from tests.support.wire_client import ROOT, VAULT

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")


def together(store: Store, upload: Upload, *deeds: str) -> list[str]:
    """Run each deed in a process of its own, all released at once; what they printed."""
    code = (
        "import sys; from pathlib import Path; from glacier_mpu.rehearsal.store import Store\n"
        "from tests.support.store_kit import *; from tests.support.wire_client import VAULT\n"
        "store = Store(Path(sys.argv[1])); upload = store.uploads.get(VAULT, sys.argv[2])\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code + deed, str(store.folder), upload.upload_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for deed in deeds
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(deeds)
    return printed


def test_of_threads_that_write_one_part_one_wins_whole(store: Store, upload: Upload) -> None:
    barrier = threading.Barrier(4)

    def write(body: bytes) -> None:
        barrier.wait()
        for _ in range(5):
            keep(store, upload, 1, body)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [PIECES[0], PIECES[1], PIECES[2], OTHER]))
    body = part_file(store, upload, 1).read_bytes()
    assert body in [*PIECES[:3], OTHER]
    whole = PIECES[0] + body + PIECES[2] + PIECES[3]
    assert completed(store, upload, whole) == whole
    assert leftovers(store) == []


def test_of_two_processes_that_write_one_part_one_wins_whole(live: Store) -> None:
    upload = opened(live)
    together(
        live,
        upload,
        "for _ in range(20): keep(store, upload, 1, OTHER)",
        "for _ in range(20): keep(store, upload, 1, PIECES[0])",
    )
    body = part_file(live, upload, 1).read_bytes()
    assert body in [OTHER, PIECES[0]]
    whole = PIECES[0] + body + PIECES[2] + PIECES[3]
    assert completed(live, upload, whole) == whole
    assert leftovers(live) == []


def test_completions_of_many_threads_at_once_give_one_archive(store: Store, upload: Upload) -> None:
    barrier = threading.Barrier(8)

    def complete_it() -> str:
        barrier.wait()
        return complete(store, upload)

    with ThreadPoolExecutor(8) as pool:
        answers = {future.result() for future in [pool.submit(complete_it) for _ in range(8)]}
    (archive,) = store.archives(VAULT)
    assert answers == {archive.archive_id}
    assert store.archive_path(archive.archive_id).read_bytes() == WHOLE
    assert leftovers(store) == []


def test_completions_of_several_processes_at_once_give_one_archive(live: Store) -> None:
    upload = opened(live)
    answers = together(live, upload, *["print(complete(store, upload), end='')"] * 3)
    (archive,) = live.archives(VAULT)
    assert set(answers) == {archive.archive_id}
    assert live.archive_path(archive.archive_id).read_bytes() == WHOLE
    assert leftovers(live) == []


@needs_pipes
def test_a_complete_that_is_repeated_while_the_first_one_copies_waits_for_its_answer(
    live: Store,
) -> None:
    upload = opened(live)
    pipe = piped(live, upload, 1)
    with closing(Store(live.folder)) as another, ThreadPoolExecutor() as pool:
        first = pool.submit(complete, live, upload)
        with pipe.open("wb") as end:
            repeated = [pool.submit(complete, store, upload) for store in (live, another)]
            end.write(PIECES[1])
        assert {answer.result() for answer in repeated} == {first.result()}
    assert completed(live, upload) == WHOLE


@needs_pipes
@pytest.mark.parametrize("index", [0, 1, 2], ids=["copied", "being copied", "to be copied"])
def test_a_part_sent_again_during_completion_makes_it_fail_if_it_is_one(
    store: Store, upload: Upload, index: int
) -> None:
    pipe = piped(store, upload, 1)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(complete, store, upload)
        with pipe.open("wb") as end:
            keep(store, upload, index, OTHER)
            end.write(PIECES[1])
        with pytest.raises(Refusal, match="500 ServiceUnavailableException"):
            answer.result()
    assert list((store.folder / "archives").iterdir()) == []
    keep(store, upload, 1, PIECES[1])
    pieces = list(PIECES)
    if index != 1:
        pieces[index] = OTHER
    whole = b"".join(pieces)
    assert completed(store, upload, whole) == whole
    assert leftovers(store) == []


@needs_pipes
def test_an_abort_during_completion_leaves_no_archive(store: Store, upload: Upload) -> None:
    pipe = piped(store, upload, 1)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(complete, store, upload)
        with pipe.open("wb") as end:
            store.uploads.abort(VAULT, upload.upload_id)
            end.write(PIECES[1])
        with pytest.raises(Refusal, match="404"):
            answer.result()
    assert store.archives(VAULT) == []
    assert leftovers(store) == []


def test_a_fresh_folder_can_be_opened_by_many_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from glacier_mpu.rehearsal.store import Store\n"
        "store = Store(Path(sys.argv[1])); store.create_vault('v'); store.close()"
    )
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(tmp_path / "new")])
        for _ in range(6)
    ]
    assert [process.wait(timeout=30) for process in started] == [0] * 6
