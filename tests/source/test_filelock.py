"""Locks on files: two handles compete, and a lock ends with its handle or its process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import closing
from io import FileIO
from pathlib import Path

import pytest

from glacier_mpu.source.filelock import lock
from tests.support.scripts import ROOT

needs_flock = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
# Locks the file that it is given, says so, and waits to be ended.
HOLDER = """
import os, sys
from glacier_mpu.source.filelock import lock
descriptor = os.open(sys.argv[1], os.O_RDWR)
print(lock(descriptor), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    return path


def opened(path: Path) -> FileIO:
    return FileIO(path, "r+")


def test_of_two_handles_one_gets_the_lock_and_the_other_once_the_first_is_closed(
    path: Path,
) -> None:
    with closing(opened(path)) as second:
        with closing(opened(path)) as first:
            assert lock(first.fileno())
            assert not lock(second.fileno())
        assert lock(second.fileno())


@needs_flock
def test_the_handle_that_has_the_lock_may_take_it_again(path: Path) -> None:
    with closing(opened(path)) as file:
        assert lock(file.fileno())
        assert lock(file.fileno())


def test_files_are_locked_one_by_one(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"data")
    with closing(opened(path)) as file, closing(opened(other)) as another:
        assert lock(file.fileno())
        assert lock(another.fileno())


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
            assert not lock(file.fileno())
        finally:
            holder.kill()
        holder.wait()
        assert lock(file.fileno())


@needs_flock
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_there_are_no_locks_to_be_had_nobody_waits_for_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with closing(opened(path)) as file:
        assert lock(file.fileno())
