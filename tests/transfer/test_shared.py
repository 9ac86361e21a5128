"""One upload made by several runs or machines: what each says of the others' blocks at its end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.errors import BlocksMissing, FileTooShort, SourceChanged, SourceUnreadable
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.events import BlockDiffers, BlockFailed, BlockMatches, Event
from glacier_mpu.transfer.request import Outcome, Status
from glacier_mpu.vault.answers import Listing
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.errors import (
    CompletionUnknown,
    ConnectionLost,
    CredentialsExpired,
    ServiceDown,
)
from tests.support import faults
from tests.support.engine import Notes, carry_out
from tests.support.faults import FOREVER, Act, Fault, FaultyHandler, faulty
from tests.support.scripts import VAULT, client_of

MakeFile = Callable[..., Path]
IMPATIENT = Waits(retry=0, connect=2, read=2, complete=2)


@contextmanager
def glacier(folder: Path, *unlucky: Fault) -> Iterator[RehearsalServer]:
    with RehearsalServer(folder, handler=faulty(*unlucky)) as server:
        server.store.create_vault(VAULT)
        yield server


def the_upload(server: RehearsalServer) -> str:
    (upload,) = client_of(server).list_multipart_uploads(vaultName=VAULT)["UploadsList"]
    return upload["MultipartUploadId"]


def part(server: RehearsalServer, source: Path, first: int, last: int, **wishes: Any) -> Outcome:
    """Store some blocks of the one upload that is open, as another machine does."""
    usual: dict[str, Any] = {"upload_id": the_upload(server), "finish": False}
    return carry_out(server, source, **usual | {"first": first, "last": last} | wishes)


def begun(server: RehearsalServer, source: Path, *, last: int = 0) -> None:
    """Leave an upload open that holds blocks 0 to `last` of 1 MiB."""
    carry_out(server, source, block_size=MIB, last=last, finish=False)


def meanwhile(action: Callable[[], object]) -> Fault:
    """Let another machine do something while the first block of a run is on its way."""
    return Fault("UploadMultipartPart", faults.do(action))


class AtTheFirst(Notes):
    """Lets another machine do something when the first event of a kind is heard."""

    def __init__(self, kind: type[Event], action: Callable[[], object]) -> None:
        super().__init__()
        self._kind, self._action = kind, action

    def hear(self, event: Event, /) -> None:
        if isinstance(event, self._kind) and not self.of(self._kind):
            self._action()
        super().hear(event)


def handler_of(server: RehearsalServer) -> type[FaultyHandler]:
    handler = server._listener.RequestHandlerClass
    assert isinstance(handler, type)
    assert issubclass(handler, FaultyHandler)
    return handler


def lists(server: RehearsalServer) -> int:
    return handler_of(server).calls.count("ListParts")


def other_file(source: Path) -> Path:
    """Return a file of the same size in which every block differs."""
    other = source.with_name("other")
    other.write_bytes(bytes(byte ^ 1 for byte in source.read_bytes()))
    return other


# -- a run that leaves the upload open


@pytest.mark.parametrize("new", [True, False], ids=["that it began", "that it resumed"])
def test_what_others_stored_meanwhile_is_not_called_missing(
    tmp_path: Path, make_file: MakeFile, *, new: bool
) -> None:
    source = make_file(5 * MIB)
    with glacier(tmp_path / "g") as server:
        if not new:
            begun(server, source)
        handler_of(server).faults = [meanwhile(lambda: part(server, source, 2, 3))]
        if new:
            outcome = carry_out(server, source, block_size=MIB, first=1, last=1, finish=False)
        else:
            outcome = part(server, source, 1, 1)
    assert outcome.status is Status.STORED
    assert list(outcome.missing) == ([0, 4] if new else [4])


def test_a_part_of_another_size_that_another_run_stored_meanwhile_is_still_missing(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)
    shorter = make_file(2 * MIB + 5, "shorter")
    with glacier(tmp_path / "g") as server:
        handler_of(server).faults = [meanwhile(lambda: part(server, shorter, 2, 2))]
        outcome = carry_out(server, source, block_size=MIB, last=0, finish=False)
    assert list(outcome.missing) == [1, 2]


def test_a_block_that_another_run_replaced_is_not_called_stored(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)
    other = other_file(source)
    with glacier(tmp_path / "g") as server:
        begun(server, source)
        watcher = AtTheFirst(BlockMatches, lambda: part(server, other, 0, 0))
        outcome = part(server, source, 0, 0, watcher=watcher)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, BlocksMissing)
    assert "block 0" in outcome.error.message
    assert list(outcome.missing) == [0, 1, 2]


FAILING_LISTS = {
    "an error": faults.answer_bare(503),
    "a refusal": faults.refuse(403, "AccessDeniedException"),
    "a broken line": faults.cut_before_reading,
}


@pytest.mark.parametrize("act", FAILING_LISTS.values(), ids=FAILING_LISTS.keys())
def test_a_list_that_fails_at_the_end_costs_nothing(
    tmp_path: Path, make_file: MakeFile, act: Act
) -> None:
    with glacier(tmp_path / "g", Fault("ListParts", act, times=FOREVER)) as server:
        outcome = carry_out(
            server,
            make_file(3 * MIB),
            waits=IMPATIENT,
            block_size=MIB,
            last=0,
            finish=False,
        )
    assert outcome.status is Status.STORED
    assert outcome.error is None
    assert list(outcome.missing) == [1, 2]


def test_a_stop_while_the_last_list_is_awaited_leaves_the_blocks_stored(
    tmp_path: Path, make_file: MakeFile
) -> None:
    stop = Stop()
    unlucky = [Fault("ListParts", faults.do(stop.ask)), Fault("ListParts", faults.never_answer)]
    with glacier(tmp_path / "g", *unlucky) as server:
        outcome = carry_out(
            server, make_file(2 * MIB), stop=stop, block_size=MIB, last=0, finish=False
        )
    assert outcome.status is Status.STORED
    assert list(outcome.missing) == [1]


def test_an_upload_that_another_run_completed_before_the_last_list_is_not_called_open(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source = make_file(2 * MIB)
    with glacier(tmp_path / "g") as server:

        def complete() -> None:
            handler_of(server).faults = []
            part(server, source, 0, 1, finish=True)

        handler_of(server).faults = [Fault("ListParts", faults.do(complete))]
        outcome = carry_out(server, source, block_size=MIB, finish=False)
        assert outcome.status is Status.UNKNOWN
        assert isinstance(outcome.error, CompletionUnknown)
        assert len(list((server.folder / "archives").iterdir())) == 1


# -- a run that ends open because blocks failed

NOT_BLOCK_1 = faults.refuse(400, "InvalidParameterValueException", "not this block")


def only_block_1(act: Act) -> Fault:
    def chosen(handler: FaultyHandler, call: Any) -> None:
        if handler.headers["Content-Range"].startswith(f"bytes {MIB}-"):
            act(handler, call)

    return Fault("UploadMultipartPart", chosen, times=FOREVER)


def failing(server: RehearsalServer, source: Path, **wishes: Any) -> Outcome:
    """Begin an upload and send blocks 0 and 1, past a failure of one."""
    usual: dict[str, Any] = {"block_size": MIB, "last": 1, "finish": False, "keep_going": True}
    return carry_out(server, source, **usual | {"slots": 2, "waits": IMPATIENT} | wishes)


@pytest.mark.parametrize("act", [NOT_BLOCK_1, faults.echo_another_hash], ids=["refused", "damaged"])
def test_after_a_block_failed_what_others_stored_is_not_called_missing(
    tmp_path: Path, make_file: MakeFile, act: Act
) -> None:
    source = make_file(5 * MIB)
    with glacier(tmp_path / "g") as server:
        other = meanwhile(lambda: part(server, source, 2, 3))
        handler_of(server).faults = [other, only_block_1(act)]
        outcome = failing(server, source)
        assert outcome.status is Status.OPEN
        assert list(outcome.failed) == [1]
        # What the vault stored and echoed wrongly is stored all the same, as far as is known.
        assert list(outcome.missing) == ([4] if act is faults.echo_another_hash else [1, 4])


def test_after_only_one_block_was_answered_by_errors_what_others_stored_is_not_called_missing(
    tmp_path: Path, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glacier_mpu.vault.line._LATELY_SECONDS", 60.0)  # on a busy machine, too
    source, failed = make_file(5 * MIB), threading.Event()
    with glacier(tmp_path / "g") as server:

        def others_store_two() -> None:
            assert failed.wait(30)  # so that block 0 gets through between both failures of block 1
            part(server, source, 2, 3)

        handler_of(server).faults = [
            Fault("UploadMultipartPart", faults.do(others_store_two), blocks=[0]),
            only_block_1(faults.answer_bare(503)),
        ]
        watcher = AtTheFirst(BlockFailed, failed.set)
        outcome = failing(server, source, watcher=watcher, waits=Waits(retry=0))
        assert len(watcher.of(BlockFailed)) == 2
        assert outcome.status is Status.OPEN
        assert list(outcome.failed) == [1]
        assert list(outcome.missing) == [1, 4]


def test_a_failed_block_that_another_run_has_stored_is_not_missing(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)
    with glacier(tmp_path / "g") as server:

        def store_it() -> None:
            handler_of(server).faults = []
            part(server, source, 1, 1)

        handler_of(server).faults = [only_block_1(NOT_BLOCK_1)]
        outcome = failing(server, source, watcher=AtTheFirst(BlockFailed, store_it))
    assert outcome.status is Status.OPEN
    assert list(outcome.failed) == [1]
    assert list(outcome.missing) == [2]


def test_a_failed_block_that_another_run_has_stored_in_its_full_size_is_not_missing(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)
    shorter = make_file(MIB + 5, "shorter")
    with glacier(tmp_path / "g") as server:
        begun(server, source)
        part(server, shorter, 1, 1)

        def store_it() -> None:
            handler_of(server).faults = []
            part(server, source, 1, 1)

        handler_of(server).faults = [only_block_1(NOT_BLOCK_1)]
        watcher = AtTheFirst(BlockFailed, store_it)
        outcome = failing(server, source, watcher=watcher, upload_id=the_upload(server))
    assert outcome.status is Status.OPEN
    assert list(outcome.missing) == [2]


@pytest.mark.parametrize("bad", [{1}, {0, 1}], ids=["a block", "any block"])
def test_after_a_block_could_not_be_read_the_blocks_are_listed_again(
    tmp_path: Path, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, bad: set[int]
) -> None:
    real_digest = FileSource.digest

    def digest(source: FileSource, block: Block, **rest: Any) -> Digest:
        if block.number in bad:
            raise SourceUnreadable("EIO")
        return real_digest(source, block, **rest)

    monkeypatch.setattr(FileSource, "digest", digest)
    with glacier(tmp_path / "g") as server:
        outcome = failing(server, make_file(3 * MIB), waits=Waits(retry=0))
        assert outcome.status is Status.OPEN
        assert lists(server) == 1


NOBODY_TO_ASK = {
    "a dead line": faults.cut_before_reading,
    "no answer": faults.never_answer,
    "refused credentials": faults.refuse(403, "ExpiredTokenException"),
    "a policy that denies": faults.refuse(403, "AccessDeniedException"),
}


@pytest.mark.parametrize("act", NOBODY_TO_ASK.values(), ids=NOBODY_TO_ASK.keys())
def test_where_nobody_would_answer_the_blocks_are_not_listed_again(
    tmp_path: Path, make_file: MakeFile, act: Act
) -> None:
    with glacier(tmp_path / "g", only_block_1(act)) as server:
        outcome = failing(server, make_file(3 * MIB), waits=Waits(retry=0, read=0.4))
        assert outcome.status is Status.OPEN
        assert 1 in outcome.missing
        assert lists(server) <= 1  # to tell a dead line from this block's trouble


def test_one_block_for_which_nobody_answered_is_enough_not_to_list_again(
    tmp_path: Path, make_file: MakeFile
) -> None:
    def refuse_0_and_cut_2(handler: FaultyHandler, call: Any) -> None:
        refused = handler.headers["Content-Range"].startswith("bytes 0-")
        (NOT_BLOCK_1 if refused else faults.cut_before_reading)(handler, call)

    bad_day = Fault("UploadMultipartPart", refuse_0_and_cut_2, times=FOREVER)
    with glacier(tmp_path / "g", bad_day) as server:
        outcome = failing(server, make_file(3 * MIB), slots=1)
        assert list(outcome.failed) == [0, 1]
        assert lists(server) <= 1  # to tell a dead line from this block's trouble


@pytest.mark.parametrize(
    "act",
    [
        faults.cut_before_reading,
        faults.answer_bare(503),
        faults.refuse(403, "ExpiredTokenException"),
    ],
    ids=["a dead line", "only errors", "refused credentials"],
)
def test_after_a_run_that_nobody_answered_any_more_a_block_refused_before_asks_for_no_list(
    tmp_path: Path, make_file: MakeFile, act: Act
) -> None:
    """A list would be retried for as long as the blocks were."""
    unlucky = [
        Fault("UploadMultipartPart", NOT_BLOCK_1, blocks=[0]),
        Fault("UploadMultipartPart", act, times=FOREVER, blocks=[1, 2]),
    ]
    with glacier(tmp_path / "g", *unlucky) as server:
        waits = Waits(retry=0.3, longest=0.1, read=0.4)
        outcome = failing(server, make_file(3 * MIB), slots=1, last=2, waits=waits)
        assert outcome.status is Status.OPEN
        assert 0 in outcome.failed
        assert isinstance(outcome.error, ConnectionLost | ServiceDown | CredentialsExpired)
        assert lists(server) <= 1  # to tell a dead line from one block's trouble


def test_where_no_block_failed_the_blocks_are_not_listed_again(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source = make_file(2 * MIB)
    touch = Fault("UploadMultipartPart", faults.do(lambda: os.utime(source, (0, 0))), after=1)
    with glacier(tmp_path / "g", touch) as server:
        outcome = failing(server, source)
        assert outcome.status is Status.OPEN
        assert isinstance(outcome.error, SourceChanged)
        assert lists(server) == 0


def test_after_a_stop_the_blocks_are_not_listed_again(tmp_path: Path, make_file: MakeFile) -> None:
    stop = Stop()
    with glacier(tmp_path / "g", only_block_1(faults.do(stop.ask))) as server:
        outcome = failing(server, make_file(3 * MIB), stop=stop)
        assert outcome.status is Status.OPEN
        assert lists(server) == 0


@pytest.mark.parametrize("act", FAILING_LISTS.values(), ids=FAILING_LISTS.keys())
def test_a_list_that_fails_after_a_block_leaves_the_blocks_own_error(
    tmp_path: Path, make_file: MakeFile, act: Act
) -> None:
    unlucky = [only_block_1(NOT_BLOCK_1), Fault("ListParts", act, times=FOREVER)]
    with glacier(tmp_path / "g", *unlucky) as server:
        outcome = failing(server, make_file(3 * MIB))
    assert outcome.status is Status.OPEN
    assert "not this block" in str(outcome.error)
    assert list(outcome.missing) == [1, 2]


def test_a_fault_of_this_program_in_the_last_list_keeps_nobody_from_the_upload_id(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("glacier_mpu.vault.calls.Vault.list_parts", bug)
    outcome = carry_out(server, make_file(2 * MIB), block_size=MIB, last=0, finish=False)
    assert outcome.status is Status.STORED
    assert outcome.upload_id == the_upload(server)


def test_an_upload_that_is_gone_when_a_failed_run_lists_it_is_not_called_open(
    tmp_path: Path, make_file: MakeFile
) -> None:
    gone = faults.refuse(404, "ResourceNotFoundException", "The upload ID was not found: x")
    unlucky = [only_block_1(NOT_BLOCK_1), Fault("ListParts", gone, times=FOREVER)]
    with glacier(tmp_path / "g", *unlucky) as server:
        outcome = failing(server, make_file(3 * MIB))
    assert outcome.status is Status.UNKNOWN


def test_what_a_failed_run_sees_beyond_the_files_end_leaves_the_blocks_own_error(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source, longer = make_file(3 * MIB), make_file(5 * MIB, "longer")
    with glacier(tmp_path / "g") as server:
        other = meanwhile(lambda: part(server, longer, 4, 4))
        handler_of(server).faults = [other, only_block_1(NOT_BLOCK_1)]
        outcome = failing(server, source)
    assert outcome.status is Status.OPEN
    assert "not this block" in str(outcome.error)


# -- a run that is to finish


def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each block that is read to be hashed."""
    numbers: list[int] = []
    real_digest = FileSource.digest

    def digest(source: FileSource, block: Block, **rest: Any) -> Digest:
        numbers.append(block.number)
        return real_digest(source, block, **rest)

    monkeypatch.setattr(FileSource, "digest", digest)
    return numbers


@pytest.mark.parametrize("how", ["not stored", "stored, but not as in the file"])
def test_a_finish_that_must_fail_says_so_before_it_reads_the_other_blocks(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Block 2 is not stored at all, or other bytes of it than the file has."""
    source = make_file(4 * MIB)
    begun(server, source, last=1)
    if "but" in how:
        part(server, make_file(2 * MIB + 5, "shorter"), 2, 2)
    numbers = hashed(monkeypatch)
    outcome = part(server, source, 3, 3, finish=True)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, BlocksMissing)
    assert f"{how}: block 2" in outcome.error.message
    assert list(outcome.missing) == [2]
    assert numbers == [3]


def test_a_block_that_another_run_mends_while_the_rest_is_compared_counts(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)
    begun(server, other_file(source))
    part(server, source, 1, 1)
    watcher = AtTheFirst(BlockDiffers, lambda: part(server, source, 0, 0))
    outcome = part(server, source, 2, 2, finish=True, watcher=watcher)
    assert outcome.status is Status.COMPLETED, outcome.error
    assert outcome.archive is not None
    path = server.store.archive_path(outcome.archive.archive_id)
    assert path.read_bytes() == source.read_bytes()


def test_a_block_that_cannot_be_read_to_be_compared_is_named_as_the_reason(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(3 * MIB)
    begun(server, source, last=1)
    real_digest = FileSource.digest

    def digest(source: FileSource, block: Block, **rest: Any) -> Digest:
        if block.number == 1:
            raise SourceUnreadable("EIO")
        return real_digest(source, block, **rest)

    monkeypatch.setattr(FileSource, "digest", digest)
    never = Waits(retry=0)
    outcome = part(server, source, 2, 2, finish=True, keep_going=True, waits=never)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, SourceUnreadable)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_block_that_another_run_replaces_while_the_rest_is_compared_is_not_completed(
    tmp_path: Path, make_file: MakeFile, number: int
) -> None:
    """Also one that this run itself has sent."""
    source = make_file(3 * MIB)
    other = other_file(source)
    with glacier(tmp_path / "g") as server:
        begun(server, source, last=1)
        watcher = AtTheFirst(BlockMatches, lambda: part(server, other, number, number))
        outcome = part(server, source, 2, 2, finish=True, watcher=watcher)
        assert outcome.status is Status.OPEN
        assert isinstance(outcome.error, BlocksMissing)
        assert f"not as in the file: block {number}" in outcome.error.message
        assert list(outcome.missing) == [number]
        assert "CompleteMultipartUpload" not in handler_of(server).calls


@pytest.mark.parametrize("finish", [True, False])
def test_an_upload_that_holds_data_beyond_the_files_end_is_open_and_not_bad_input(
    tmp_path: Path, make_file: MakeFile, *, finish: bool
) -> None:
    source, longer = make_file(3 * MIB), make_file(5 * MIB, "longer")
    with glacier(tmp_path / "g") as server:
        begun(server, source, last=1)
        handler_of(server).faults = [meanwhile(lambda: part(server, longer, 4, 4))]
        outcome = part(server, source, 2, 2, finish=finish)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, FileTooShort)


def test_an_acknowledged_block_that_a_list_leaves_out_counts_as_acknowledged(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list may lag behind; the completion itself is checked by the service."""
    source = make_file(2 * MIB)
    begun(server, source)
    list_parts = Vault.list_parts

    def lagging(vault: Vault, upload_id: str) -> Listing:
        listing = list_parts(vault, upload_id)
        return Listing(listing.upload, {0: listing.parts[0]})

    monkeypatch.setattr(Vault, "list_parts", lagging)
    assert part(server, source, 1, 1, finish=True).status is Status.COMPLETED
