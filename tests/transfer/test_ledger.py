"""What an upload does with the ledger: what it does not read, what it writes, what it tells."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.errors import BlocksMissing
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source import file as source_file
from glacier_mpu.source.blocks import MIB
from glacier_mpu.source.file import inspect
from glacier_mpu.source.ledger import Ledger
from glacier_mpu.source.treehash import Digest
from glacier_mpu.transfer.events import (
    BlockDiffers,
    Event,
    KnownBlocks,
    LedgerUnusable,
    UploadOpened,
)
from glacier_mpu.transfer.request import Outcome, Status
from tests.support.engine import Notes, Readings, carry_out
from tests.support.faults import Fault, do, faulty
from tests.support.scripts import VAULT

MakeFile = Callable[..., Path]
needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@pytest.fixture(autouse=True)
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take each file as at rest as soon as it is written: a test need not wait two seconds."""
    monkeypatch.setattr(source_file, "REST_NS", -1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def carried(server: RehearsalServer, folder: Path) -> Callable[..., Outcome]:
    """Return `carry_out` with this stand-in and this ledger."""

    def run(source: Path, **wishes: Any) -> Outcome:
        return carry_out(server, source, **{"ledger": str(folder), "block_size": MIB, **wishes})

    return run


def recalled(folder: Path, source: Path, block_size: int = MIB) -> set[int]:
    """Return which blocks the ledger knows."""
    ledger = Ledger(str(folder), inspect(str(source)), on_trouble=pytest.fail)
    return set(ledger.recall(block_size))


def written(folder: Path) -> int:
    """Return how many lines tell of a block."""
    return sum(len(path.read_text().splitlines()) - 1 for path in folder.iterdir())


def spoil(folder: Path, source: Path, number: int) -> None:
    """Let the ledger tell wrong hashes of a block."""
    ledger = Ledger(str(folder), inspect(str(source)), on_trouble=pytest.fail)
    ledger.begin(MIB, "")
    ledger.note(number, Digest(linear="0" * 64, tree=bytes(32)))
    ledger.close()


Carried = Callable[..., Outcome]
RESUMES: list[Callable[[Outcome], dict[str, Any]]] = [
    lambda first: {"upload_id": first.upload_id},
    lambda _: {"resume": True},
]
both_ways = pytest.mark.parametrize("how", RESUMES, ids=["upload-id", "resume"])


@both_ways
def test_of_stored_blocks_that_an_earlier_run_hashed_not_a_byte_is_read(
    server: RehearsalServer,
    make_file: MakeFile,
    carried: Carried,
    monkeypatch: pytest.MonkeyPatch,
    how: Callable[[Outcome], dict[str, Any]],
) -> None:
    source = make_file(6 * MIB + 5)
    first = carried(source, last=3, finish=False)
    readings, notes = Readings(monkeypatch), Notes()
    outcome = carried(source, watcher=notes, **how(first))
    assert outcome.status is Status.COMPLETED
    assert sorted(readings.hashed) == [4, 5, 6]
    assert readings.bytes_sent == 2 * MIB + 5
    assert outcome.bytes_skipped == 4 * MIB
    assert server.store.archive_path(outcome.archive.archive_id).read_bytes() == source.read_bytes()  # type: ignore[union-attr]


def test_what_is_compared_for_the_first_time_is_not_read_a_second_time(
    make_file: MakeFile, carried: Carried, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks came from another machine, say; a night of comparing must not be in vain."""
    source = make_file(4 * MIB)
    first = carried(source, ledger=None, last=2, finish=False)
    carried(source, upload_id=first.upload_id, last=1, finish=False)
    assert recalled(folder, source) == {0, 1}
    readings = Readings(monkeypatch)
    assert carried(source, upload_id=first.upload_id).status is Status.COMPLETED
    assert sorted(readings.hashed) == [2, 3]


def test_a_block_that_is_known_and_missing_is_read_only_to_be_sent(
    make_file: MakeFile, carried: Carried, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open upload may have expired: a new one needs all blocks again."""
    source = make_file(4 * MIB)
    carried(source, last=2, finish=False)
    before = written(folder)
    readings = Readings(monkeypatch)
    outcome = carried(source, finish=False)
    assert outcome.status is Status.STORED
    assert readings.hashed == [3]
    assert readings.bytes_sent == 4 * MIB
    assert written(folder) == before + 1  # what was not read is not written as if it had been


def test_a_block_that_differs_from_what_is_stored_is_sent_without_being_compared(
    make_file: MakeFile, carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make_file(3 * MIB, "before")
    first = carried(before, finish=False)
    source = make_file(3 * MIB)
    with source.open("r+b") as file:
        file.seek(MIB)
        file.write(b"changed")
    carried(source, description="another", last=1, finish=False)
    readings, notes = Readings(monkeypatch), Notes()
    outcome = carried(source, watcher=notes, upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED
    assert readings.hashed == [2]
    assert (notes.sent, notes.matching) == ([1], [2])
    assert [event.numbers for event in notes.of(KnownBlocks)] == [[0]]
    assert [(e.block.number, e.read) for e in notes.of(BlockDiffers)] == [(1, False)]
    assert list(outcome.missing) == []


def test_what_is_known_is_told_and_counted_neither_as_compared_nor_as_sent(
    make_file: MakeFile, carried: Carried
) -> None:
    """A rate over bytes that nobody read would be thousands of times too high."""
    source = make_file(5 * MIB)
    first = carried(source, last=2, finish=False)
    notes = Notes()
    carried(source, watcher=notes, upload_id=first.upload_id)
    assert notes.amounts == [(2, 2 * MIB, 0, 0)]
    assert notes.bytes == {"hashed": 2 * MIB, "sent": 2 * MIB}
    assert [(e.numbers, e.size) for e in notes.of(KnownBlocks)] == [([0, 1, 2], 3 * MIB)]


@pytest.mark.parametrize(
    "wishes", [{"ledger": None}, {"recheck": True}], ids=["no ledger", "recheck"]
)
def test_a_block_that_this_run_has_read_to_recognise_the_upload_is_not_called_known(
    make_file: MakeFile, carried: Carried, wishes: dict[str, Any]
) -> None:
    source = make_file(3 * MIB)
    carried(source, last=1, finish=False)
    notes = Notes()
    outcome = carried(source, watcher=notes, resume=True, **wishes)
    assert outcome.status is Status.COMPLETED
    assert notes.of(KnownBlocks) == []
    assert outcome.bytes_skipped == 2 * MIB


def test_a_recheck_reads_all_again_and_the_run_after_it_nothing(
    make_file: MakeFile, carried: Carried, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(3 * MIB)
    first = carried(source, finish=False)
    spoil(folder, source, 1)
    readings = Readings(monkeypatch)
    for path in folder.iterdir():
        path.unlink()
    carried(source, upload_id=first.upload_id, recheck=True, finish=False)
    assert sorted(readings.hashed) == [0, 1, 2]
    assert carried(source, upload_id=first.upload_id).status is Status.COMPLETED
    assert sorted(readings.hashed) == [0, 1, 2]


def test_a_recheck_puts_right_what_the_ledger_has_wrong(
    make_file: MakeFile, carried: Carried, folder: Path
) -> None:
    source = make_file(3 * MIB)
    first = carried(source, finish=False)
    spoil(folder, source, 1)
    carried(source, upload_id=first.upload_id, recheck=True, finish=False)
    notes = Notes()
    outcome = carried(source, watcher=notes, upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED
    assert notes.of(BlockDiffers) == []


def test_where_nothing_may_be_sent_a_difference_by_the_ledger_alone_is_looked_at(
    make_file: MakeFile, carried: Carried, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is no authority: it must not keep an intact upload from being completed."""
    source = make_file(4 * MIB)
    first = carried(source, last=2, finish=False)
    spoil(folder, source, 1)
    readings = Readings(monkeypatch)
    outcome = carried(source, upload_id=first.upload_id, first=3)
    assert outcome.status is Status.COMPLETED
    assert sorted(readings.hashed) == [1, 3]


def test_a_stored_block_that_truly_differs_is_found_where_nothing_may_be_sent(
    make_file: MakeFile, carried: Carried
) -> None:
    before = make_file(3 * MIB, "before")
    first = carried(before, last=1, finish=False)
    source = make_file(3 * MIB)
    with source.open("r+b") as file:
        file.write(b"changed")
    outcome = carried(source, upload_id=first.upload_id, first=2)
    assert isinstance(outcome.error, BlocksMissing)
    assert list(outcome.missing) == [0]


def test_a_missing_block_of_which_the_ledger_is_wrong_is_read_again_and_sent(
    server: RehearsalServer, make_file: MakeFile, carried: Carried, folder: Path
) -> None:
    source = make_file(4 * MIB)
    first = carried(source, last=0, finish=False)
    for number in (1, 3):
        spoil(folder, source, number)
    outcome = carried(source, upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED, outcome.error
    assert outcome.archive is not None
    archive = server.store.archive_path(outcome.archive.archive_id)
    assert archive.read_bytes() == source.read_bytes()


def replacing(server: RehearsalServer, source: Path, upload_id: str) -> Notes:
    """Return a watcher that lets another machine replace block 0 once it is known to be stored."""
    other = source.with_name("other")
    other.write_bytes(bytes(byte ^ 1 for byte in source.read_bytes()))

    class Replaces(Notes):
        def hear(self, event: Event, /) -> None:
            if isinstance(event, KnownBlocks) and not self.of(KnownBlocks):
                carry_out(server, other, upload_id=upload_id, first=0, last=0, finish=False)
            super().hear(event)

    return Replaces()


def test_a_block_that_the_ledger_knew_and_another_run_replaced_is_not_called_stored(
    server: RehearsalServer, make_file: MakeFile, carried: Carried
) -> None:
    source = make_file(3 * MIB)
    first = carried(source, last=1, finish=False)
    watcher = replacing(server, source, first.upload_id)
    outcome = carried(source, watcher=watcher, upload_id=first.upload_id, finish=False)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, BlocksMissing)
    assert "by those of another file: block 0" in outcome.error.message
    assert list(outcome.unproven) == [0]
    assert list(outcome.missing) == []  # the ledger is no authority for a difference


def test_a_block_that_the_ledger_knew_and_another_run_replaced_is_read_before_completion(
    server: RehearsalServer, make_file: MakeFile, carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks outside the range have to be listed anyway."""
    source = make_file(3 * MIB)
    first = carried(source, last=0, finish=False)
    carried(source, ledger=None, upload_id=first.upload_id, first=2, finish=False)
    watcher = replacing(server, source, first.upload_id)
    readings = Readings(monkeypatch)
    outcome = carried(source, watcher=watcher, upload_id=first.upload_id, last=1)
    assert isinstance(outcome.error, BlocksMissing)
    assert list(outcome.missing) == [0]
    assert sorted(readings.hashed) == [0, 0, 1, 2]  # once by the other machine


# -- what is written


def test_every_block_that_is_hashed_is_kept_until_the_upload_is_completed(
    make_file: MakeFile, carried: Carried, folder: Path
) -> None:
    source = make_file(4 * MIB)
    first = carried(source, last=2, finish=False)
    assert recalled(folder, source) == {0, 1, 2}
    carried(source, upload_id=first.upload_id)
    assert list(folder.iterdir()) == []


def test_a_stored_block_that_differs_is_kept_as_the_file_has_it(
    make_file: MakeFile, carried: Carried, folder: Path
) -> None:
    first = carried(make_file(2 * MIB, "before"), ledger=None, finish=False)
    source = make_file(2 * MIB)
    source.write_bytes(bytes(reversed(source.read_bytes())))
    carried(source, upload_id=first.upload_id, finish=False)
    assert recalled(folder, source) == {0, 1}


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
def test_a_run_that_has_ended_holds_no_file_of_the_ledger_open(
    make_file: MakeFile, carried: Carried, folder: Path
) -> None:
    carried(make_file(MIB), finish=False)
    (path,) = folder.iterdir()
    held = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    assert os.path.realpath(path) not in held


def test_of_a_file_that_may_still_be_written_nothing_is_kept(
    make_file: MakeFile, carried: Carried, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_file, "REST_NS", 3600 * 10**9)
    source = make_file(2 * MIB)
    first = carried(source, finish=False)
    carried(source, upload_id=first.upload_id, finish=False)
    carried(source, resume=True, finish=False)
    assert not folder.exists()


@needs_posix
def test_from_the_moment_at_which_a_file_changes_nothing_is_kept(
    tmp_path: Path, make_file: MakeFile, folder: Path
) -> None:
    """A changed permission is enough: whether the content has changed is not asked."""
    source = make_file(4 * MIB)
    fault = Fault("UploadMultipartPart", do(lambda: source.chmod(0o600)), after=1)
    with RehearsalServer(tmp_path / "glacier", handler=faulty(fault)) as server:
        server.store.create_vault(VAULT)
        began = inspect(str(source))
        carry_out(server, source, ledger=str(folder), block_size=MIB, finish=False)
    assert recalled(folder, source) == set()
    kept = Ledger(str(folder), began, on_trouble=pytest.fail).recall(MIB)
    assert 0 in kept
    assert 3 not in kept


def test_whether_a_file_is_at_rest_is_asked_before_a_block_is_read(
    make_file: MakeFile, carried: Carried, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(2 * MIB)
    asked: list[str] = []
    real_digest = source_file.FileSource.digest

    def is_at_rest(_: source_file.FileSource) -> bool:
        asked.append("rest")
        return True

    def digest(source: source_file.FileSource, *arguments: Any, **rest: Any) -> Digest:
        asked.append("read")
        return real_digest(source, *arguments, **rest)

    monkeypatch.setattr(source_file.FileSource, "is_at_rest", is_at_rest)
    monkeypatch.setattr(source_file.FileSource, "digest", digest)
    carried(source, last=0, finish=False)
    assert asked[-2:] == ["rest", "read"]
    assert recalled(folder, source) == {0}


def test_the_id_is_told_before_anything_is_written(
    make_file: MakeFile, carried: Carried, folder: Path
) -> None:
    there: list[bool] = []

    class Looks(Notes):
        def hear(self, event: Event, /) -> None:
            super().hear(event)
            if isinstance(event, UploadOpened):
                there.append(folder.exists())

    carried(make_file(MIB), watcher=Looks())
    assert there == [False]


def test_two_uploads_of_one_file_at_once_keep_what_is_theirs_and_know_what_the_other_hashed(
    server: RehearsalServer,
    make_file: MakeFile,
    carried: Carried,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = make_file(4 * MIB)
    one = carried(source, description="one", last=1, finish=False)
    two = carried(source, description="two", first=2, finish=False)
    readings = Readings(monkeypatch)
    assert carried(source, upload_id=one.upload_id).status is Status.COMPLETED
    assert readings.hashed == []
    assert recalled(folder, source) == {2, 3}
    assert carried(source, upload_id=two.upload_id).status is Status.COMPLETED


# -- trouble


def test_a_ledger_that_cannot_be_used_is_told_once_and_the_upload_is_completed(
    make_file: MakeFile, carried: Carried, folder: Path
) -> None:
    folder.write_bytes(b"no folder")
    notes = Notes()
    outcome = carried(make_file(4 * MIB), watcher=notes)
    assert outcome.status is Status.COMPLETED
    assert [event.folder for event in notes.of(LedgerUnusable)] == [str(folder)]


@pytest.mark.parametrize("call", ["makedirs", "listdir", "write"])
def test_a_folder_that_hangs_keeps_neither_the_upload_nor_its_end_waiting(
    make_file: MakeFile,
    carried: Carried,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    """A home on a network drive that is away."""
    monkeypatch.setattr("glacier_mpu.transfer.run._SECONDS_FOR_THE_LEDGER", 0)
    goes_on = threading.Event()
    waited_for: list[object] = []
    real = getattr(os, call)

    def hangs(*arguments: Any, **rest: Any) -> Any:
        is_ledger = arguments[0] == str(folder) or str(arguments[-1]).startswith("b'{")
        if is_ledger and not goes_on.wait(20):
            waited_for.append(call)
        return real(*arguments, **rest)

    monkeypatch.setattr(os, call, hangs)
    outcome = carried(make_file(4 * MIB), recheck=True)
    goes_on.set()
    assert outcome.status is Status.COMPLETED
    assert waited_for == []


def test_without_a_ledger_nothing_is_written(
    make_file: MakeFile, carried: Carried, folder: Path, own_cache_folder: Path
) -> None:
    carried(make_file(2 * MIB), ledger=None)
    assert not folder.exists()
    assert list(own_cache_folder.iterdir()) == []


# -- other files


@needs_posix
def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_is_read(
    make_file: MakeFile, carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(2 * MIB)
    status = source.stat()
    first = carried(source, finish=False)
    other = make_file(2 * MIB, "other")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(source)
    readings = Readings(monkeypatch)
    carried(source, upload_id=first.upload_id)
    assert sorted(readings.hashed) == [0, 1]


@needs_posix
def test_a_file_that_was_changed_and_given_its_old_time_is_read_and_sent(
    server: RehearsalServer, make_file: MakeFile, carried: Carried
) -> None:
    source = make_file(2 * MIB)
    before = source.stat()
    first = carried(source, finish=False)
    with source.open("r+b") as file:
        file.write(b"changed")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    outcome = carried(source, upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED
    assert server.store.archive_path(outcome.archive.archive_id).read_bytes() == source.read_bytes()  # type: ignore[union-attr]


# -- finding the upload to resume


def test_the_blocks_by_which_an_upload_is_recognised_are_not_read_where_they_are_known(
    make_file: MakeFile, carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(4 * MIB)
    carried(source, last=2, finish=False)
    carried(source, last=1, finish=False)
    readings = Readings(monkeypatch)
    assert carried(source, resume=True).status is Status.COMPLETED
    assert readings.hashed == [3]


def test_the_blocks_by_which_an_upload_is_recognised_leave_the_page_cache(
    make_file: MakeFile, carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(3 * MIB)
    carried(source, ledger=None, last=1, finish=False)
    released: list[int] = []
    monkeypatch.setattr(
        source_file.FileSource, "release", lambda _, block: released.append(block.number)
    )
    assert carried(source, resume=True).status is Status.COMPLETED
    assert sorted(released) == [0, 1, 2]


def test_the_blocks_by_which_an_upload_is_recognised_are_kept(
    make_file: MakeFile, carried: Carried, folder: Path
) -> None:
    source = make_file(4 * MIB)
    carried(source, ledger=None, last=2, finish=False)
    carried(source, resume=True, first=3, last=3, finish=False)
    assert recalled(folder, source) == {0, 3}


def test_a_recheck_reads_the_blocks_by_which_an_upload_is_recognised_and_none_twice(
    make_file: MakeFile, carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(4 * MIB)
    carried(source, last=2, finish=False)
    readings = Readings(monkeypatch)
    assert carried(source, resume=True, recheck=True).status is Status.COMPLETED
    assert sorted(readings.hashed) == [0, 1, 2, 3]
