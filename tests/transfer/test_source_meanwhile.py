"""What becomes of the file, or of its drive, while it is sent and compared."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.errors import SourceChanged
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.disk import is_rotating
from glacier_mpu.source.file import FileSource
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.events import BlockDiffers, BlockFailed, BlockMatches, Event, UploadOpened
from glacier_mpu.transfer.request import Status
from glacier_mpu.transfer.workers import Gate
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.errors import HashMismatch
from tests.support.engine import Notes, carry_out
from tests.support.faults import Fault, do, faulty
from tests.support.scripts import VAULT

MakeFile = Callable[..., Path]


def change(path: Path) -> None:
    """Change the file's last byte, and its time even where two writes fall into one tick."""
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    os.utime(path, ns=(0, 0))


# -- it changes


@pytest.mark.parametrize("slots", [1, 3])
def test_a_file_that_changes_is_noticed_at_the_next_block_and_nothing_more_is_sent(
    tmp_path: Path, make_file: MakeFile, slots: int
) -> None:
    """What is on its way when the third block arrives may arrive, too."""
    source = make_file(20 * MIB)
    handler = faulty(Fault("UploadMultipartPart", do(lambda: change(source)), after=2))
    with RehearsalServer(tmp_path / "glacier", handler=handler) as server:
        server.store.create_vault(VAULT)
        outcome = carry_out(server, source, block_size=MIB, slots=slots, keep_going=slots > 1)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, SourceChanged)
    assert handler.calls.count("UploadMultipartPart") <= 2 + slots


def test_a_block_is_not_sent_if_the_file_changed_while_it_waited_for_its_slot(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(5 * MIB)
    real_turn = Gate.turn
    turns: list[tuple[int, ...]] = []

    @contextmanager
    def turn(gate: Gate, place: tuple[int, ...]) -> Iterator[None]:
        with real_turn(gate, place):
            turns.append(place)
            if turns.count((0, 3)) == 2:  # its first turn was for reading
                change(source)
            yield

    monkeypatch.setattr(Gate, "turn", turn)
    notes = Notes()
    outcome = carry_out(server, source, watcher=notes, block_size=MIB)
    assert isinstance(outcome.error, SourceChanged)
    assert notes.sent == [0, 1, 2]
    assert notes.bytes["sent"] == 3 * MIB


def test_a_file_that_changes_while_it_is_compared_is_noticed_at_the_next_block(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glacier_mpu.transfer.context.cores", lambda: 2)
    source = make_file(20 * MIB)
    first = carry_out(server, source, block_size=MIB, finish=False)

    class ChangesIt(Notes):
        def hear(self, event: Event, /) -> None:
            super().hear(event)
            if len(self.of(BlockMatches)) == 1:
                change(source)

    notes = ChangesIt()
    outcome = carry_out(server, source, watcher=notes, upload_id=first.upload_id)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, SourceChanged)
    assert len(notes.matching) <= 6  # and not all 20
    assert notes.of(BlockDiffers) == []


def test_the_file_is_looked_at_once_a_block_and_once_at_the_end(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(5 * MIB)
    first = carry_out(server, source, block_size=MIB, last=2, finish=False)
    looks: list[int] = []
    real_check = FileSource.check_unchanged

    def check(source: FileSource) -> None:
        looks.append(1)
        real_check(source)

    monkeypatch.setattr(FileSource, "check_unchanged", check)
    outcome = carry_out(server, source, upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED
    assert len(looks) == 5 + 1


def test_a_damaged_block_of_a_file_that_changed_says_that_it_changed_and_no_other_is_sent(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(4 * MIB)
    sent: list[int] = []

    def send(_: Vault, __: str, block: Block, **___: Any) -> None:
        sent.append(block.number)
        change(source)
        raise HashMismatch("other bytes")

    monkeypatch.setattr(Vault, "send_block", send)
    notes = Notes()
    outcome = carry_out(server, source, watcher=notes, block_size=MIB, keep_going=True)
    assert isinstance(outcome.error, SourceChanged)
    assert notes.of(BlockFailed) == []  # it is not this block's failure
    assert sent == [0]


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open")
def test_a_damaged_block_of_a_file_that_is_gone_by_then_is_still_called_damaged(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(MIB)

    def send(*_: Any, **__: Any) -> None:
        source.unlink()
        raise HashMismatch("other bytes")

    monkeypatch.setattr(Vault, "send_block", send)
    outcome = carry_out(server, source, waits=Waits(retry=0))
    assert isinstance(outcome.error, HashMismatch)


# -- its drive hangs


@pytest.mark.parametrize(
    "where",
    [
        "glacier_mpu.source.file.FileSource.digest",
        "glacier_mpu.source.file.FileSource.check_unchanged",
        "glacier_mpu.transfer.file_run.is_rotating",
    ],
)
def test_a_drive_that_hangs_holds_up_neither_the_display_nor_a_stop_nor_the_uploads_id(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    stop, back = Stop(), threading.Event()

    class StopsAtTheThirdTick(Notes):
        ticks = 0

        def tick(self) -> None:
            self.ticks += 1
            if self.ticks == 3:
                stop.ask()

    def hang(*_: Any, **__: Any) -> None:
        back.wait(60)

    monkeypatch.setattr(where, hang)
    try:
        watcher = StopsAtTheThirdTick()
        outcome = carry_out(server, make_file(3 * MIB), watcher=watcher, stop=stop)
        assert outcome.status is Status.OPEN
        assert [event.upload_id for event in watcher.of(UploadOpened)] == [outcome.upload_id]
    finally:
        back.set()


def test_the_callers_thread_which_hears_signals_never_looks_at_the_file(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at a drive that hangs returns when the drive wishes."""
    source = make_file(5 * MIB)
    first = carry_out(server, source, block_size=MIB, last=2, finish=False)
    looks: set[str] = set()
    here = threading.get_ident()

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def look(*arguments: Any, **rest: Any) -> Any:
            assert threading.get_ident() != here, f"{name} in the caller's thread"
            looks.add(name)
            return real(*arguments, **rest)

        return look

    for name in ("digest", "open", "release", "check_unchanged"):
        monkeypatch.setattr(FileSource, name, watched(name, getattr(FileSource, name)))
    in_the_upload = "glacier_mpu.transfer.file_run.is_rotating"
    monkeypatch.setattr(in_the_upload, watched("is_rotating", is_rotating))
    outcome = carry_out(server, source, upload_id=first.upload_id)
    assert outcome.status is Status.COMPLETED
    assert looks == {"digest", "open", "release", "check_unchanged", "is_rotating"}


# -- a block that is stored leaves the page cache


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of the blocks that were released so far."""
    numbers: list[int] = []
    real_release = FileSource.release

    def release(source: FileSource, block: Block) -> None:
        numbers.append(block.number)
        real_release(source, block)

    monkeypatch.setattr(FileSource, "release", release)
    return numbers


@pytest.mark.parametrize("last", [None, 4], ids=["all asked for", "the rest checked at the end"])
def test_a_block_that_was_compared_leaves_the_page_cache_as_one_that_was_sent_does(
    server: RehearsalServer, make_file: MakeFile, released: list[int], last: int | None
) -> None:
    source = make_file(7 * MIB)
    first = carry_out(server, source, block_size=MIB, first=3, last=6, finish=False)
    assert sorted(released) == [3, 4, 5, 6]
    released.clear()
    outcome = carry_out(server, source, upload_id=first.upload_id, last=last)
    assert outcome.status is Status.COMPLETED
    assert sorted(released) == list(range(7))


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="a system that takes no such advice")
@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL, errno.ESTALE, errno.ENOSYS])
def test_a_page_cache_that_takes_no_advice_costs_no_stored_block(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    outcome = carry_out(server, make_file(3 * MIB), block_size=MIB)
    assert outcome.status is Status.COMPLETED


def test_a_file_that_is_gone_at_the_moment_its_block_was_stored_costs_no_stored_block(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(3 * MIB)
    real_release = FileSource.release
    gone: list[int] = []

    def release(of: FileSource, block: Block) -> None:
        away = source.rename(source.with_name("away"))
        assert not source.exists()
        real_release(of, block)
        gone.append(block.number)
        away.rename(source)

    monkeypatch.setattr(FileSource, "release", release)
    monkeypatch.setattr("glacier_mpu.transfer.context.cores", lambda: 1)
    outcome = carry_out(server, source, last=0, block_size=MIB, finish=False)
    assert outcome.status is Status.STORED
    assert gone == [0]
