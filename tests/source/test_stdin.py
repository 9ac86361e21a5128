"""Which standard input can be read, and handed on to a command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glacier_mpu.source.stdin import why_not_read

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_a_pipe_is_read_and_nothing_is_taken_from_it_by_looking() -> None:
    out, into = os.pipe()
    os.write(into, b"data")
    os.close(into)
    assert why_not_read(out) == ""
    assert os.read(out, 10) == b"data"
    os.close(out)


def test_a_pipe_into_which_nothing_was_written_yet_is_not_waited_for() -> None:
    out, into = os.pipe()
    assert why_not_read(out) == ""
    os.close(out)
    os.close(into)


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    with opened(str(tmp_path / "file"), os.O_RDONLY) as descriptor:
        assert why_not_read(descriptor) == ""


def test_a_terminal_is_not_read() -> None:
    main, terminal = os.openpty()
    assert why_not_read(terminal) == "is a terminal"
    os.close(terminal)
    os.close(main)


def test_what_nohup_opens_for_writing_only_cannot_be_read() -> None:
    with opened(os.devnull, os.O_WRONLY) as descriptor:
        assert why_not_read(descriptor) == "cannot be read: Bad file descriptor"


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    with opened(str(tmp_path), os.O_RDONLY) as descriptor:
        assert why_not_read(descriptor) == "cannot be read: Is a directory"


def test_where_a_process_began_without_one_another_file_of_its_number_is_not_taken_for_it() -> None:
    script = (
        "import os; os.open('/dev/zero', os.O_RDONLY)\n"
        "from glacier_mpu.source.stdin import why_not_read\n"
        "print(repr(os.read(0, 1)), why_not_read())"
    )
    line = f'exec "{sys.executable}" -c "$1" <&-'
    done = subprocess.run(["sh", "-c", line, "sh", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"b'\\x00' is closed\n"
