"""Looking for the upload to resume: what is locked meanwhile, and a drive that fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.errors import SourceLost, SourceUnreadable
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.filelock import lock
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.request import Status
from glacier_mpu.vault.retry import Retry
from tests.support.engine import Notes, carry_out
from tests.support.faults import Fault, do, faulty
from tests.support.scripts import VAULT

MakeFile = Callable[..., Path]
MIB = 1 << 20
needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@needs_posix
def test_while_an_upload_is_looked_for_others_may_lock_and_read_the_file(
    tmp_path: Path, make_file: MakeFile, own_cache_folder: Path
) -> None:
    """On CIFS its lock would keep even this process from reading it."""
    source = make_file(MIB)
    free: list[bool] = []

    def look() -> None:
        with source.open("rb") as file:
            free.append(lock(file.fileno()))
        (path,) = own_cache_folder.rglob("*.lock")
        with path.open("r+b") as file:
            free.append(lock(file.fileno()))

    fault = Fault("ListMultipartUploads", do(look))
    with RehearsalServer(tmp_path / "glacier", handler=faulty(fault)) as server:
        server.store.create_vault(VAULT)
        assert carry_out(server, source, resume=True).status is Status.COMPLETED
    assert free == [True, False]


@needs_posix
def test_a_lock_that_can_be_put_nowhere_keeps_no_run_from_its_upload(
    server: RehearsalServer,
    make_file: MakeFile,
    own_cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_cache_folder.rmdir()
    own_cache_folder.write_bytes(b"no folder")
    monkeypatch.setattr("tempfile.tempdir", str(own_cache_folder))
    assert carry_out(server, make_file(MIB), resume=True).status is Status.COMPLETED


def test_a_wait_for_another_run_ends_when_the_run_is_stopped(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stop()

    def taken(_: int) -> bool:
        stop.ask()
        return False

    monkeypatch.setattr("glacier_mpu.transfer.resume.lock", taken)
    outcome = carry_out(server, make_file(MIB), resume=True, stop=stop)
    assert outcome.status is Status.OPEN
    assert outcome.upload_id == ""


# -- a drive that fails while the upload is looked for

NOT_LONG = Waits(longest=0.05)


def failing(monkeypatch: pytest.MonkeyPatch, method: str, *, times: int) -> None:
    """Let the source fail so often, in its first calls of this method."""
    real = getattr(FileSource, method)
    left = iter(range(times))

    def fails(source: FileSource, *arguments: Any, **rest: Any) -> Any:
        if next(left, None) is not None:
            raise SourceUnreadable("EIO")
        return real(source, *arguments, **rest)

    monkeypatch.setattr(FileSource, method, fails)


@pytest.mark.parametrize(
    ("method", "call"), [("digest", "read_block"), ("check_unchanged", "read_file")]
)
def test_a_file_that_cannot_be_read_for_a_while_is_retried_while_its_upload_is_looked_for(
    server: RehearsalServer,
    make_file: MakeFile,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    call: str,
) -> None:
    source = make_file(3 * MIB)
    first = carry_out(server, source, block_size=MIB, last=1, finish=False)
    failing(monkeypatch, method, times=3)
    notes = Notes()
    outcome = carry_out(server, source, watcher=notes, resume=True, waits=NOT_LONG)
    assert outcome.status is Status.COMPLETED
    assert outcome.upload_id == first.upload_id
    assert [event.call for event in notes.of(Retry)] == [call] * 3


def test_a_file_that_stays_unreadable_while_its_upload_is_looked_for_leaves_that_open(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(3 * MIB)
    carry_out(server, source, block_size=MIB, last=1, finish=False)
    failing(monkeypatch, "digest", times=1_000_000)
    waits = Waits(retry=0.2, longest=0.05)
    outcome = carry_out(server, source, resume=True, waits=waits)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, SourceLost)
