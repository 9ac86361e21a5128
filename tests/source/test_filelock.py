"""Locks on files: two handles compete, and a lock ends with its handle or its process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from io import FileIO
from pathlib import Path

import pytest

from glacier_mpu.source.filelock import lock
from tests.support.scripts import ROOT

needs_flock = pytest.mark.skipif(os.name == "nt", reason="on Windows only descriptors are locked")
# Locks the file that it is given, says so, and waits to be ended.
HOLDER = """
import os, sys
from glacier_mpu.source.filelock import lock
descriptor = os.open(sys.argv[1], os.O_RDWR)
print(lock(descriptor), flush=True)
sys.stdin.read()
"""


def by_file(file: FileIO) -> bool:
    return lock(file)


def by_descriptor(file: FileIO) -> bool:
    return lock(file.fileno())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    return path


def opened(path: Path, mode: str = "r+") -> FileIO:
    return FileIO(path, mode)


@pytest.mark.parametrize(
    "take", [pytest.param(by_file, marks=needs_flock), by_descriptor], ids=["file", "descriptor"]
)
def test_of_two_handles_one_gets_the_lock_and_the_other_once_the_first_is_closed(
    path: Path, take: Callable[[FileIO], bool]
) -> None:
    with closing(opened(path)) as second:
        with closing(opened(path)) as first:
            assert take(first)
            assert not take(second)
        assert take(second)


@needs_flock
def test_a_file_that_is_only_read_is_locked_as_well(path: Path) -> None:
    with closing(opened(path, "r")) as first, closing(opened(path, "r")) as second:
        assert lock(first)
        assert not lock(second)


@needs_flock
def test_the_handle_that_has_the_lock_may_take_it_again(path: Path) -> None:
    with closing(opened(path)) as file:
        assert lock(file)
        assert lock(file)


def test_files_are_locked_one_by_one(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"data")
    with closing(opened(path)) as file, closing(opened(other)) as another:
        assert by_descriptor(file)
        assert by_descriptor(another)


def test_a_lock_keeps_other_processes_out_until_its_process_is_killed(path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with (
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder,
        closing(opened(path)) as file,
    ):
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "True\n"
            assert not by_descriptor(file)
        finally:
            holder.kill()
        holder.wait()
        assert by_descriptor(file)


@needs_flock
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_there_are_no_locks_to_be_had_nobody_waits_for_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with closing(opened(path)) as file:
        assert lock(file)
