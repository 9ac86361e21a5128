"""The blocks in hand: what is left of them, and who may still write."""

from __future__ import annotations

import os
import tempfile
from io import FileIO
from pathlib import Path

import pytest

from glacier_mpu.source.blocks import Block
from glacier_mpu.source.spool import PREFIX, Spool
from glacier_mpu.stop import Stop, Stopped


@pytest.fixture
def names_stay(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let open files keep their names, as Windows does."""

    def refuse(_: str) -> None:
        raise PermissionError

    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr("glacier_mpu.source.spool.os.unlink", refuse)
    return monkeypatch


def test_a_block_whose_file_keeps_its_name_is_gone_once_it_is_released(
    tmp_path: Path, names_stay: pytest.MonkeyPatch
) -> None:
    spool = Spool(str(tmp_path))
    spool.write(0, memoryview(b"abc"))
    (file,) = tmp_path.iterdir()
    assert file.name.startswith(PREFIX)
    names_stay.undo()
    spool.release(Block(0, 0, 3))
    assert list(tmp_path.iterdir()) == []


def test_no_kill_can_come_while_a_block_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        os.close(os.open(tmp_path, os.O_RDWR | os.O_TMPFILE))
    except (AttributeError, OSError):
        pytest.skip("no files without a name here")
    monkeypatch.setattr(tempfile, "mkstemp", None)
    spool = Spool(str(tmp_path))
    assert spool.write(0, memoryview(b"abc")) == 3
    spool.close()


def test_what_a_killed_run_left_is_deleted_by_the_next(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}left").touch()
    (tmp_path / "another").touch()
    Spool(str(tmp_path)).close()
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


def test_a_reader_that_comes_late_leaves_nothing_in_a_spool_that_is_closed(
    tmp_path: Path, names_stay: pytest.MonkeyPatch
) -> None:
    spool = Spool(str(tmp_path))
    spool.close()
    with pytest.raises(Stopped):
        spool.write(0, memoryview(b"abc"))
    assert list(tmp_path.iterdir()) == []


def test_a_block_is_on_its_way_until_its_room_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for room would else find none, and nothing more to wait for."""
    waited: list[bool] = []
    stop = Stop()
    stop.ask()

    class Watched(FileIO):
        def close(self) -> None:
            with pytest.raises(Stopped):
                spool.await_room(1, stop=stop)
            waited.append(True)
            super().close()

    monkeypatch.setattr("glacier_mpu.source.spool.FileIO", Watched)
    spool = Spool(str(tmp_path))
    spool.write(0, memoryview(b"abc"))
    spool.release(Block(0, 0, 3))
    assert waited


def test_room_that_came_after_the_last_write_is_not_missed(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    spool.write(0, memoryview(b"abc"))
    spool.write(1, memoryview(b"def"))
    spool.release(Block(0, 0, 3))
    assert spool.await_room(1, stop=Stop())
    spool.write(1, memoryview(b"ghi"))
    assert not spool.await_room(1, stop=Stop())
    spool.close()
