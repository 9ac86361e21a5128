"""Trouble of one block alone, while the others get through."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.errors import SourceUnreadable, UploadError
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import Call
from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.file import FileSource, inspect
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.bandwidth import Timetable
from glacier_mpu.transfer.context import Context, opened_context
from glacier_mpu.transfer.events import BlockFailed, Event, TryingAgain
from glacier_mpu.transfer.pacing import Tuner
from glacier_mpu.transfer.request import FileRequest, Status
from glacier_mpu.vault.errors import Throttled, TimedOut, Unreachable, VaultError
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.retry import Retry
from tests.support.engine import Notes, carry_out
from tests.support.faults import (
    FOREVER,
    Act,
    Fault,
    FaultyHandler,
    answer_bare,
    do,
    echo_another_hash,
    faulty,
    refuse,
)
from tests.support.scripts import VAULT, address_of

PART = "UploadMultipartPart"


class Mends(Notes):
    """A watcher that ends a fault once the block has failed by it."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self._fault = fault

    def hear(self, event: Event, /) -> None:
        super().hear(event)
        if isinstance(event, BlockFailed):
            self._fault.times = 0


def test_a_block_that_failed_while_others_got_through_is_tried_once_more_at_the_end(
    tmp_path: Path, make_file: Callable[..., Path]
) -> None:
    fault = Fault(PART, refuse(500, "InternalServerError"), times=FOREVER, blocks=[1])
    notes = Mends(fault)
    with RehearsalServer(tmp_path / "g", handler=faulty(fault)) as server:
        server.store.create_vault(VAULT)
        outcome = carry_out(
            server,
            make_file(16 * MIB),
            watcher=notes,
            waits=Waits(retry=0.3, longest=0.3),
            block_size=MIB,
            slots=3,
            keep_going=True,
            max_bandwidth=Timetable.always(8 * MIB),
        )
    assert [event.block.number for event in notes.of(BlockFailed)] == [1]
    assert notes.of(TryingAgain) == [TryingAgain([1])]
    assert outcome.status is Status.COMPLETED
    assert outcome.failed == []


def test_a_block_that_cannot_be_read_keeps_no_other_from_being_sent(
    server: RehearsalServer, make_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glacier_mpu.vault.line._LATELY_SECONDS", 60.0)  # on a busy machine, too
    real_digest, first_is_read = FileSource.digest, threading.Event()

    def digest(source: FileSource, block: Block, **rest: Any) -> Digest:
        if block.number == 1:
            assert first_is_read.wait(30)
            raise SourceUnreadable("EIO")
        result = real_digest(source, block, **rest)
        first_is_read.set()
        return result

    monkeypatch.setattr(FileSource, "digest", digest)
    outcome = carry_out(
        server, make_file(5 * MIB), waits=Waits(retry=0), block_size=MIB, keep_going=True
    )
    assert outcome.status is Status.OPEN
    assert outcome.failed == [1]
    assert outcome.missing == [1]


@pytest.mark.parametrize(
    "act",
    [refuse(400, "InvalidParameterValueException"), answer_bare(400), echo_another_hash],
    ids=["refused", "refused without a reason", "damaged"],
)
def test_a_block_that_failed_by_an_answer_is_not_tried_once_more_at_the_end(
    tmp_path: Path, make_file: Callable[..., Path], act: Act
) -> None:
    notes = Notes()
    fault = Fault(PART, act, times=FOREVER, blocks=[1])
    with RehearsalServer(tmp_path / "g", handler=faulty(fault)) as server:
        server.store.create_vault(VAULT)
        outcome = carry_out(
            server,
            make_file(3 * MIB),
            watcher=notes,
            waits=Waits(longest=0),
            block_size=MIB,
            keep_going=True,
        )
    assert outcome.failed == [1]
    assert notes.of(TryingAgain) == []


class TicksAfterFailure(Notes):
    """A watcher that does something at the first tick after a block has failed."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self._action = action

    def tick(self) -> None:
        if self.of(BlockFailed):
            self._action()


def test_of_several_errors_the_first_is_why_the_run_ended(
    tmp_path: Path, make_file: Callable[..., Path]
) -> None:
    arrived, failed = threading.Event(), threading.Event()

    def refuse_first(handler: FaultyHandler, call: Call) -> None:
        assert arrived.wait(30)
        refuse(400, "InvalidParameterValueException")(handler, call)

    def refuse_then(handler: FaultyHandler, call: Call) -> None:
        arrived.set()
        assert failed.wait(30)
        refuse(400, "LimitExceededException")(handler, call)

    faults = [Fault(PART, refuse_first, blocks=[0]), Fault(PART, refuse_then, blocks=[1])]
    with RehearsalServer(tmp_path / "g", handler=faulty(*faults)) as server:
        server.store.create_vault(VAULT)
        watcher = TicksAfterFailure(failed.set)
        outcome = carry_out(server, make_file(2 * MIB), watcher=watcher, block_size=MIB, slots=2)
    assert outcome.failed == [0, 1]
    assert isinstance(outcome.error, VaultError)
    assert outcome.error.code == "InvalidParameterValueException"


def test_what_waits_for_a_slot_is_not_sent_once_another_block_could_not_be_compared(
    tmp_path: Path, make_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glacier_mpu.vault.line._LATELY_SECONDS", 60.0)  # on a busy machine, too
    monkeypatch.setattr("glacier_mpu.transfer.context.cores", lambda: 2)
    real_digest, arrived, failed = FileSource.digest, threading.Event(), threading.Event()

    def digest(source: FileSource, block: Block, **rest: Any) -> Digest:
        if block.number == 0:
            assert arrived.wait(30)
            raise SourceUnreadable("EIO")
        return real_digest(source, block, **rest)

    def wait_for_failure() -> None:
        arrived.set()
        assert failed.wait(30)

    source = make_file(4 * MIB)
    hold = Fault(PART, do(wait_for_failure), blocks=[1])
    with RehearsalServer(tmp_path / "g", handler=faulty(hold)) as server:
        server.store.create_vault(VAULT)
        first = carry_out(server, source, block_size=MIB, last=0, finish=False)
        monkeypatch.setattr(FileSource, "digest", digest)
        watcher = TicksAfterFailure(failed.set)
        outcome = carry_out(
            server, source, watcher=watcher, upload_id=first.upload_id, waits=Waits(retry=0)
        )
    assert watcher.of(BlockFailed) == [
        BlockFailed(Block(number=0, offset=0, size=MIB), SourceUnreadable("EIO"), compared=True)
    ]
    assert watcher.sent == [1]
    assert outcome.missing == [2, 3]


def test_a_file_that_cannot_be_looked_at_before_completion_is_looked_at_again(
    server: RehearsalServer, make_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real_check, looks = FileSource.check_unchanged, itertools.count()

    def check(source: FileSource) -> None:
        if next(looks) == 2:  # after one for each block
            raise SourceUnreadable("gone")
        real_check(source)

    monkeypatch.setattr(FileSource, "check_unchanged", check)
    notes = Notes()
    outcome = carry_out(
        server, make_file(2 * MIB), watcher=notes, waits=Waits(longest=0), block_size=MIB
    )
    assert outcome.status is Status.COMPLETED
    assert [retry.call for retry in notes.of(Retry)] == ["read_file"]


class Moves:
    """What a call moves."""

    furthest = 0
    moved_at = float("-inf")


@pytest.mark.parametrize("way", ["to the service", "to the file"])
def test_an_outage_that_ends_by_bytes_alone_is_told_by_a_look(
    server: RehearsalServer, make_file: Callable[..., Path], way: str
) -> None:
    notes, moves = Notes(), Moves()
    request = FileRequest(source=inspect(str(make_file(MIB))), description="")
    with opened_context(
        request, address_of(server), watcher=notes, stop=Stop(), waits=Waits()
    ) as context:
        line = context.vault._retries.line if way == "to the service" else context.reads.line
        with line.using(moves, longest_silence=150) as use:
            line.failed(use, SourceUnreadable("EIO"))
            context.look()
            assert [type(event) for event in notes.events] == [Outage]
            moves.furthest, moves.moved_at = 1, float("inf")
            context.look()
            assert [type(event) for event in notes.events] == [Outage, OutageOver]


def test_all_along_a_run_it_is_looked_whether_an_outage_is_over(
    server: RehearsalServer, make_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    seen: list[list[int]] = []
    monkeypatch.setattr(Context, "look", lambda _: seen.append(notes.sent))
    carry_out(server, make_file(3 * MIB), watcher=notes, block_size=MIB)
    assert any(seen)  # while blocks are sent, too


@pytest.mark.parametrize(
    ("error", "slows"),
    [
        (Throttled("fewer"), True),
        (TimedOut("stalled"), True),
        (Unreachable("refused"), False),
        (SourceUnreadable("EIO"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, UploadError) else "",
)
def test_threads_auto_slows_down_at_what_was_too_much_and_at_nothing_else(
    server: RehearsalServer,
    make_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    error: UploadError,
    slows: bool,
) -> None:
    slowed: list[Tuner] = []
    monkeypatch.setattr(Tuner, "slow_down", lambda tuner: slowed.append(tuner))
    request = FileRequest(source=inspect(str(make_file(5))), description="", slots=None)
    with opened_context(
        request, address_of(server), watcher=Notes(), stop=Stop(), waits=Waits()
    ) as context:
        context.vault._retries.on_retry(Retry("send_block", error, 1.0))
    assert len(slowed) == slows
