"""`--resume` that finds none of its description: which others it tells of, and at what price."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.transfer import others
from glacier_mpu.transfer.events import BlockMatches, NothingToResume, OtherUpload
from glacier_mpu.transfer.request import Status
from tests.support.engine import Notes, Readings, carry_out
from tests.support.faults import Fault, faulty, refuse
from tests.support.scripts import VAULT, client_of

MIB = 1 << 20
MakeFile = Callable[..., Path]


def partly(server: RehearsalServer, source: Path, description: str, **wishes: Any) -> str:
    """Leave an upload open that holds some of the file's blocks, and return its id."""
    usual: dict[str, Any] = {"block_size": MIB, "last": 1, "finish": False}
    return carry_out(server, source, description=description, **(usual | wishes)).upload_id


def resumed(server: RehearsalServer, source: Path, **wishes: Any) -> Notes:
    """Resume what there is not, which begins an upload, and return what was told."""
    notes = Notes()
    made = carry_out(server, source, watcher=notes, resume=True, description="mine", **wishes)
    assert made.status is Status.COMPLETED
    assert len(notes.of(NothingToResume)) == 1
    return notes


def told(notes: Notes) -> list[str]:
    return [event.upload.upload_id for event in notes.of(OtherUpload)]


def test_an_upload_that_another_spelling_of_the_path_began_is_told_and_not_resumed(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(5 * MIB)
    other = partly(server, source, "Archive for ./big.tar")
    notes = resumed(server, source, block_size=MIB)
    (event,) = notes.of(OtherUpload)
    assert (event.upload.upload_id, event.upload.description) == (other, "Archive for ./big.tar")
    assert (event.stored, event.count, event.more) == (2, 5, 0)
    assert notes.events.index(event) < notes.events.index(notes.of(NothingToResume)[0])
    assert notes.sent == [0, 1, 2, 3, 4]


def test_an_upload_of_another_file_of_the_same_size_is_not_told(
    server: RehearsalServer, make_file: MakeFile, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other" * MIB)
    partly(server, other, "theirs")
    assert told(resumed(server, make_file(5 * MIB))) == []


def test_uploads_that_cannot_be_of_this_file_are_not_compared(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They hold nothing, data behind its end, a last block of another size, or other blocks."""
    source = make_file(2 * MIB + 5)
    longer = make_file(4 * MIB, "longer")
    partly(server, longer, "behind its end", last=3)
    partly(server, longer, "no short last block", last=2)
    partly(server, source, "larger blocks", block_size=2 * MIB, last=0)
    client_of(server).initiate_multipart_upload(
        vaultName=VAULT, archiveDescription="empty", partSize=str(MIB)
    )
    readings = Readings(monkeypatch)
    assert told(resumed(server, source, block_size=MIB)) == []
    assert sorted(readings.hashed) == [0, 1, 2]


def test_the_newest_are_told_and_the_others_counted(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)
    uploads = [partly(server, source, f"spelling {number}") for number in range(5)]
    notes = resumed(server, source, block_size=MIB)
    assert told(notes) == uploads[:-4:-1]
    assert [event.more for event in notes.of(OtherUpload)] == [0, 0, 2]


def test_one_block_is_read_for_all_and_is_not_read_again_to_be_sent(
    server: RehearsalServer, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(3 * MIB)
    for number in range(3):
        partly(server, source, f"spelling {number}")
    readings = Readings(monkeypatch)
    assert len(told(resumed(server, source, block_size=MIB))) == 3
    assert sorted(readings.hashed) == [0, 1, 2]


def test_with_a_ledger_none_is_read_for_them(
    server: RehearsalServer, make_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_file(3 * MIB)
    monkeypatch.setattr("glacier_mpu.source.file.REST_NS", -1)  # just made, it is at rest
    ledger = str(tmp_path / "ledger")
    partly(server, source, "spelling", ledger=ledger)
    readings = Readings(monkeypatch)
    assert len(told(resumed(server, source, block_size=MIB, ledger=ledger))) == 1
    assert readings.hashed == [2]


def test_only_the_newest_are_looked_at_since_each_list_is_billed(
    tmp_path: Path, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "MOST_LOOKED_AT", 2)
    handler = faulty()
    with RehearsalServer(tmp_path / "glacier", handler=handler) as server:
        server.store.create_vault(VAULT)
        source = make_file(2 * MIB)
        uploads = [partly(server, source, f"spelling {number}", last=0) for number in range(4)]
        handler.calls.clear()
        notes = resumed(server, source, block_size=MIB)
    assert told(notes) == [uploads[3], uploads[2]]
    assert handler.calls.count("ListParts") == 2


def test_one_that_is_gone_when_it_is_looked_at_is_passed_over(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source = make_file(2 * MIB)
    gone = Fault("ListParts", refuse(404, "ResourceNotFoundException", "gone"), after=1)
    with RehearsalServer(tmp_path / "glacier", handler=faulty(gone)) as server:
        server.store.create_vault(VAULT)
        partly(server, source, "spelling", last=0)  # which lists its blocks at its end
        assert told(resumed(server, source, block_size=MIB)) == []


def test_a_list_that_is_refused_ends_the_search_and_not_the_run(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source = make_file(2 * MIB)
    refused = Fault("ListParts", refuse(403, "AccessDeniedException", "not this one"), after=2)
    handler = faulty(refused)
    with RehearsalServer(tmp_path / "glacier", handler=handler) as server:
        server.store.create_vault(VAULT)
        for spelling in ("spelling", "another"):
            partly(server, source, spelling, last=0)  # which lists its blocks at its end
        lists = handler.calls.count("ListParts")
        assert told(resumed(server, source, block_size=MIB)) == []
        assert refused.met == 3
        assert lists == 2


def test_one_that_is_resumed_by_its_id_is_not_told_of(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)
    other = partly(server, source, "spelling")
    notes = Notes()
    carry_out(server, source, watcher=notes, upload_id=other)
    assert notes.of(OtherUpload) == []
    assert len(notes.of(BlockMatches)) == 2
