"""What an upload does on its way: how often it reads, in which order it sends, what it tells."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import wait as futures_wait
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.errors import SourceChanged, SourceUnreadable
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.file import FileSource, inspect
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer import workers
from glacier_mpu.transfer.block import BlockDone, BlockTask, upload_block
from glacier_mpu.transfer.context import Context, opened_context
from glacier_mpu.transfer.events import (
    BlockDiffers,
    BlockFailed,
    CandidateRejected,
    Event,
    UploadOpened,
)
from glacier_mpu.transfer.request import FileRequest, Status
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.client import Address
from glacier_mpu.vault.errors import HashMismatch
from tests.support.engine import Notes, Readings, carry_out
from tests.support.faults import Fault, do, faulty
from tests.support.scripts import VAULT, address_of, client_of

MakeFile = Callable[..., Path]


@pytest.mark.parametrize("slots", [1, 3])
def test_each_byte_is_read_once_for_its_digest_and_once_for_sending(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    readings = Readings(monkeypatch)
    outcome = carry_out(server, make_file(7 * MIB + 11), block_size=2 * MIB, slots=slots)
    assert outcome.status is Status.COMPLETED
    assert readings.bytes_hashed == 7 * MIB + 11
    assert readings.bytes_sent == 7 * MIB + 11


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_that_is_gone_at_the_start_is_not_called_a_fault_of_the_program(
    server: RehearsalServer, make_file: MakeFile, *, resume: bool
) -> None:
    path = make_file(MIB)
    source = inspect(str(path))
    path.unlink()
    outcome = carry_out(server, source, resume=resume, waits=Waits(retry=0))
    assert isinstance(outcome.error, SourceUnreadable)
    assert (outcome.upload_id == "") is resume  # looking for an upload, none is begun


def test_the_watcher_hears_of_every_byte_and_every_block(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    notes = Notes()
    carry_out(server, make_file(5 * MIB + 1), watcher=notes, block_size=MIB, slots=2)
    assert notes.amounts == [(6, 5 * MIB + 1, 0, 0)]
    assert notes.bytes == {"sent": 5 * MIB + 1, "hashed": 5 * MIB + 1}
    assert notes.sent == list(range(6))


def test_what_is_stored_is_compared_and_not_sent(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(4 * MIB)
    first = carry_out(server, source, block_size=MIB, last=2, finish=False)
    notes = Notes()
    last = carry_out(server, source, watcher=notes, upload_id=first.upload_id)
    assert last.status is Status.COMPLETED
    assert notes.amounts == [(1, MIB, 3, 3 * MIB)]
    assert notes.bytes == {"compared": 3 * MIB, "hashed": MIB, "sent": MIB}
    assert (notes.sent, notes.matching) == ([3], [0, 1, 2])
    assert last.bytes_skipped == 3 * MIB


def test_blocks_that_are_missing_are_sent_while_stored_ones_are_still_being_compared(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stored block is compared to its end before a missing one has reached the vault."""
    source = make_file(6 * MIB)
    first = carry_out(server, source, block_size=MIB, last=3, finish=False)
    arrived = threading.Event()
    real_digest, real_send = FileSource.digest, Vault.send_block

    def digest(source: FileSource, block: Block, **rest: Any) -> Digest:
        if block.number <= 3:
            assert arrived.wait(30), "nothing was sent before the stored blocks were compared"
        return real_digest(source, block, **rest)

    def send(vault: Vault, *arguments: Any, **rest: Any) -> None:
        real_send(vault, *arguments, **rest)
        arrived.set()

    monkeypatch.setattr(FileSource, "digest", digest)
    monkeypatch.setattr(Vault, "send_block", send)
    outcome = carry_out(server, source, upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED


def test_a_stored_block_that_differs_is_sent_without_being_read_again_to_hash_it(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(4 * MIB)
    first = carry_out(server, source, block_size=MIB, finish=False)
    with source.open("r+b") as file:
        file.seek(2 * MIB)
        file.write(b"changed")
    readings, notes = Readings(monkeypatch), Notes()
    outcome = carry_out(server, source, watcher=notes, upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED
    assert [event.block.number for event in notes.of(BlockDiffers)] == [2]
    assert (notes.sent, notes.matching) == ([2], [0, 1, 3])
    assert sorted(readings.hashed) == [0, 1, 2, 3]
    assert server.store.archive_path(outcome.archive.archive_id).read_bytes() == source.read_bytes()  # type: ignore[union-attr]


def test_a_whole_upload_without_completion_misses_no_block(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    outcome = carry_out(server, make_file(3 * MIB), block_size=MIB, finish=False)
    assert outcome.status is Status.STORED
    assert list(outcome.missing) == []


def test_the_id_is_told_before_the_first_byte_is_sent(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    known_at_first_byte: list[bool] = []
    real_moved = Notes.moved

    def moved(self: Notes, size: int, /) -> None:
        known_at_first_byte.append(bool(self.of(UploadOpened)))
        real_moved(self, size)

    monkeypatch.setattr(Notes, "moved", moved)
    carry_out(server, make_file(MIB), watcher=notes)
    assert all(known_at_first_byte)


def test_the_next_block_is_hashed_while_the_only_slot_is_taken(
    make_file: MakeFile, server: RehearsalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No block is sent before one more is hashed; without look-ahead the first waits for ever."""
    count = 4
    changed = threading.Condition()
    hashed = sent = 0
    real_digest, real_send = FileSource.digest, Vault.send_block

    def digest(*arguments: Any, **rest: Any) -> Digest:
        nonlocal hashed
        result = real_digest(*arguments, **rest)
        with changed:
            hashed += 1
            changed.notify_all()
        return result

    def send(self: Vault, *arguments: Any, **rest: Any) -> None:
        nonlocal sent
        with changed:
            assert changed.wait_for(lambda: hashed >= min(sent + 2, count), timeout=30)
        real_send(self, *arguments, **rest)
        sent += 1

    monkeypatch.setattr(FileSource, "digest", digest)
    monkeypatch.setattr(Vault, "send_block", send)
    outcome = carry_out(server, make_file(count * MIB), block_size=MIB, slots=1)
    assert outcome.status is Status.COMPLETED


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_never_more_blocks_are_on_their_way_than_there_are_slots(
    make_file: MakeFile, server: RehearsalServer, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    lock, on_their_way, most = threading.Lock(), 0, 0
    real_send = Vault.send_block

    def send(self: Vault, *arguments: Any, **rest: Any) -> None:
        nonlocal on_their_way, most
        with lock:
            on_their_way += 1
            most = max(most, on_their_way)
        real_send(self, *arguments, **rest)
        with lock:
            on_their_way -= 1

    monkeypatch.setattr(Vault, "send_block", send)
    carry_out(server, make_file(12 * MIB), block_size=MIB, slots=slots)
    assert 1 <= most <= slots


@pytest.mark.parametrize("slots", [1, 3, 40])
def test_no_more_blocks_are_hashed_at_once_than_there_are_cores_and_in_their_order(
    make_file: MakeFile, server: RehearsalServer, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    """All at once would delay the first byte by the time that all of them take."""
    lock, at_once, most = threading.Lock(), 0, 0
    order: list[int] = []
    real_digest = FileSource.digest

    def digest(source: FileSource, block: Block, **rest: Any) -> Digest:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            order.append(block.number)
        result = real_digest(source, block, **rest)
        with lock:
            at_once -= 1
        return result

    monkeypatch.setattr(FileSource, "digest", digest)
    carry_out(server, make_file(40 * MIB), block_size=MIB, slots=slots)
    assert most <= workers.cores()
    assert all(abs(place - number) < workers.cores() for place, number in enumerate(order))


@pytest.mark.parametrize("slots", [1, 3])
def test_blocks_are_sent_in_their_order(
    make_file: MakeFile, server: RehearsalServer, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    order: list[int] = []
    real_send = Vault.send_block

    def send(self: Vault, upload_id: str, block: Block, **rest: Any) -> None:
        order.append(block.number)
        real_send(self, upload_id, block, **rest)

    monkeypatch.setattr(Vault, "send_block", send)
    carry_out(server, make_file(20 * MIB), block_size=MIB, slots=slots)
    if slots == 1:
        assert order == list(range(20))
    assert all(abs(place - number) < slots for place, number in enumerate(order))


def test_a_difference_that_was_found_is_remembered_though_the_run_is_stopped_before_it_is_sent(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)
    first = carry_out(server, source, block_size=MIB, finish=False)
    with source.open("r+b") as file:
        file.write(b"changed")
    stop = Stop()

    class StopsAtTheDifference(Notes):
        def hear(self, event: Event, /) -> None:
            super().hear(event)
            if isinstance(event, BlockDiffers):
                stop.ask()

    watcher = StopsAtTheDifference()
    outcome = carry_out(server, source, watcher=watcher, stop=stop, upload_id=first.upload_id)
    assert outcome.status is Status.OPEN
    assert list(outcome.missing) == [0]
    assert 0 in outcome.unproven


def test_blocks_that_differ_do_not_keep_others_from_being_compared(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More differ than are read at once; none is sent before the last one is compared."""
    count = workers.cores() + 6
    source = make_file(count * MIB)
    first = carry_out(server, source, block_size=MIB, finish=False)
    source.write_bytes(bytes(reversed(source.read_bytes())))
    all_compared = threading.Event()
    real_send = Vault.send_block

    class Counting(Notes):
        def hear(self, event: Event, /) -> None:
            super().hear(event)
            if len(self.of(BlockDiffers)) == count:
                all_compared.set()

    def send(vault: Vault, *arguments: Any, **rest: Any) -> None:
        assert all_compared.wait(30), "comparing waited for a slot"
        real_send(vault, *arguments, **rest)

    monkeypatch.setattr(Vault, "send_block", send)
    outcome = carry_out(server, source, watcher=Counting(), upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED


def test_once_a_block_cannot_be_read_no_other_is_sent_any_more(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Block 0 is on its way when block 1 fails; the serial run begins no further one."""
    on_its_way, failed = threading.Event(), threading.Event()
    sent: list[int] = []
    real_digest, real_send = FileSource.digest, Vault.send_block

    def digest(source: FileSource, block: Block, **rest: Any) -> Digest:
        if block.number == 1:
            assert on_its_way.wait(30)
            raise HashMismatch("other bytes")
        return real_digest(source, block, **rest)

    class HearsTheFailure(Notes):
        def hear(self, event: Event, /) -> None:
            super().hear(event)
            if isinstance(event, BlockFailed):
                failed.set()

    def send(vault: Vault, upload_id: str, block: Block, **rest: Any) -> None:
        sent.append(block.number)
        on_its_way.set()
        assert failed.wait(30)
        real_send(vault, upload_id, block, **rest)

    monkeypatch.setattr(FileSource, "digest", digest)
    monkeypatch.setattr(Vault, "send_block", send)
    outcome = carry_out(server, make_file(4 * MIB), watcher=HearsTheFailure(), block_size=MIB)
    assert outcome.status is Status.OPEN
    assert sent == [0]
    assert list(outcome.failed) == [1]


def test_an_answer_to_completion_that_is_some_ticks_away_is_awaited_after_a_stop(
    tmp_path: Path, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, looked = Stop(), threading.Semaphore(0)

    def wait(*arguments: Any, **rest: Any) -> Any:
        if stop.asked:
            looked.release()
        return futures_wait(*arguments, **rest)

    def stop_and_answer_late() -> None:
        stop.ask()
        for _ in range(3):
            assert looked.acquire(timeout=30)

    monkeypatch.setattr(workers, "wait", wait)
    monkeypatch.setattr(workers, "TICK_SECONDS", 0.01)
    monkeypatch.setattr("glacier_mpu.transfer.run._TICKS_FOR_THE_ANSWER", 3000)
    fault = Fault("CompleteMultipartUpload", do(stop_and_answer_late))
    with RehearsalServer(tmp_path / "glacier", handler=faulty(fault)) as server:
        server.store.create_vault(VAULT)
        outcome = carry_out(server, make_file(MIB), stop=stop)
    assert outcome.status is Status.COMPLETED


# -- who does the blocks


class AtOnce:
    """Workers that do each task in the caller's thread, as soon as it is submitted."""

    window = readers = 1

    def __init__(self, context: Context) -> None:
        self._context = context

    def submit(self, task: BlockTask, /) -> Future[BlockDone]:
        future: Future[BlockDone] = Future()
        future.set_result(upload_block(task, self._context))
        return future

    def close(self) -> None:
        pass


def test_the_callers_own_thread_can_do_the_tasks(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    outcome = carry_out(server, make_file(3 * MIB + 1), workers=AtOnce, block_size=MIB)
    assert outcome.status is Status.COMPLETED


class _Own:
    """What each process of a pool makes for itself; it lives as long as the process."""

    holding = ExitStack()
    context: Context


def _make_context(request: FileRequest, address: Address) -> None:
    opened = opened_context(request, address, watcher=Notes(), stop=Stop(), waits=Waits())
    _Own.context = _Own.holding.enter_context(opened)


def _in_this_process(task: BlockTask) -> BlockDone:
    return upload_block(task, _Own.context)


class Processes:
    """Workers that are processes, each with a vault of its own."""

    window = readers = 3

    def __init__(self, request: FileRequest, address: Address) -> None:
        self._pool = ProcessPoolExecutor(
            2, get_context("spawn"), initializer=_make_context, initargs=(request, address)
        )

    def submit(self, task: BlockTask, /) -> Future[BlockDone]:
        return self._pool.submit(_in_this_process, task)

    def close(self) -> None:
        self._pool.shutdown()


def test_processes_with_a_vault_each_can_do_the_tasks(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(9 * MIB + 1)
    stored = carry_out(server, source, block_size=MIB, last=3, finish=False)
    request = FileRequest(source=inspect(str(source)), description="")
    notes = Notes()
    outcome = carry_out(
        server,
        source,
        watcher=notes,
        workers=lambda _: Processes(request, address_of(server)),
        upload_id=stored.upload_id,
    )
    assert outcome.status is Status.COMPLETED
    assert (notes.sent, notes.matching) == ([4, 5, 6, 7, 8, 9], [0, 1, 2, 3])


def test_an_error_in_another_process_comes_back_as_itself(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)
    request = FileRequest(source=inspect(str(source)), description="")
    outcome = carry_out(
        server,
        source,
        workers=lambda _: _Truncating(request, address_of(server), source),
        block_size=MIB,
    )
    assert isinstance(outcome.error, SourceChanged)
    assert outcome.status is Status.OPEN


class _Truncating(Processes):
    """The file becomes shorter before the first task begins."""

    def __init__(self, request: FileRequest, address: Address, path: Path) -> None:
        super().__init__(request, address)
        self._path = path

    def submit(self, task: BlockTask, /) -> Future[BlockDone]:
        self._path.write_bytes(b"short")
        return super().submit(task)


# -- what is sampled to resume


def stored_upload(server: RehearsalServer, source: Path, numbers: range) -> str:
    """Leave an upload with blocks of 2 MiB open, and return its id."""
    outcome = carry_out(
        server, source, block_size=2 * MIB, first=numbers[0], last=numbers[-1], finish=False
    )
    return outcome.upload_id


def test_one_block_is_read_to_tell_that_the_only_candidate_is_the_files_and_its_hash_is_used(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(32 * MIB)
    stored_upload(server, source, range(12))
    readings = Readings(monkeypatch)
    outcome = carry_out(server, source, resume=True)
    assert outcome.status is Status.COMPLETED
    assert sorted(readings.hashed) == list(range(16))  # none twice
    assert readings.hashed[0] == 0
    assert readings.hashed[1:3] != [1, 2]  # no more of the stored ones before what is sent


def test_a_short_last_block_is_read_first_to_tell_whose_upload_it_is(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(9 * MIB)
    stored_upload(server, source, range(1, 5))
    readings = Readings(monkeypatch)
    assert carry_out(server, source, resume=True).status is Status.COMPLETED
    assert readings.hashed[0] == 4
    assert readings.hashed[1] == 0


def test_another_files_upload_is_told_by_up_to_eight_blocks(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_file(32 * MIB, "other")
    other.write_bytes(bytes(reversed(other.read_bytes())))
    left_alone = stored_upload(server, other, range(12))
    readings = Readings(monkeypatch)
    outcome = carry_out(server, make_file(32 * MIB), resume=True, block_size=2 * MIB)
    assert outcome.status is Status.COMPLETED
    assert outcome.upload_id != left_alone
    assert len(readings.hashed) <= 16 + 8


@pytest.mark.parametrize("sizes", [{"block_size": 2 * MIB}, {}], ids=["same", "other"])
def test_blocks_that_were_read_for_an_upload_that_is_not_taken_are_not_read_again(
    server: RehearsalServer,
    make_file: MakeFile,
    monkeypatch: pytest.MonkeyPatch,
    sizes: dict[str, Any],
) -> None:
    """Those of the same size are the new upload's, too; others are not taken for its own."""
    other = make_file(16 * MIB, "other")
    other.write_bytes(bytes(reversed(other.read_bytes())))
    stored_upload(server, other, range(8))
    source = make_file(16 * MIB)
    readings, notes = Readings(monkeypatch), Notes()
    outcome = carry_out(server, source, watcher=notes, resume=True, **sizes)
    assert outcome.status is Status.COMPLETED
    assert [event.compared for event in notes.of(CandidateRejected)] == [8]
    assert sorted(readings.hashed) == (list(range(8)) if sizes else [0, *range(8)])
    assert server.store.archive_path(outcome.archive.archive_id).read_bytes() == source.read_bytes()  # type: ignore[union-attr]


def test_blocks_that_were_read_for_one_upload_are_not_read_again_for_another_that_is_taken(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_file(32 * MIB, "other")
    other.write_bytes(bytes(reversed(other.read_bytes())))
    stored_upload(server, other, range(16))
    source = make_file(32 * MIB)
    mine = stored_upload(server, source, range(3, 5))
    readings = Readings(monkeypatch)
    outcome = carry_out(server, source, resume=True)
    assert (outcome.status, outcome.upload_id) == (Status.COMPLETED, mine)
    assert sorted(readings.hashed) == list(range(16))


# -- the file, meanwhile


def test_a_file_that_changes_during_the_run_is_not_completed(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)

    def change() -> None:
        with source.open("r+b") as file:
            file.write(b"changed behind the back")

    fault = Fault("UploadMultipartPart", do(change), after=2)
    with RehearsalServer(tmp_path / "glacier", handler=faulty(fault)) as server:
        server.store.create_vault(VAULT)
        outcome = carry_out(server, source, block_size=MIB)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, SourceChanged)
    assert "modification time" in outcome.error.message


def test_one_slot_is_enough_for_any_number_of_tasks(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    """Slots, gates and handles are given back."""
    source = inspect(str(make_file(3 * MIB)))
    request = FileRequest(source=source, description="", block_size=MIB)
    stop = Stop()
    with opened_context(
        request, address_of(server), watcher=Notes(), stop=stop, waits=Waits()
    ) as context:
        upload_id = context.vault.initiate(description="", block_size=MIB)
        for block in request.plan().blocks(range(3)):
            done = upload_block(BlockTask(source, upload_id, block), context)
            assert done.proven
    listing = client_of(server).list_parts(vaultName=VAULT, uploadId=upload_id)
    assert len(listing["Parts"]) == 3
