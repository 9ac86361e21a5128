"""What may be uploaded: which kind of source a path names, and what is refused at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.errors import BadInput, SourceIsFolder, SourceIsStream
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.kinds import inspect
from glacier_mpu.source.pipe import StreamSource

needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


def name_of(value: object) -> str:
    """Return the id of a parameter: a function's name."""
    return getattr(value, "__name__", "")


def missing(folder: Path) -> str:
    return str(folder / "nowhere")


def folder_itself(folder: Path) -> str:
    return str(folder)


def empty(folder: Path) -> str:
    (folder / "file").touch()
    return str(folder / "file")


def device(_: Path) -> str:
    return "/dev/null"


def socket_file(folder: Path) -> str:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket"))
    return str(folder / "socket")


def dangling_link(folder: Path) -> str:
    (folder / "link").symlink_to(folder / "nothing")
    return str(folder / "link")


def with_nul(folder: Path) -> str:
    return f"{folder}/a\0b"


def nameless(_: Path) -> str:
    return ""


@needs_posix
@pytest.mark.parametrize(
    ("path_in", "kind", "fact"),
    [
        (missing, BadInput, "nowhere.*No such file"),
        (folder_itself, SourceIsFolder, "is a folder"),
        (empty, BadInput, "the file is empty"),
        (device, SourceIsStream, "/dev/null.* is a device without a size"),
        (socket_file, SourceIsStream, "is a socket, not a file"),
        (dangling_link, BadInput, "link.*No such file"),
        (with_nul, BadInput, "null"),
        (nameless, BadInput, "''.*No such file"),
    ],
    ids=name_of,
)
def test_what_can_be_no_archive_is_bad_input_at_once(
    tmp_path: Path, path_in: Callable[[Path], str], kind: type[BadInput], fact: str
) -> None:
    path = path_in(tmp_path)
    with pytest.raises(BadInput, match=fact) as caught:
        inspect(path)
    assert type(caught.value) is kind


def test_a_missing_file_is_named_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as caught:
        inspect("nowhere")
    assert str(tmp_path / "nowhere") in caught.value.message


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux only")
def test_a_file_that_has_no_size_before_it_is_read_is_not_called_empty() -> None:
    with pytest.raises(SourceIsStream, match="has content, but no size"):
        inspect("/proc/self/status")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("make", [Path.touch, os.mkfifo], ids=["file", "pipe"])
def test_what_may_not_be_read_is_bad_input(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "secret"
    make(path)
    path.chmod(0)
    with pytest.raises(BadInput, match=r"cannot read .*secret.*: Permission denied"):
        inspect(str(path))


def test_a_file_is_a_file_also_where_its_name_is_a_hyphen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "-").write_bytes(b"data")
    monkeypatch.chdir(tmp_path)
    found = inspect("./-")
    assert isinstance(found, FileSource)
    assert found.size == 4


@needs_posix
@pytest.mark.timeout(20)
def test_a_named_pipe_is_a_stream_and_nobody_waits_for_its_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    assert inspect(path) == StreamSource(path=path)


@needs_posix
def test_a_hyphen_is_standard_input_also_beside_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "-").write_bytes(b"data")
    monkeypatch.chdir(tmp_path)
    out, into = os.pipe()
    assert inspect("-", standard_input=out) == StreamSource(path="-")
    os.close(out)
    os.close(into)


@needs_posix
def test_a_standard_input_that_gives_nothing_is_refused() -> None:
    main, terminal = os.openpty()
    with pytest.raises(SourceIsStream, match="standard input is a terminal"):
        inspect("-", standard_input=terminal)
    os.close(terminal)
    os.close(main)
    with pytest.raises(SourceIsStream, match="standard input is closed"):
        inspect("-", standard_input=None)
