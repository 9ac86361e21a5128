"""What is mounted where, as Linux tells it: folders in memory, devices that are written to."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

MOUNTINFO = "/proc/self/mountinfo"
_IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_DEVICES = "/dev/"


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system; `device` is its number as in "8:1", and `source` what it was called.

    File systems of several devices, such as btrfs, have a number that no device has.
    """

    device: str
    folder: str
    kind: str
    source: str
    writable: bool


def memory_kind(folder: str, mountinfo: str = MOUNTINFO) -> str | None:
    """Return the kind of the file system on which the folder lies, if that is in memory.

    None as well where the system does not tell.
    """
    if sys.platform == "win32":
        return None
    try:
        device = _number(os.stat(folder).st_dev)
        mounts = list(_mounts(mountinfo))
    except OSError:
        return None
    kinds = (mount.kind for mount in mounts if mount.device == device)
    return next((kind for kind in kinds if kind in _IN_MEMORY), None)


def mounted_writable(path: str, mountinfo: str = MOUNTINFO, sys_root: str = "/sys") -> str | None:
    """Return the folder where the device at `path` is mounted so that it may be written to.

    So may a partition of it, or a device that lies on it (dm, md). None also where the system does
    not tell, and for what is mounted only in other containers.
    """
    if sys.platform == "win32":
        return None
    try:
        device = os.stat(path).st_rdev
        if not device:
            return None
        numbers = {_number(device), *_numbers_upon(f"{sys_root}/dev/block/{_number(device)}")}
        mounts = list(_mounts(mountinfo))
    except OSError:
        return None
    folders = (mount.folder for mount in mounts if mount.writable and _is_on(mount, numbers))
    return next(folders, None)


def _is_on(mount: Mount, numbers: set[str]) -> bool:
    if mount.device in numbers:
        return True
    if sys.platform == "win32" or not mount.source.startswith(_DEVICES):
        return False
    try:
        return _number(os.stat(mount.source).st_rdev) in numbers
    except OSError:
        return False


def _numbers_upon(device: str) -> Iterator[str]:
    """Yield the numbers of its partitions, and of all that lies on it or on one of them."""
    partitions = [name for name in _names(device) if os.path.exists(f"{device}/{name}/partition")]
    holders = [f"holders/{name}" for name in _names(f"{device}/holders")]
    for name in [*partitions, *holders]:
        with open(f"{device}/{name}/dev", encoding="ascii") as file:
            yield file.read().strip()
        yield from _numbers_upon(f"{device}/{name}")


def _names(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def _mounts(mountinfo: str) -> Iterator[Mount]:
    """Read the file. Source: https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html."""
    with open(mountinfo, "rb") as file:
        for line in file:
            of_mount, _, of_file_system = line.rstrip(b"\n").partition(b" - ")
            _id, _parent, device, _root, folder, options = map(_text, of_mount.split(b" ")[:6])
            kind, source, its_options = map(_text, of_file_system.split(b" ")[:3])
            writable = all("rw" in text.split(",") for text in (options, its_options))
            yield Mount(device, folder, kind, source, writable=writable)


def _text(field: bytes) -> str:
    return os.fsdecode(_ESCAPED.sub(lambda octal: bytes([int(octal[1], 8)]), field))


def _number(device: int) -> str:
    if sys.platform == "win32":
        return ""
    return f"{os.major(device)}:{os.minor(device)}"
