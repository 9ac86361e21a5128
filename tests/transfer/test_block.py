"""The one path of a block: what it does while the file fails, and once nothing more is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.errors import SourceUnreadable, UploadError
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.body import BlockBody
from glacier_mpu.source.file import FileSource, inspect
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Stop, Stopped, Waits
from glacier_mpu.transfer.block import BlockTask, upload_block
from glacier_mpu.transfer.context import Context, opened_context
from glacier_mpu.transfer.request import FileRequest
from glacier_mpu.vault.answers import StoredPart
from glacier_mpu.vault.errors import Refused
from glacier_mpu.vault.line import Line
from glacier_mpu.vault.retry import Retry
from tests.support.engine import Notes
from tests.support.faults import FOREVER, Act, Fault, echo_another_hash, faulty, refuse
from tests.support.kit import Clock, NoWait, ignore
from tests.support.scripts import VAULT, address_of

MakeFile = Callable[..., Path]
BLOCK_1 = Block(number=1, offset=4 * MIB, size=4 * MIB)
STORED = StoredPart(BLOCK_1.size, bytes(32))
Digested = Callable[[int, Callable[[int], None]], object]


@contextmanager
def context_of(
    server: RehearsalServer, source: FileSource, notes: Notes, **wishes: Any
) -> Iterator[Context]:
    request = FileRequest(source=source, description="", block_size=BLOCK_1.size, **wishes)
    waits = Waits(longest=0)
    with opened_context(
        request, address_of(server), watcher=notes, stop=Stop(), waits=waits
    ) as context:
        yield context


@pytest.fixture
def source(make_file: MakeFile) -> FileSource:
    return inspect(str(make_file(8 * MIB)))


@pytest.fixture
def before_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[Digested], None]:
    """Return what lets something happen before a block is read: it is told which try this is."""
    real_digest = FileSource.digest

    def install(happen: Digested) -> None:
        tries: list[int] = []

        def digest(
            source: FileSource, block: Block, *, stop: Stop, on_read: Callable[[int], None]
        ) -> Digest:
            tries.append(block.number)
            happen(len(tries), on_read)
            return real_digest(source, block, stop=stop, on_read=on_read)

        monkeypatch.setattr(FileSource, "digest", digest)

    return install


BeforeReading = Callable[[Digested], None]


def test_what_is_read_of_a_block_that_then_cannot_be_read_does_not_count_as_compared(
    server: RehearsalServer, source: FileSource, before_reading: BeforeReading
) -> None:
    notes = Notes()

    def fail_twice(tries: int, on_read: Callable[[int], None]) -> None:
        if tries < 3:
            on_read(3 * MIB)
            raise SourceUnreadable("EIO")

    before_reading(fail_twice)
    with context_of(server, source, notes) as context:
        upload_block(BlockTask(source, "x", BLOCK_1, stored=STORED), context)
    assert notes.bytes["compared"] == BLOCK_1.size
    retries = notes.of(Retry)
    assert [(retry.call, retry.block) for retry in retries] == [("read_block", 1)] * 2


def test_a_block_of_which_ever_more_can_be_read_is_not_given_up(
    server: RehearsalServer, source: FileSource, before_reading: BeforeReading
) -> None:
    """Each try of a large block on a slow disk may take longer than calls are retried."""
    stop = NoWait()
    line = Line(give_up_seconds=900, stop=stop, hear=ignore, clock=stop.clock)

    def get_further(tries: int, on_read: Callable[[int], None]) -> None:
        stop.clock.passes(1000)
        if tries < 50:
            on_read(tries)
            raise SourceUnreadable("EIO")

    before_reading(get_further)
    with context_of(server, source, Notes()) as context:
        reads = replace(context.reads, line=line, stop=stop, give_up_seconds=900)
        task = BlockTask(source, "x", BLOCK_1, stored=STORED)
        assert not upload_block(task, replace(context, reads=reads)).proven


class SlowVault:
    """Takes a byte more of a block in each try, for hours, and then ends as it is told."""

    def __init__(self, clock: Clock, *ends: UploadError) -> None:
        self._clock = clock
        self._ends = list(ends)

    def send_block(self, upload_id: str, block: Block, *, digest: Digest, body: BlockBody) -> None:
        body.read(MIB - len(self._ends))
        self._clock.passes(1000)
        if self._ends:
            raise self._ends.pop()


def test_a_block_that_gets_further_each_time_its_file_fails_is_not_given_up_and_counts_once(
    server: RehearsalServer, source: FileSource
) -> None:
    stop, notes = NoWait(), Notes()
    line = Line(give_up_seconds=900, stop=stop, hear=ignore, clock=stop.clock)
    vault: Any = SlowVault(stop.clock, *[SourceUnreadable("EIO")] * 50)
    with context_of(server, source, notes) as context:
        reads = replace(context.reads, line=line, stop=stop, give_up_seconds=900)
        task = BlockTask(source, "x", BLOCK_1)
        assert upload_block(task, replace(context, reads=reads, vault=vault)).proven
    assert notes.bytes["sent"] == MIB


class HangingVault:
    """Takes a byte of a block, in each try the same, and then its file hangs before it fails."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.tries = 0

    def send_block(self, upload_id: str, block: Block, *, digest: Digest, body: BlockBody) -> None:
        body.read(1)
        self.hang()

    def hang(self) -> None:
        self.tries += 1
        assert self.tries < 100
        self._clock.passes(100)
        raise SourceUnreadable("ETIMEDOUT")


@pytest.mark.parametrize("where", ["hashed", "hashed, from the first byte on", "sent"])
def test_the_time_in_which_a_file_hangs_before_it_fails_counts_until_it_is_given_up(
    server: RehearsalServer, source: FileSource, before_reading: BeforeReading, where: str
) -> None:
    stop = NoWait()
    line = Line(give_up_seconds=900, stop=stop, hear=ignore, clock=stop.clock)
    vault: Any = HangingVault(stop.clock)

    def read_a_byte_and_hang(_: int, on_read: Callable[[int], None]) -> None:
        if where == "hashed":
            on_read(1)
        vault.hang()

    if where != "sent":
        before_reading(read_a_byte_and_hang)
    with context_of(server, source, Notes()) as context:
        reads = replace(context.reads, line=line, stop=stop, give_up_seconds=900)
        with pytest.raises(SourceUnreadable):
            upload_block(
                BlockTask(source, "x", BLOCK_1), replace(context, reads=reads, vault=vault)
            )
    assert vault.tries == 9


def test_why_a_block_was_not_sent_is_told_though_its_file_fails_then(
    server: RehearsalServer, source: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault: Any = SlowVault(Clock(), Refused("no"))

    def seek(*_: object) -> int:
        raise SourceUnreadable("EIO")

    with context_of(server, source, Notes()) as context:
        monkeypatch.setattr(BlockBody, "seek", seek)
        with pytest.raises(Refused):
            upload_block(BlockTask(source, "x", BLOCK_1), replace(context, vault=vault))


def test_a_file_that_cannot_be_looked_at_after_a_block_was_compared_is_told_with_the_block(
    server: RehearsalServer, source: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, errors = Notes(), [SourceUnreadable("gone")]

    def check(_: FileSource) -> None:
        if errors:
            raise errors.pop()

    monkeypatch.setattr(FileSource, "check_unchanged", check)
    with context_of(server, source, notes) as context:
        upload_block(BlockTask(source, "x", BLOCK_1, stored=STORED), context)
    assert [(retry.call, retry.block) for retry in notes.of(Retry)] == [("read_block", 1)]


@pytest.mark.parametrize("stored", [None, STORED], ids=["to be sent", "to be compared"])
def test_once_nothing_more_is_sent_only_what_is_compared_is_read_to_its_end(
    server: RehearsalServer,
    source: FileSource,
    before_reading: BeforeReading,
    stored: StoredPart | None,
) -> None:
    with context_of(server, source, Notes()) as context:
        before_reading(lambda *_: context.slots.close())
        task = BlockTask(source, "x", BLOCK_1, stored=stored)
        if stored is None:
            with pytest.raises(Stopped):
                upload_block(task, context)
        else:
            upload_block(task, context)
        assert (context.meter.bytes_read == BLOCK_1.size) is (stored is not None)


@pytest.mark.parametrize(
    ("act", "keep_going", "closes"),
    [
        (refuse(400, "InvalidParameterValueException"), False, True),
        (refuse(400, "InvalidParameterValueException"), True, False),
        (refuse(403, "AccessDeniedException"), True, True),
        (echo_another_hash, False, True),
    ],
    ids=["refused", "refused, and the others go on", "refused as all would be", "damaged"],
)
def test_a_block_whose_error_ends_the_run_leaves_its_slot_to_no_other(
    tmp_path: Path, source: FileSource, act: Act, keep_going: bool, closes: bool
) -> None:
    fault = Fault("UploadMultipartPart", act, times=FOREVER)
    with RehearsalServer(tmp_path / "g", handler=faulty(fault)) as server:
        server.store.create_vault(VAULT)
        with context_of(server, source, Notes(), keep_going=keep_going) as context:
            upload_id = context.vault.initiate(description="", block_size=BLOCK_1.size)
            with pytest.raises(UploadError):
                upload_block(BlockTask(source, upload_id, BLOCK_1), context)
            assert context.slots.stop.asked is closes
