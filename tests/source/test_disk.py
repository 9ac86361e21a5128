"""Which files lie on a disk that rotates, as Linux tells it, in trees made as its /sys is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glacier_mpu.source.disk import is_rotating

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs links, and numbers of devices")


class Sys:
    """A /sys in which the device of this test's files is entered."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "sys"
        self.file = folder / "file"
        self.file.write_bytes(b"x")
        (self.root / "dev/block").mkdir(parents=True)

    def disk(self, path: str, rotational: str, *, model: str = "") -> Path:
        """Add a disk, below `devices`."""
        device = self.root / "devices" / path
        (device / "queue").mkdir(parents=True)
        (device / "queue/rotational").write_text(f"{rotational}\n")
        if model:
            (device / "device").mkdir()
            (device / "device/model").write_text(f"{model:<16}\n")
        return device

    def partition(self, disk: Path) -> Path:
        """Add a partition, which has no queue of its own."""
        device = disk / f"{disk.name}1"
        device.mkdir()
        return device

    def stack(self, name: str, rotational: str, *below: Path) -> Path:
        """Add a device of dm or md on these."""
        device = self.disk(f"virtual/block/{name}", rotational)
        (device / "slaves").mkdir()
        for slave in below:
            link_to(slave, device / "slaves" / slave.name)
        return device

    def says(self, device: Path) -> bool | None:
        """Return what is said of a file on this device."""
        number = os.stat(self.file).st_dev
        link_to(device, self.root / f"dev/block/{os.major(number)}:{os.minor(number)}")
        return is_rotating(str(self.file), str(self.root))

    def says_of(self, device: Path, path: str) -> bool | None:
        """Return what is said of the device at this path."""
        number = os.stat(path).st_rdev
        link_to(device, self.root / f"dev/block/{os.major(number)}:{os.minor(number)}")
        return is_rotating(path, str(self.root))


def link_to(target: Path, link: Path) -> None:
    link.symlink_to(os.path.relpath(target, link.parent))


@pytest.fixture
def sys(tmp_path: Path) -> Sys:
    return Sys(tmp_path)


SATA = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda"


@pytest.mark.parametrize(("said", "rotates"), [("1", True), ("0", False)])
def test_a_disk_rotates_or_not_as_the_system_says(sys: Sys, said: str, rotates: bool) -> None:
    assert sys.says(sys.disk(SATA, said, model="WDC WD80EFAX")) is rotates


@pytest.mark.parametrize(("said", "rotates"), [("1", True), ("0", False)])
def test_a_partition_is_as_its_disk(sys: Sys, said: str, rotates: bool) -> None:
    assert sys.says(sys.partition(sys.disk(SATA, said))) is rotates


@pytest.mark.parametrize(("said", "rotates"), [("1", True), ("0", False)])
def test_a_stack_says_what_it_lies_on(sys: Sys, said: str, rotates: bool) -> None:
    partition = sys.partition(sys.disk(SATA, said))
    assert sys.says(sys.stack("dm-1", said, sys.stack("md0", said, partition))) is rotates


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("pci0000:00/0000:00:02.0/virtio1/block/vda", ""),
        ("pci0000:00/0000:00:03.0/virtio0/host0/target0:0:1/0:0:1:0/block/sda", "PersistentDisk"),
        (SATA, "QEMU HARDDISK"),
        (SATA, "VBOX HARDDISK"),
        (SATA, "Virtual disk"),
    ],
)
def test_a_virtual_machines_disk_that_is_said_to_rotate_is_not_known(
    sys: Sys, path: str, model: str
) -> None:
    """The driver says so of every disk, whatever the host keeps it on."""
    disk = sys.disk(path, "1", model=model)
    assert sys.says(sys.stack("dm-0", "1", sys.partition(disk))) is None


def test_a_virtual_machines_disk_that_is_said_not_to_rotate_does_not(sys: Sys) -> None:
    assert sys.says(sys.disk("pci0000:00/0000:00:02.0/virtio1/block/vda", "0")) is False


def test_a_stack_of_a_virtual_and_a_rotating_disk_rotates(sys: Sys) -> None:
    virtual = sys.disk("pci0000:00/0000:00:02.0/virtio1/block/vda", "1")
    assert sys.says(sys.stack("md0", "1", virtual, sys.disk(SATA, "1"))) is True


@pytest.mark.skipif(not os.path.exists("/dev/loop0"), reason="no block device at hand")
def test_a_device_is_the_disk_itself_and_not_where_its_name_lies(sys: Sys) -> None:
    assert sys.says_of(sys.disk(SATA, "1"), "/dev/loop0") is True


def test_a_file_system_without_a_disk_of_its_own_is_not_known(sys: Sys) -> None:
    """NFS, tmpfs, overlay and btrfs have numbers that no block device has."""
    assert is_rotating(str(sys.file), str(sys.root)) is None


def test_a_system_without_such_a_tree_is_not_known(sys: Sys, tmp_path: Path) -> None:
    assert is_rotating(str(sys.file), str(tmp_path / "nowhere")) is None


def test_a_system_without_numbers_of_devices_is_not_known(
    sys: Sys, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sys.file.exists()
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.delattr(os, "major", raising=False)
    assert is_rotating(str(sys.file), str(sys.root)) is None


def test_a_disk_of_which_nothing_is_said_is_not_known(sys: Sys) -> None:
    disk = sys.disk(SATA, "1")
    (disk / "queue/rotational").unlink()
    assert sys.says(disk) is None


def test_a_file_that_is_gone_lies_on_no_disk_that_is_known(sys: Sys) -> None:
    sys.file.unlink()
    assert is_rotating(str(sys.file), str(sys.root)) is None
