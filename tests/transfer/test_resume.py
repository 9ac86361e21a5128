"""Looking for the upload to resume: what is locked meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.filelock import lock
from glacier_mpu.stop import Stop
from glacier_mpu.transfer.request import Status
from tests.support.engine import carry_out
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
