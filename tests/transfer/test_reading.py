"""How many blocks an upload reads at once, of which disk, and which first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.file import FileSource, inspect
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.block import BlockTask, upload_block
from glacier_mpu.transfer.context import opened_context
from glacier_mpu.transfer.events import BlocksBegin, Event
from glacier_mpu.transfer.readers import Readers
from glacier_mpu.transfer.request import FileRequest, Status
from glacier_mpu.transfer.workers import Gate
from glacier_mpu.vault.answers import StoredPart
from tests.support.engine import Notes, carry_out
from tests.support.scripts import address_of

MakeFile = Callable[..., Path]


class Reading:
    """What is hashed: in which order it was begun, and how many at once at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.order: list[int] = []
        self.most = 0
        self.together = threading.Barrier(1)
        self._at_once = 0
        self._lock = threading.Lock()
        real_digest = FileSource.digest

        def digest(source: FileSource, block: Block, **rest: Any) -> Digest:
            with self._lock:
                self.order.append(block.number)
                self._at_once += 1
                self.most = max(self.most, self._at_once)
            self.together.wait()
            result = real_digest(source, block, **rest)
            with self._lock:
                self._at_once -= 1
            return result

        monkeypatch.setattr(FileSource, "digest", digest)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(monkeypatch)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glacier_mpu.transfer.context.cores", lambda: 2)


@pytest.fixture
def rotating(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool | None], None]:
    """Return what says how the files of this test lie: on a disk that rotates, or does not."""

    def say(answer: bool | None) -> None:
        monkeypatch.setattr("glacier_mpu.transfer.file_run.is_rotating", lambda _: answer)

    return say


Say = Callable[[bool | None], None]


def test_on_a_rotating_disk_one_block_is_read_at_a_time_in_the_order_of_the_file(
    server: RehearsalServer, make_file: MakeFile, reading: Reading, rotating: Say
) -> None:
    source = make_file(12 * MIB)
    first = carry_out(server, source, block_size=MIB, last=7, finish=False)
    reading.order.clear()
    reading.most = 0
    rotating(True)
    outcome = carry_out(server, source, upload_id=first.upload_id, slots=3)
    assert outcome.status is Status.COMPLETED
    assert reading.most == 1
    assert reading.order[:4] == [8, 9, 10, 11]  # what is sent comes first
    assert reading.order[4:] == list(range(8))


def test_on_a_rotating_disk_one_block_is_read_at_a_time_also_to_be_sent(
    server: RehearsalServer, make_file: MakeFile, reading: Reading, rotating: Say
) -> None:
    rotating(True)
    assert carry_out(server, make_file(8 * MIB), block_size=MIB, slots=3).tree_hash
    assert reading.most == 1
    assert reading.order == list(range(8))


@pytest.mark.parametrize("answer", [False, None])
def test_what_is_only_sent_is_hashed_on_all_cores_unless_the_disk_rotates(
    server: RehearsalServer,
    make_file: MakeFile,
    reading: Reading,
    rotating: Say,
    answer: bool | None,
) -> None:
    rotating(answer)
    reading.together = threading.Barrier(2, timeout=30)  # each waits for another beside it
    outcome = carry_out(server, make_file(8 * MIB), block_size=MIB, slots=3)
    assert outcome.status is Status.COMPLETED


def test_on_a_disk_that_does_not_rotate_all_cores_compare(
    server: RehearsalServer, make_file: MakeFile, reading: Reading, rotating: Say
) -> None:
    source = make_file(8 * MIB)
    first = carry_out(server, source, block_size=MIB, finish=False)
    rotating(False)
    reading.together = threading.Barrier(2, timeout=30)
    outcome = carry_out(server, source, upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED


def test_where_nothing_is_known_of_the_disk_comparing_begins_with_one_block_at_a_time(
    server: RehearsalServer, make_file: MakeFile, rotating: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(6 * MIB)
    first = carry_out(server, source, block_size=MIB, finish=False)
    rotating(None)
    counts: list[int] = []
    real_turn = Gate.turn

    def turn(gate: Gate, place: tuple[int, ...]) -> Any:
        counts.append(gate.count)
        return real_turn(gate, place)

    monkeypatch.setattr(Gate, "turn", turn)
    outcome = carry_out(server, source, upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED
    assert counts[0] == 1


@pytest.mark.parametrize("last", [None, 1], ids=["all asked for", "the rest checked at the end"])
def test_what_is_compared_is_measured_by_what_was_read(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, last: int | None
) -> None:
    source = make_file(6 * MIB)
    first = carry_out(server, source, block_size=MIB, finish=False)
    sizes: list[int] = []
    passes: list[int] = []

    class HearsPasses(Notes):
        def hear(self, event: Event, /) -> None:
            super().hear(event)
            if isinstance(event, BlocksBegin):
                passes.append(len(sizes))

    monkeypatch.setattr(Readers, "tick", lambda _, size: sizes.append(size))
    carry_out(server, source, watcher=HearsPasses(), upload_id=first.upload_id, last=last)
    assert sizes[-1] == 6 * MIB
    assert len(passes) == (1 if last is None else 2)
    assert all(count < len(sizes) for count in passes)
    assert last is None or passes[1] > 0


def test_the_readers_are_told_how_many_blocks_are_left_to_compare(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(6 * MIB)
    first = carry_out(server, source, block_size=MIB, last=3, finish=False)
    asked: list[Callable[[], int]] = []
    left: list[int] = []

    def begin(_: Readers, count: Callable[[], int]) -> None:
        asked.append(count)
        left.append(count())

    monkeypatch.setattr(Readers, "begin", begin)
    monkeypatch.setattr(Readers, "tick", lambda _, __: left.append(asked[-1]()))
    carry_out(server, source, upload_id=first.upload_id)
    assert left[0] == 4
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0


def test_a_block_to_be_sent_is_read_before_a_large_one_that_is_being_compared_is_done(
    server: RehearsalServer, make_file: MakeFile, rotating: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of blocks of 4 GiB, one that is compared would keep the line idle for half a minute."""
    source = make_file(14 * MIB)
    first = carry_out(server, source, block_size=2 * MIB, last=3, finish=False)
    rotating(True)
    begun, lined_up = threading.Event(), threading.Event()
    log: list[str] = []
    real_line_up, real_digest = Gate.line_up, FileSource.digest

    def line_up(gate: Gate, place: tuple[int, ...]) -> None:
        if place == (0, 6):
            assert begun.wait(30)
        real_line_up(gate, place)
        if place == (0, 6):
            lined_up.set()

    def digest(source: FileSource, block: Block, **rest: Any) -> Digest:
        result = real_digest(source, block, **rest)
        log.append(f"hashed {block.number}")
        return result

    class WaitsInTheMiddle(Notes):
        def compared(self, size: int, /) -> None:
            begun.set()
            assert lined_up.wait(30)
            log.append("compared 1 MiB")

    monkeypatch.setattr(Gate, "line_up", line_up)
    monkeypatch.setattr(FileSource, "digest", digest)
    outcome = carry_out(server, source, watcher=WaitsInTheMiddle(), upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED
    assert log[:5] == ["hashed 4", "hashed 5", "compared 1 MiB", "hashed 6", "compared 1 MiB"]


def test_a_block_whose_hash_is_known_is_compared_without_counting_as_read(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    """It is there at once, whatever the disk: measured, it would look like a very fast one."""
    source = inspect(str(make_file(2 * MIB)))
    request = FileRequest(source=source, description="", block_size=MIB)
    notes, stop = Notes(), Stop()
    read, known = request.plan().blocks(range(2))
    digest = source.digest(known, stop=stop, on_read=lambda _: None)
    with opened_context(
        request, address_of(server), watcher=notes, stop=stop, waits=Waits()
    ) as context:
        stored = StoredPart(MIB, b"")
        upload_block(BlockTask(source, "x", known, stored=stored, digest=digest), context)
        assert (context.meter.bytes_read, notes.bytes["compared"]) == (0, 0)
        upload_block(BlockTask(source, "x", read, stored=stored), context)
        assert (context.meter.bytes_read, notes.bytes["compared"]) == (MIB, MIB)
