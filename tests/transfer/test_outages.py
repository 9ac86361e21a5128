"""Trouble of one block alone, while the others get through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.errors import SourceUnreadable
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Waits
from glacier_mpu.transfer.events import BlockFailed, Event, TryingAgain
from glacier_mpu.transfer.request import Status
from tests.support.engine import Notes, carry_out
from tests.support.faults import (
    FOREVER,
    Act,
    Fault,
    answer_bare,
    echo_another_hash,
    faulty,
    refuse,
)
from tests.support.scripts import VAULT

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
            max_bandwidth=8 * MIB,
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
