"""What an upload does between its parts: how often it reads, what it asks, what it hands on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from glacier_mpu.errors import SourceChanged, UploadError
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.source.file import Source, inspect
from glacier_mpu.source.treehash import Digest
from glacier_mpu.transfer import send as transfer
from glacier_mpu.transfer.request import Outcome, Request, Status
from glacier_mpu.transfer.upload import upload
from glacier_mpu.transfer.workers import Slots
from glacier_mpu.vault.calls import Vault
from glacier_mpu.waits import Waits
from tests.conftest import address_of

MakeFile = Callable[..., Path]


class Notes:
    """A watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.moves: Counter[str] = Counter()
        self.phases: list[tuple[str, int, int]] = []
        self.done: list[int] = []
        self.notes: list[str] = []

    def opened(self, upload_id: str, plan: Plan) -> None:
        self.notes.append(upload_id)

    def begins(self, phase: str, *, blocks: int, size: int) -> None:
        self.phases.append((phase, blocks, size))

    def moved(self, size: int) -> None:
        self.moves[self.phases[-1][0]] += size

    def finished(self, block: Block, what: str) -> None:
        self.done.append(block.number)

    def failed(self, block: Block, error: UploadError) -> None:
        self.notes.append(f"block {block.number} failed: {error.message}")

    def note(self, text: str) -> None:
        self.notes.append(text)

    def tick(self) -> None:
        pass


def carry_out(
    server: RehearsalServer, path: Path | Source, *, watcher: Notes | None = None, **wishes: object
) -> Outcome:
    source = path if isinstance(path, Source) else inspect(str(path))
    stop = threading.Event()
    slots = wishes.get("slots", 1)
    assert isinstance(slots, int)
    vault = Vault(
        address_of(server), connections=slots + 1, stop=stop, on_retry=lambda _: None, waits=Waits()
    )
    request = Request(source=source, description="test", **wishes)  # type: ignore[arg-type]
    return upload(request, vault=vault, watcher=watcher or Notes(), stop=stop)


@pytest.mark.parametrize("slots", [1, 3])
def test_each_byte_is_read_once_for_its_digest_and_once_for_sending(
    server: RehearsalServer,
    make_file: MakeFile,
    monkeypatch: pytest.MonkeyPatch,
    slots: int,
) -> None:
    digested: list[int] = []
    sent: list[int] = []
    real_digest, real_body = transfer.digest_block, transfer.BlockBody

    def counting_digest(source: Source, block: Block, **rest: object) -> Digest:
        return real_digest(source, block, **{**rest, "on_read": digested.append})  # type: ignore[arg-type]

    class CountingBody(real_body):  # type: ignore[misc, valid-type]
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            sent.append(len(data))
            return data

    monkeypatch.setattr(transfer, "digest_block", counting_digest)
    monkeypatch.setattr(transfer, "BlockBody", CountingBody)
    source = make_file(7 * MIB + 11)
    outcome = carry_out(server, source, block_size=2 * MIB, slots=slots)
    assert outcome.status is Status.COMPLETED
    assert sum(digested) == 7 * MIB + 11
    assert sum(sent) == 7 * MIB + 11


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_that_went_away_at_the_start_is_no_fault_of_the_program(
    server: RehearsalServer, make_file: MakeFile, *, resume: bool
) -> None:
    path = make_file(MIB)
    source = inspect(str(path))
    path.unlink()
    outcome = carry_out(server, source, resume=resume)
    assert isinstance(outcome.error, SourceChanged)
    assert "is gone" in outcome.error.message


def test_the_bytes_that_the_watcher_hears_of_are_the_files(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    notes = Notes()
    source = make_file(5 * MIB + 1)
    carry_out(server, source, watcher=notes, block_size=MIB, slots=2)
    assert notes.phases == [("send", 6, 5 * MIB + 1)]
    assert notes.moves == {"send": 5 * MIB + 1}
    assert sorted(notes.done) == list(range(6))


def test_what_is_stored_is_compared_and_not_sent(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(4 * MIB)
    first = carry_out(server, source, block_size=MIB, last=2, finish=False)
    notes = Notes()
    last = carry_out(server, source, watcher=notes, upload_id=first.upload_id)
    assert last.status is Status.COMPLETED
    assert notes.phases == [("check", 3, 3 * MIB), ("send", 1, MIB)]
    assert notes.moves == {"check": 3 * MIB, "send": MIB}


def test_a_whole_upload_without_completion_wants_nothing_more(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    outcome = carry_out(server, make_file(3 * MIB), block_size=MIB, finish=False)
    assert outcome.status is Status.STORED
    assert list(outcome.wanted) == []


def test_the_next_block_is_hashed_while_the_only_slot_is_taken(
    make_file: MakeFile, server: RehearsalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No block is sent before one more is hashed; without look-ahead the first waits for ever."""
    count = 4
    changed = threading.Condition()
    hashed = sent = 0
    real_digest = transfer.digest_block
    real_send = Vault.send_block

    def digest(*arguments: object, **rest: object) -> Digest:
        nonlocal hashed
        result = real_digest(*arguments, **rest)  # type: ignore[arg-type]
        with changed:
            hashed += 1
            changed.notify_all()
        return result

    def send(self: Vault, *arguments: object, **rest: object) -> None:
        nonlocal sent
        with changed:
            assert changed.wait_for(lambda: hashed >= min(sent + 2, count), timeout=30)
        real_send(self, *arguments, **rest)  # type: ignore[arg-type]
        sent += 1

    monkeypatch.setattr(transfer, "digest_block", digest)
    monkeypatch.setattr(Vault, "send_block", send)
    outcome = carry_out(server, make_file(count * MIB), block_size=MIB, slots=1)
    assert outcome.status is Status.COMPLETED


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_never_more_blocks_are_on_their_way_than_there_are_slots(
    make_file: MakeFile, server: RehearsalServer, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    lock, on_their_way, most = threading.Lock(), 0, 0
    real_send = Vault.send_block

    def send(self: Vault, *arguments: object, **rest: object) -> None:
        nonlocal on_their_way, most
        with lock:
            on_their_way += 1
            most = max(most, on_their_way)
        real_send(self, *arguments, **rest)  # type: ignore[arg-type]
        with lock:
            on_their_way -= 1

    monkeypatch.setattr(Vault, "send_block", send)
    carry_out(server, make_file(12 * MIB), block_size=MIB, slots=slots)
    assert 1 <= most <= slots


@pytest.mark.parametrize("slots", [1, 3])
def test_blocks_set_out_in_their_order(
    make_file: MakeFile, server: RehearsalServer, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    order: list[int] = []
    real_send = Vault.send_block

    def send(self: Vault, upload_id: str, block: Block, **rest: object) -> None:
        order.append(block.number)
        real_send(self, upload_id, block, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Vault, "send_block", send)
    carry_out(server, make_file(20 * MIB), block_size=MIB, slots=slots)
    if slots == 1:
        assert order == list(range(20))
    assert all(abs(place - number) < slots for place, number in enumerate(order))


class AtOnce(Executor):
    """An executor that does the work in the caller's thread."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def, override]
        future: Future[object] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_any_executor_carries_an_upload(server: RehearsalServer, make_file: MakeFile) -> None:
    stop = threading.Event()
    vault = Vault(
        address_of(server), connections=1, stop=stop, on_retry=lambda _: None, waits=Waits()
    )
    source = make_file(3 * MIB + 1)
    outcome = upload(
        Request(source=inspect(str(source)), description="", block_size=MIB),
        vault=vault,
        watcher=Notes(),
        stop=stop,
        executor=lambda _: AtOnce(),
    )
    assert outcome.status is Status.COMPLETED


def test_a_file_that_changes_meanwhile_is_not_completed(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(3 * MIB)
    real_send = Vault.send_block

    def send(self: Vault, upload_id: str, block: Block, **rest: object) -> None:
        real_send(self, upload_id, block, **rest)  # type: ignore[arg-type]
        if block.number == 2:
            with source.open("r+b") as file:
                file.write(b"changed behind the back")

    monkeypatch.setattr(Vault, "send_block", send)
    outcome = carry_out(server, source, block_size=MIB)
    assert outcome.status is Status.OPEN
    assert outcome.error is not None
    assert "modification time" in outcome.error.message


def test_slots_and_bodies_are_given_back(server: RehearsalServer, make_file: MakeFile) -> None:
    slots = Slots(1)
    path = make_file(2 * MIB)
    source = inspect(str(path))
    plan = Plan(source.size, MIB)
    stop = threading.Event()
    vault = Vault(
        address_of(server), connections=1, stop=stop, on_retry=lambda _: None, waits=Waits()
    )
    upload_id = vault.initiate(description="", block_size=MIB)
    tools = transfer.Tools(
        vault, slots, stop.is_set, lambda _: None, lambda size: size, lambda _: True, stop.wait
    )
    for number in plan.numbers:
        transfer.upload_block(source, upload_id, plan.block(number), tools=tools)
    assert set(vault.list_parts(upload_id).parts) == {0, MIB}
