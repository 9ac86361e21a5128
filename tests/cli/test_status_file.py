"""A status file: always one whole object, the newest, and never waited for."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.cli.options import UsageError
from glacier_mpu.cli.status_file import StatusFile, replace_file

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
NOTHING: Mapping[str, str] = {}
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
IN_USE = PermissionError(errno.EACCES, "used by another process")


class Disk:
    """Replaces files, and fails or hangs when it is told to; tells when a try is over."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.failures: list[OSError] = []
        self.hangs = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        self.tried = threading.Semaphore(0)

    def replace(self, path: str, data: bytes) -> None:
        if not self.answers.is_set():
            self.hangs.set()
            assert self.answers.wait(30)
        try:
            if self.failures:
                raise self.failures.pop(0)
            self.numbers.append(json.loads(data)["number"])
        finally:
            self.tried.release()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def file(disk: Disk, tmp_path: Path) -> StatusFile:
    file = StatusFile(
        str(tmp_path / "status.json"),
        {"number": 0},
        others=NOTHING,
        replace=disk.replace,
        seconds_between_tries=0,
    )
    disk.tried.acquire()
    return file


def put(file: StatusFile, number: int, disk: Disk) -> None:
    """Put an object, and wait until it has been tried to be written."""
    file.put({"number": number})
    assert disk.tried.acquire(timeout=30)


def test_the_first_object_is_there_at_once_and_the_last_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    file = StatusFile(str(path), {"number": 0}, others=NOTHING)
    assert json.loads(path.read_bytes()) == {"number": 0}
    assert file.end({"number": 1}, seconds=30) == ""
    assert json.loads(path.read_bytes()) == {"number": 1}
    assert os.listdir(tmp_path) == ["status.json"]


def test_a_disk_that_hangs_keeps_nobody_waiting_and_gets_the_newest_once_it_answers(
    disk: Disk, file: StatusFile
) -> None:
    disk.answers.clear()
    file.put({"number": 1})
    assert disk.hangs.wait(30)
    for number in (2, 3, 4):
        file.put({"number": number})
    disk.answers.set()
    assert file.end({"number": 5}, seconds=30) == ""
    assert disk.numbers[:2] == [0, 1]
    assert set(disk.numbers[2:]) <= {4, 5}
    assert disk.numbers[-1] == 5


def test_a_disk_that_still_hangs_at_the_end_is_left_alone(disk: Disk, file: StatusFile) -> None:
    disk.answers.clear()
    file.put({"number": 1})
    assert disk.hangs.wait(30)
    assert file.end({"number": 2}, seconds=0) == "its disk does not answer"
    disk.answers.set()


def test_a_full_disk_is_told_after_three_tries_and_no_more_once_it_has_room(
    disk: Disk, file: StatusFile
) -> None:
    disk.failures = [FULL] * 3
    put(file, 1, disk)
    put(file, 2, disk)
    assert file.trouble == ""
    put(file, 3, disk)
    disk.answers.clear()  # so that the third try is over once the fourth begins
    file.put({"number": 4})
    assert disk.hangs.wait(30)
    assert file.trouble == "No space left on device"
    disk.answers.set()
    assert file.end({"number": 5}, seconds=30) == ""
    assert disk.numbers[-1] == 5


def test_the_last_object_is_tried_again_while_a_reader_is_in_the_way(
    disk: Disk, file: StatusFile
) -> None:
    disk.failures = [IN_USE] * 3
    assert file.end({"number": 1}, seconds=30) == ""
    assert disk.numbers == [0, 1]


class _PutBefore(dict[str, int]):
    """A record that, while it is made a line, has the one before it put and written."""

    def __init__(self, number: int, before: Callable[[], None]) -> None:
        super().__init__(number=number)
        self._before = before

    def items(self) -> Any:
        self._before()
        return super().items()


def test_the_thread_takes_no_object_before_the_last_for_the_last(
    disk: Disk, file: StatusFile
) -> None:
    last = _PutBefore(2, lambda: put(file, 1, disk))
    assert file.end(last, seconds=30) == ""
    assert disk.numbers == [0, 1, 2]


def test_a_last_object_that_could_not_be_written_is_told(disk: Disk, file: StatusFile) -> None:
    disk.failures = [FULL] * 9
    assert file.end({"number": 1}, seconds=30) == "No space left on device"
    assert disk.numbers == [0]


def test_a_reader_always_finds_a_whole_object(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    long, short = b'{"filling": "%s"}\n' % (b"x" * 5000), b"{}\n"
    replace_file(str(path), short)
    over = threading.Event()
    found: set[bytes] = set()

    def read() -> None:
        while not over.is_set():
            found.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(500):
            replace_file(str(path), long)
            replace_file(str(path), short)
    finally:
        over.set()
        reader.join()
    assert found <= {long, short}


def test_a_disk_that_takes_only_half_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(b"{}\n")
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: len(data) // 2]))
    with pytest.raises(OSError, match="No space left"):
        replace_file(str(path), b'{"number": 1}\n')
    monkeypatch.undo()
    assert path.read_bytes() == b"{}\n"
    assert os.listdir(tmp_path) == ["status.json"]


def test_a_file_that_cannot_be_replaced_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.mkdir()
    with pytest.raises(OSError, match=r"status\.json"):
        replace_file(str(path), b"{}\n")
    assert os.listdir(tmp_path) == ["status.json"]


@needs_posix
def test_a_file_that_a_killed_run_left_is_replaced_and_a_link_is_not_written_through(
    tmp_path: Path,
) -> None:
    precious, path = tmp_path / "precious", tmp_path / "status.json"
    precious.write_text("precious")
    (tmp_path / "status.json.glacier-mpu.tmp").symlink_to(precious)
    replace_file(str(path), b"{}\n")
    assert (path.read_text(), precious.read_text()) == ("{}\n", "precious")
    assert sorted(os.listdir(tmp_path)) == ["precious", "status.json"]


@needs_posix
def test_a_link_that_is_laid_in_between_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious, path = tmp_path / "precious", tmp_path / "status.json"
    precious.write_text("precious")
    (tmp_path / "status.json.glacier-mpu.tmp").symlink_to(precious)
    monkeypatch.setattr(os, "unlink", lambda _: None)  # it is there again at once
    with pytest.raises(FileExistsError):
        replace_file(str(path), b"{}\n")
    assert precious.read_text() == "precious"


def test_what_another_program_has_left_beside_it_stays(tmp_path: Path) -> None:
    path, others = tmp_path / "status.json", tmp_path / "status.json.tmp"
    others.write_text("precious")
    replace_file(str(path), b"{}\n")
    assert others.read_text() == "precious"


@needs_posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_umask_says_who_may_read_it(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "status.json"
    before = os.umask(umask)
    try:
        replace_file(str(path), b"{}\n")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode


@needs_posix
def test_a_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    link, path = tmp_path / "link", tmp_path / "status.json"
    link.symlink_to(path)
    StatusFile(str(link), {}, others=NOTHING).end({"number": 1}, seconds=30)
    assert link.is_symlink()
    assert json.loads(path.read_bytes()) == {"number": 1}


def folder(path: Path) -> str:
    path.mkdir()
    return str(path)


def pipe(path: Path) -> str:
    os.mkfifo(path)
    return str(path)


REFUSED: dict[str, tuple[Callable[[Path], str], str]] = {
    "a folder": (folder, "it is a folder"),
    "a missing folder": (lambda path: str(path / "no" / "such"), "No such file or directory"),
    "nothing": (lambda _: "", "it is a folder"),
    "the source": (lambda path: str(path.with_name("source")), "it is the source"),
    "a link to it": (lambda path: str(path.with_name("link")), "it is the source"),
    "a hard link to it": (lambda path: str(path.with_name("hard")), "it is the source"),
    "the source's name": (
        lambda path: str(path.with_name("other")),
        "other.glacier-mpu.tmp', which is",
    ),
    "a file that is not there yet": (lambda path: str(path.with_name("new")), "it is the receipts"),
    "a pipe": (pipe, "not a regular file"),
    "a device": (lambda _: os.devnull, "not a regular file"),
}


@needs_posix
@pytest.mark.parametrize(("make", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_a_status_file_is_refused_and_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], str], why: str
) -> None:
    source, receipts = tmp_path / "source", str(tmp_path / "new")
    source.write_text("precious")
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "other.glacier-mpu.tmp").hardlink_to(source)
    path = make(tmp_path / "x")
    others = {"the source": str(source), "the receipts": receipts}
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UsageError, match=why) as refused:
        StatusFile(path, {}, others=others)
    assert "--status-file" in refused.value.next_step
    assert sorted(os.listdir(tmp_path)) == before
    assert source.read_text() == "precious"
