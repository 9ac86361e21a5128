"""A block device as the source. Where no real one can be had, a file stands for it."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from glacier_mpu.errors import BadInput, SourceChanged, SourceIsStream, SourceUnreadable
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.source.device import DeviceSource, inspect
from glacier_mpu.source.kinds import inspect as inspect_any
from glacier_mpu.source.ledger import Ledger
from glacier_mpu.source.mounts import mounted_writable
from glacier_mpu.stop import Stop
from tests.support.devices import loop_device
from tests.support.kit import ignore, pattern, whole

CONTENT = pattern(2 * MIB + 512)


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    path = tmp_path / "device"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def device(stand_in: Path) -> Iterator[str]:
    with loop_device(stand_in) as path:
        yield path


# -- real ones


def test_a_real_device_is_inspected_and_its_blocks_are_read_in_any_order(device: str) -> None:
    source = inspect_any(device)
    assert source == DeviceSource(path=device, size=len(CONTENT), mtime_ns=None, inode=0)
    blocks = Plan(source.size, MIB)
    for number in reversed(blocks.numbers):
        block = blocks.block(number)
        found = source.digest(block, stop=Stop(), on_read=ignore)
        there = CONTENT[block.offset : block.last_byte + 1]
        assert found.linear == hashlib.sha256(there).hexdigest()
        source.release(block)
        assert source.reads_besides(block)
    source.check_unchanged()


def test_a_real_device_without_content_is_to_be_piped_in(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with loop_device(tmp_path / "empty") as path, pytest.raises(SourceIsStream, match="the size"):
        inspect_any(path)


def test_a_real_device_is_told_of_while_it_is_mounted_to_be_written_to(tmp_path: Path) -> None:
    image, folder = tmp_path / "image", tmp_path / "a mount"
    image.write_bytes(b"\0" * (4 * MIB))
    folder.mkdir()
    with loop_device(image) as path:
        if not shutil.which("mkfs.ext4") or subprocess.run(["mkfs.ext4", "-q", path]).returncode:
            pytest.skip("no file system can be made here")
        assert mounted_writable(path) is None
        for options, told in (("ro", None), ("rw", str(folder))):
            if subprocess.run(["mount", "-o", options, path, folder]).returncode:
                pytest.skip("no file system can be mounted here")
            try:
                assert mounted_writable(path) == told
            finally:
                subprocess.run(["umount", folder], check=True)


# -- stand-ins


def test_a_device_is_still_the_same_as_long_as_its_size_is(stand_in: Path) -> None:
    source = inspect(str(stand_in))
    os.utime(stand_in, ns=(0, 0))
    source.check_unchanged()
    os.truncate(stand_in, MIB)
    with pytest.raises(SourceChanged, match=f"size was {len(CONTENT)}, now {MIB}$"):
        source.check_unchanged()


def test_a_device_that_is_gone_is_unreadable_and_has_not_changed(stand_in: Path) -> None:
    source = inspect(str(stand_in))
    os.truncate(stand_in, 0)
    with pytest.raises(SourceUnreadable, match="No such device"):
        source.check_unchanged()
    stand_in.unlink()
    with pytest.raises(SourceUnreadable, match="No such file"):
        source.check_unchanged()
    with pytest.raises(BadInput, match=r"cannot read .*device.*: No such file"):
        inspect(str(stand_in))


def test_no_hash_of_a_device_is_kept_for_later_runs(stand_in: Path, tmp_path: Path) -> None:
    os.utime(stand_in, ns=(0, 0))
    source = inspect(str(stand_in))
    assert not source.is_at_rest(clock=lambda: 10**30)
    ledger = Ledger(str(tmp_path / "ledger"), source, on_trouble=pytest.fail)
    ledger.begin(MIB, "id")
    ledger.note(0, source.digest(whole(source), stop=Stop(), on_read=ignore))
    assert not (tmp_path / "ledger").exists()


def test_a_device_comes_back_equal_from_another_process(stand_in: Path) -> None:
    source = inspect(str(stand_in))
    copy = pickle.loads(pickle.dumps(source))
    assert copy == source
    copy.check_unchanged()
