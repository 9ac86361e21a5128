"""The ledger: what it knows of which file, what it writes, and that no trouble with it is one."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glacier_mpu.source.blocks import MIB
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.ledger import DAYS_KEPT, Ledger, LedgerWriter, Remembered
from glacier_mpu.source.treehash import Digest

needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
SOURCE = FileSource(path="/srv/a.tar", size=9 * MIB, mtime_ns=10, inode=7, ctime_ns=11)
DAY = 24 * 3600


def digest(number: int) -> Digest:
    return Digest(linear=f"{number:064x}", tree=number.to_bytes(32, "big"))


def known(*numbers: int) -> dict[int, Digest]:
    """Return what a ledger knows that was told of these blocks."""
    return {n: Remembered(linear=digest(n).linear, tree=digest(n).tree) for n in numbers}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def troubles() -> list[str]:
    return []


Open = Callable[..., Ledger]


@pytest.fixture
def opened(folder: Path, troubles: list[str]) -> Open:
    """Return a maker of ledgers of SOURCE in one folder; their troubles are collected."""

    def make(source: FileSource = SOURCE, **wishes: Any) -> Ledger:
        place = wishes.pop("folder", str(folder))
        return Ledger(place, source, on_trouble=troubles.append, **wishes)

    return make


def written(ledger: Ledger, *numbers: int, upload: str = "upload", block_size: int = MIB) -> Ledger:
    """Let a run tell of these blocks."""
    ledger.begin(block_size, upload)
    for number in numbers:
        ledger.note(number, digest(number))
    ledger.close()
    return ledger


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


# -- what is remembered


def test_a_later_run_knows_what_an_earlier_one_hashed(opened: Open) -> None:
    written(opened(), 0, 3)
    assert opened().recall(MIB) == known(0, 3)


def test_what_is_remembered_can_be_told_from_what_this_run_has_read(opened: Open) -> None:
    written(opened(), 0)
    remembered = opened().recall(MIB)[0]
    assert isinstance(remembered, Remembered)
    assert remembered.tree == digest(0).tree
    assert remembered != digest(0)


def test_what_several_runs_hashed_is_put_together(opened: Open) -> None:
    first, second = opened(), opened()
    first.begin(MIB, "upload")
    second.begin(MIB, "upload")  # at once, on another machine perhaps
    for number in range(4):
        (first, second)[number % 2].note(number, digest(number))
    assert opened().recall(MIB) == known(0, 1, 2, 3)
    first.close()
    second.close()


@pytest.mark.parametrize(
    "other", [{"size": 8 * MIB}, {"mtime_ns": 9}, {"inode": 8}, {"ctime_ns": 12}], ids=str
)
def test_nothing_is_known_of_a_file_that_differs_in_anything(
    opened: Open, other: dict[str, Any]
) -> None:
    written(opened(), 0)
    assert opened(replace(SOURCE, **other)).recall(MIB) == {}


def test_a_file_is_known_by_any_path(opened: Open) -> None:
    written(opened(), 0)
    assert opened(replace(SOURCE, path="b.tar")).recall(MIB) == known(0)


def test_blocks_of_another_size_are_others(opened: Open) -> None:
    written(opened(), 0)
    written(opened(), 1, block_size=2 * MIB)
    assert (opened().recall(MIB), opened().recall(2 * MIB)) == (known(0), known(1))


def test_a_system_without_a_change_time_has_a_ledger_too(opened: Open) -> None:
    windows = replace(SOURCE, ctime_ns=None)
    written(opened(windows), 0)
    assert opened(windows).recall(MIB) == known(0)


def test_where_files_have_no_numbers_nothing_is_written_or_known(
    opened: Open, folder: Path
) -> None:
    """Two files of one size and time could not be told apart."""
    nameless = replace(SOURCE, inode=0)
    written(opened(nameless), 0)
    assert not folder.exists()
    assert opened(nameless).recall(MIB) == {}


def test_without_a_folder_nothing_is_written_or_known(opened: Open, troubles: list[str]) -> None:
    written(opened(folder=None), 0).forget()
    assert opened(folder=None).recall(MIB) == {}
    assert troubles == []


def test_where_two_runs_disagree_the_newer_one_counts(opened: Open) -> None:
    for now, tree in ((2 * 10**18, digest(2).tree), (10**18, digest(1).tree)):
        ledger = opened(clock=lambda now=now: now)
        ledger.begin(MIB, "upload")
        ledger.note(0, replace(digest(0), tree=tree))
        ledger.close()
    assert opened().recall(MIB)[0].tree == digest(2).tree


def test_a_recheck_knows_nothing_and_writes(opened: Open) -> None:
    written(opened(), 0)
    ledger = opened(recheck=True)
    assert ledger.recall(MIB) == {}
    written(ledger, 1)
    assert opened().recall(MIB) == known(0, 1)


def test_ten_thousand_blocks_of_many_runs_are_read_once_a_run(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for night in range(20):
        written(opened(), *range(night * 500, night * 500 + 500))
    ledger = opened()
    assert ledger.recall(MIB) == known(*range(10_000))
    monkeypatch.setattr("os.listdir", lambda _: pytest.fail("read again"))
    assert len(ledger.recall(MIB)) == 10_000


# -- what lies in the folder


@needs_posix
def test_folder_and_files_are_the_users_alone(opened: Open, folder: Path) -> None:
    written(opened(), 0)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(only_file(folder).stat().st_mode) == 0o600


def test_a_file_of_the_ledger_says_to_people_of_which_file_it_tells(
    opened: Open, folder: Path
) -> None:
    written(opened(), 5)
    head, line = map(json.loads, only_file(folder).read_text().splitlines())
    assert head["path"] == os.path.abspath(SOURCE.path)
    assert head["host"]
    assert (head["inode"], head["size"], head["block_size"]) == (7, 9 * MIB, MIB)
    assert line == {"block": 5, "linear": digest(5).linear, "tree": digest(5).tree.hex()}


def test_a_name_that_is_no_utf8_is_no_trouble(opened: Open, troubles: list[str]) -> None:
    written(opened(replace(SOURCE, path="/srv/caf\udce9")), 0)
    assert opened().recall(MIB) == known(0)
    assert troubles == []


def test_a_run_that_hashes_nothing_leaves_nothing(opened: Open, folder: Path) -> None:
    written(opened())
    assert not folder.exists()


def test_each_line_is_with_the_system_as_soon_as_it_is_noted(opened: Open, folder: Path) -> None:
    ledger = opened()
    ledger.begin(MIB, "upload")
    for number in range(3):
        ledger.note(number, digest(number))
        assert len(only_file(folder).read_bytes().splitlines()) == number + 2
    ledger.close()


# -- lines and files that are not whole


@settings(max_examples=60)
@given(data=st.data())
def test_wherever_a_file_is_cut_off_the_whole_lines_before_count(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    written(Ledger(str(folder), SOURCE, on_trouble=pytest.fail), 0, 1, 2)
    whole = only_file(folder).read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    only_file(folder).write_bytes(whole[:cut])
    # A last line that lacks but its newline is whole.
    count = max(0, (whole[:cut] + b"\n").count(b"}\n") - 1)
    assert Ledger(str(folder), SOURCE, on_trouble=pytest.fail).recall(MIB) == known(*range(count))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[1, 2]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"block": "1", "linear": "%s", "tree": "%s"}' % (b"a" * 64, b"a" * 64),
        b'{"block": 1, "linear": "%s"}' % (b"a" * 64),
        b'{"block": 1, "linear": "%s", "tree": "%s"}' % (b"a" * 63, b"a" * 64),
        b'{"block": 1, "linear": "%s", "tree": "%s"}' % (b"a" * 64, b"a" * 62),
        b'{"block": 1, "linear": "%s", "tree": "%s"}' % (b"A" * 64, b"g" * 64),
        b'{"block": 1, "linear": null, "tree": 5}',
    ],
    ids=lambda line: line[:40].decode(errors="replace"),
)
def test_a_malformed_line_is_passed_over_and_those_behind_it_count(
    opened: Open, folder: Path, line: bytes
) -> None:
    written(opened(), 0, 2)
    first, *rest = only_file(folder).read_bytes().splitlines()
    only_file(folder).write_bytes(b"\n".join([first, line, *rest, b""]))
    assert opened().recall(MIB) == known(0, 2)


@pytest.mark.parametrize("head", [b"", b"null", b'{"inode": 7}', b"torn"], ids=repr)
def test_a_file_without_its_head_is_passed_over(opened: Open, folder: Path, head: bytes) -> None:
    written(opened(), 0)
    _, *lines = only_file(folder).read_bytes().splitlines()
    only_file(folder).write_bytes(b"\n".join([head, *lines, b""]))
    assert opened().recall(MIB) == {}


def test_a_folder_in_the_place_of_a_file_is_passed_over(opened: Open, folder: Path) -> None:
    written(opened(), 0)
    path = only_file(folder)
    written(opened(), 1)
    path.unlink()
    path.mkdir()
    assert opened().recall(MIB) == known(1)


# -- sweeping


def test_what_was_kept_for_a_completed_upload_is_removed_and_what_for_another_is_not(
    opened: Open,
) -> None:
    """The same file may be on its way to two vaults."""
    written(opened(), 0, upload="one")
    written(opened(), 1, upload="two")
    written(opened(), 2, upload="one").forget()
    assert opened().recall(MIB) == known(1)


def test_an_upload_that_was_never_opened_removes_nothing(opened: Open) -> None:
    written(opened(), 0, upload="")
    opened().forget()
    assert opened().recall(MIB) == known(0)


def aged(folder: Path, days: float) -> Path:
    """Make the only file in the folder so old."""
    path = only_file(folder)
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def test_what_nobody_has_used_for_ninety_days_is_swept(opened: Open, folder: Path) -> None:
    written(opened(), 0)
    aged(folder, DAYS_KEPT - 0.01)
    written(opened(replace(SOURCE, inode=8)))
    assert only_file(folder).exists()
    aged(folder, DAYS_KEPT + 0.01)
    written(opened(replace(SOURCE, inode=8)))
    assert list(folder.iterdir()) == []


def test_what_is_used_is_kept_for_another_ninety_days(opened: Open, folder: Path) -> None:
    """An upload of 20 TB takes longer than that on many a line."""
    written(opened(), 0)
    path = aged(folder, DAYS_KEPT + 1)
    ledger = opened()
    assert ledger.recall(MIB) == known(0)
    written(ledger)
    assert path.exists()


def test_files_that_are_not_the_ledgers_are_never_swept(opened: Open, folder: Path) -> None:
    folder.mkdir()
    for name in ("thesis.jsonl", "a" * 32 + "-1-2-x.jsonl", "notes.txt"):
        (folder / name).write_text("{}")
        os.utime(folder / name, (0, 0))
    written(opened(), 0).forget()
    assert len(list(folder.iterdir())) == 3


# -- trouble


def as_file(folder: Path) -> None:
    folder.write_bytes(b"no folder")


def below_a_file(folder: Path) -> None:
    folder.parent.rmdir()
    folder.parent.write_bytes(b"no folder")


@pytest.mark.parametrize("spoil", [as_file, below_a_file], ids=lambda spoil: spoil.__name__)
def test_a_folder_that_is_none_is_said_once_and_passed_over(
    opened: Open, tmp_path: Path, troubles: list[str], spoil: Callable[[Path], None]
) -> None:
    place = tmp_path / "new" / "ledger"
    place.parent.mkdir()
    spoil(place)
    ledger = opened(folder=str(place))
    assert ledger.recall(MIB) == {}
    assert ledger.recall(2 * MIB) == {}
    written(ledger, 0, 1, 2).forget()
    assert len(troubles) == 1
    if os.name != "nt":  # which has words of its own
        assert troubles[0] == os.strerror(errno.ENOTDIR)


def refusing(number: int, monkeypatch: pytest.MonkeyPatch, *, call: str) -> list[int]:
    """Let the system refuse these calls; the list grows by each."""
    calls: list[int] = []

    def refuse(*_: Any, **__: Any) -> int:
        calls.append(number)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    return calls


@pytest.mark.parametrize("call", ["makedirs", "open"])
def test_what_a_read_only_folder_holds_is_known_and_that_nothing_can_be_added_is_said_once(
    opened: Open, troubles: list[str], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    written(opened(), 0)
    calls = refusing(errno.EROFS, monkeypatch, call=call)
    ledger = opened()
    assert ledger.recall(MIB) == known(0)
    written(ledger, 1, 2)
    assert troubles == [os.strerror(errno.EROFS)]
    assert len(calls) == 1  # and not tried for each block


@pytest.mark.parametrize("taken", [0, 10, None], ids=["none", "some", "refused"])
def test_once_the_disk_is_full_nothing_more_is_written_and_what_was_is_known(
    opened: Open, troubles: list[str], monkeypatch: pytest.MonkeyPatch, taken: int | None
) -> None:
    real_write = os.write
    ledger = opened()
    ledger.begin(MIB, "upload")
    ledger.note(0, digest(0))
    if taken is None:
        refusing(errno.ENOSPC, monkeypatch, call="write")
    else:
        monkeypatch.setattr(os, "write", lambda file, data: real_write(file, data[:taken]))
    ledger.note(1, digest(1))
    monkeypatch.setattr(os, "write", real_write)  # there is room again, behind a torn line
    ledger.note(2, digest(2))
    ledger.close()
    assert troubles == [os.strerror(errno.ENOSPC)]
    assert opened().recall(MIB) == known(0)


def test_a_completed_uploads_files_are_removed_though_the_disk_became_full(
    opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = opened()
    ledger.begin(MIB, "upload")
    ledger.note(0, digest(0))
    with monkeypatch.context() as full:
        refusing(errno.ENOSPC, full, call="write")
        ledger.note(1, digest(1))
    ledger.forget()
    assert list(folder.iterdir()) == []


def test_a_drive_that_reports_a_full_disk_only_at_the_end_is_no_trouble(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_close = os.close
    ledger = opened()
    ledger.begin(MIB, "upload")
    ledger.note(0, digest(0))

    def close(descriptor: int) -> None:
        real_close(descriptor)
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with monkeypatch.context() as full:
        full.setattr(os, "close", close)
        ledger.close()
    ledger.close()


def test_a_file_that_another_run_sweeps_meanwhile_is_no_trouble(
    opened: Open, folder: Path, troubles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written(opened(), 0)
    names = os.listdir(folder)
    only_file(folder).unlink()
    monkeypatch.setattr(os, "listdir", lambda _: names)
    ledger = opened()
    assert ledger.recall(MIB) == {}
    written(ledger).forget()
    assert troubles == []


def test_a_folder_may_be_given_relative(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(opened(folder="mine"), 0)
    assert opened(folder="mine").recall(MIB) == known(0)
    assert only_file(tmp_path / "mine").exists()


# -- a folder that hangs


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let the ledger's folder hang until the event is set, at the end of the test at last."""
    goes_on = threading.Event()
    real_makedirs = os.makedirs

    def makedirs(*arguments: Any, **rest: Any) -> None:
        goes_on.wait(60)
        real_makedirs(*arguments, **rest)

    monkeypatch.setattr(os, "makedirs", makedirs)
    yield goes_on
    goes_on.set()


def test_what_is_noted_while_the_folder_hangs_is_written_once_it_does_not(
    opened: Open, hanging: threading.Event
) -> None:
    writer = LedgerWriter(opened())
    writer.begin(MIB, "upload")
    for number in range(3):
        writer.note(number, digest(number))
    hanging.set()
    writer.close(seconds=60)
    assert opened().recall(MIB) == known(0, 1, 2)


def test_nobody_waits_longer_than_asked_for_a_folder_that_hangs(
    opened: Open, hanging: threading.Event
) -> None:
    writer = LedgerWriter(opened())
    writer.begin(MIB, "upload")
    writer.note(0, digest(0))
    writer.close(seconds=0)
    assert not hanging.is_set()


def test_a_writer_that_never_began_has_nothing_to_wait_for(opened: Open) -> None:
    LedgerWriter(opened()).close(seconds=60)


def test_what_is_forgotten_is_what_was_noted_before(opened: Open, folder: Path) -> None:
    writer = LedgerWriter(opened())
    writer.begin(MIB, "upload")
    writer.note(0, digest(0))
    writer.forget()
    writer.close(seconds=60)
    assert list(folder.iterdir()) == []
