"""What is mounted where, as Linux tells it, in files and trees made as its own are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glacier_mpu.source.mounts import memory_kind, mounted_writable

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs links, and numbers of devices")

# A device that is at hand everywhere. It is none with blocks, which nothing here looks at.
DEVICE = "/dev/null"


class Linux:
    """A system of which /sys and /proc/self/mountinfo are in this test's hands."""

    def __init__(self, folder: Path) -> None:
        self.sys = folder / "sys"
        self._mountinfo = folder / "mountinfo"
        self._mountinfo.write_text("22 27 0:21 / /proc rw,relatime - proc proc rw\n")
        self._device = self.sys / "devices/block/sda"
        self._device.mkdir(parents=True)
        (self.sys / "dev/block").mkdir(parents=True)
        (self.sys / f"dev/block/{number_of(DEVICE)}").symlink_to(self._device)

    def mount(
        self,
        device: str,
        folder: str = "/mnt",
        *,
        kind: str = "ext4",
        source: str = "/dev/root",
        options: str = "rw,noatime",
        super_options: str = "rw,discard",
    ) -> None:
        with self._mountinfo.open("a") as file:
            file.write(
                f"36 35 {device} /sub {folder} {options} shared:1 master:2 - {kind} {source} "
                f"{super_options}\n"
            )

    def partition(self, number: str) -> Path:
        """Add a partition of the device."""
        partition = self._device / "sda1"
        partition.mkdir()
        (partition / "partition").write_text("1\n")
        (partition / "dev").write_text(f"{number}\n")
        return partition

    def holder(self, number: str, *, of: Path | None = None) -> Path:
        """Add a device that lies on the device, or on another."""
        holder = self.sys / f"devices/block/dm-{number}"
        holder.mkdir()
        (holder / "dev").write_text(f"{number}\n")
        below = (of or self._device) / "holders"
        below.mkdir(exist_ok=True)
        (below / holder.name).symlink_to(holder)
        return holder

    def controller(self, number: str) -> None:
        """Add a link that leads back up, as that of a disk to its NVMe controller."""
        controller = self.sys / "devices/block"
        (controller / "dev").write_text(f"{number}\n")
        (self._device / "device").symlink_to(controller)

    def written(self) -> str | None:
        return mounted_writable(DEVICE, str(self._mountinfo), str(self.sys))

    def memory(self, folder: Path) -> str | None:
        return memory_kind(str(folder), str(self._mountinfo))


def number_of(path: str) -> str:
    device = os.stat(path).st_rdev
    return f"{os.major(device)}:{os.minor(device)}"


@pytest.fixture
def linux(tmp_path: Path) -> Linux:
    return Linux(tmp_path)


# -- devices


def test_a_device_that_is_mounted_is_told_of_with_the_folder(linux: Linux) -> None:
    linux.mount("8:77", "/elsewhere")
    linux.mount(number_of(DEVICE), "/my\\040disk\\134x")
    assert linux.written() == "/my disk\\x"


def test_a_device_that_is_not_mounted_is_not_told_of(linux: Linux) -> None:
    linux.mount("8:77")
    linux.controller("8:77")
    assert linux.written() is None


@pytest.mark.parametrize(
    "options", [{"options": "ro,rw_x"}, {"super_options": "ro,errors=remount-ro"}], ids=str
)
def test_a_device_that_is_mounted_to_be_read_only_is_not_told_of(
    linux: Linux, options: dict[str, str]
) -> None:
    linux.mount(number_of(DEVICE), **options)
    assert linux.written() is None


def test_a_disk_of_which_a_partition_is_mounted_is_told_of(linux: Linux) -> None:
    linux.partition("8:1")
    linux.mount("8:1")
    assert linux.written() == "/mnt"


def test_a_disk_upon_which_others_lie_that_are_mounted_is_told_of(linux: Linux) -> None:
    raid = linux.holder("9:0", of=linux.partition("8:1"))
    linux.holder("253:4", of=raid)
    linux.mount("253:4")
    assert linux.written() == "/mnt"


def test_a_file_system_with_a_number_of_its_own_is_known_by_its_source(
    linux: Linux, tmp_path: Path
) -> None:
    linux.mount("0:44", "/wrong", kind="btrfs", source="/dev/zero")
    linux.mount("0:45", "/gone", kind="btrfs", source="/dev/nowhere")
    linux.mount("0:46", "/right", kind="btrfs", source=DEVICE)
    assert linux.written() == "/right"


def test_what_is_no_device_is_mounted_nowhere(linux: Linux, tmp_path: Path) -> None:
    linux.mount("0:0")
    (tmp_path / "file").touch()
    assert mounted_writable(str(tmp_path / "file"), str(tmp_path / "mountinfo")) is None
    assert mounted_writable(str(tmp_path / "nowhere"), str(tmp_path / "mountinfo")) is None


# -- folders


@pytest.mark.parametrize(
    ("kind", "told"),
    [("tmpfs", "tmpfs"), ("ramfs", "ramfs"), ("devtmpfs", "devtmpfs"), ("ext4", None)],
)
def test_a_folder_in_memory_is_told_by_its_file_system(
    linux: Linux, tmp_path: Path, kind: str, told: str | None
) -> None:
    device = os.stat(tmp_path).st_dev
    linux.mount("0:999", kind="tmpfs")
    linux.mount(f"{os.major(device)}:{os.minor(device)}", kind=kind)
    assert linux.memory(tmp_path) == told


def test_a_mount_without_a_source_is_read_all_the_same(linux: Linux, tmp_path: Path) -> None:
    device = os.stat(tmp_path).st_dev
    linux.mount(f"{os.major(device)}:{os.minor(device)}", kind="tmpfs", source="")
    assert linux.memory(tmp_path) == "tmpfs"


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no folder in memory at hand")
def test_a_real_folder_in_memory_is_known_and_a_file_on_disk_is_not_taken_for_one() -> None:
    assert memory_kind("/dev/shm") == "tmpfs"
    assert memory_kind("/proc") is None


def test_where_nothing_tells_nothing_is_known(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert memory_kind(str(tmp_path), nowhere) is None
    assert memory_kind(nowhere) is None
    assert mounted_writable(DEVICE, nowhere) is None
