"""This user's cache folder, and the small files that are locked in place of large ones."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from glacier_mpu.source.cache import cache_folder, lock_file, usual_ledger
from glacier_mpu.source.filelock import lock

needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "big.tar"
    path.write_bytes(b"data")
    return path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the temporary folder of a test, in place of that of this machine."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@needs_posix
def test_the_cache_folder_of_a_test_is_not_that_of_this_machines_user(
    own_cache_folder: Path,
) -> None:
    assert cache_folder() == str(own_cache_folder / "glacier_mpu")
    assert usual_ledger() == str(own_cache_folder / "glacier_mpu" / "ledger")


@needs_posix
@pytest.mark.parametrize("home", [None, "~"])
def test_a_user_without_a_home_has_no_cache_folder_and_none_named_tilde(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)  # as in a container: of no name and home
    assert cache_folder() is None
    assert usual_ledger() is None


@needs_posix
def test_the_file_itself_is_neither_opened_nor_locked(source: Path) -> None:
    with lock_file(str(source)) as descriptor, source.open("r+") as file:
        assert descriptor is not None
        assert lock(descriptor)
        assert not os.path.samestat(os.fstat(descriptor), source.stat())
        assert lock(file.fileno())


def test_one_file_has_one_lock_by_whatever_path(source: Path, tmp_path: Path) -> None:
    link, other = tmp_path / "link", tmp_path / "other"
    os.link(source, link)
    other.write_bytes(b"data")
    with (
        lock_file(str(source)) as first,
        lock_file(str(link)) as second,
        lock_file(str(other)) as third,
    ):
        assert first is not None
        assert second is not None
        assert third is not None
        assert lock(first)
        assert not lock(second)
        assert lock(third)
    with lock_file(str(link)) as next_run:
        assert next_run is not None
        assert lock(next_run)


@needs_posix
def test_the_lock_is_this_users_own_and_named_by_device_and_inode(
    source: Path, own_cache_folder: Path
) -> None:
    status = source.stat()
    with lock_file(str(source)):
        (path,) = files(own_cache_folder)
    assert path.name == f"{status.st_dev}-{status.st_ino}.lock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@needs_posix
def test_where_the_cache_folder_cannot_be_written_the_lock_lies_in_the_temporary_one(
    source: Path, own_cache_folder: Path, temporary: Path
) -> None:
    own_cache_folder.rmdir()
    own_cache_folder.write_bytes(b"no folder")
    with lock_file(str(source)) as first, lock_file(str(source)) as second:
        assert first is not None
        assert second is not None
        assert lock(first)
        assert not lock(second)
    (path,) = files(temporary)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@needs_posix
def test_two_users_do_not_meet_in_the_temporary_folder(
    source: Path, own_cache_folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cache_folder.rmdir()
    own_cache_folder.write_bytes(b"no folder")
    for user in (1000, 1001):
        monkeypatch.setattr("os.getuid", lambda user=user: user)
        with lock_file(str(source)) as descriptor:
            assert descriptor is not None
            assert lock(descriptor)
    assert len(files(temporary)) == 2


@needs_posix
def test_in_the_temporary_folder_the_link_of_another_user_is_not_followed(
    source: Path, own_cache_folder: Path, temporary: Path, tmp_path: Path
) -> None:
    own_cache_folder.rmdir()
    own_cache_folder.write_bytes(b"no folder")
    with lock_file(str(source)):
        (path,) = files(temporary)
    path.unlink()
    path.symlink_to(tmp_path / "planted")
    with lock_file(str(source)) as descriptor:
        assert descriptor is None
    assert not (tmp_path / "planted").exists()


@needs_posix
def test_where_there_is_no_room_at_all_there_is_nothing_to_lock(
    source: Path, own_cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cache_folder.rmdir()
    own_cache_folder.write_bytes(b"no folder")
    monkeypatch.setattr("tempfile.tempdir", str(own_cache_folder))
    with lock_file(str(source)) as descriptor:
        assert descriptor is None


def test_a_file_that_is_gone_has_nothing_to_lock(tmp_path: Path) -> None:
    with lock_file(str(tmp_path / "nowhere")) as descriptor:
        assert descriptor is None
