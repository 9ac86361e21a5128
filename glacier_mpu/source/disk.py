"""Whether the source lies on a disk that rotates, where reading in several places costs seeks."""

from __future__ import annotations

import os
import re
import stat
import sys

# What the models of virtual disks are called by QEMU, VirtualBox, VMware and Hyper-V.
_VIRTUAL_MODEL = re.compile("QEMU|VBOX|Virtual", re.IGNORECASE)
_VIRTIO_DEVICE = re.compile(r"/virtio\d+/")


def is_rotating(path: str, sys_root: str = "/sys") -> bool | None:
    """Tell whether the file or device lies on a disk that rotates; None where nothing tells.

    Linux tells it of each block device, by the number that a file's status names. NFS, SMB, btrfs
    and overlay have numbers without a block device; other systems have no such place.
    Source: https://docs.kernel.org/admin-guide/abi-stable.html (/sys/block/<disk>/queue/rotational)
    """
    if sys.platform == "win32":
        return None
    try:
        status = os.stat(path)
        device = status.st_rdev if stat.S_ISBLK(status.st_mode) else status.st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        return _rotates(os.path.realpath(f"{sys_root}/dev/block/{number}"))
    except OSError:
        return None


def _rotates(device: str) -> bool | None:
    if not os.path.exists(f"{device}/queue"):
        device = os.path.dirname(device)  # a partition lies in the folder of its disk
    if _text(f"{device}/queue/rotational") != "1":
        return False
    slaves = f"{device}/slaves"  # what a device of dm or md lies on
    below = os.listdir(slaves) if os.path.isdir(slaves) else []
    if below:
        answers = [_rotates(os.path.realpath(f"{slaves}/{name}")) for name in below]
        return True if True in answers else None
    return None if _is_virtual(device) else True


def _is_virtual(device: str) -> bool:
    """Tell a virtual machine's disk, which is said to rotate whatever the host keeps it on.

    Source: https://www.mail-archive.com/linuxppc-dev@lists.ozlabs.org/msg230945.html (virtio_blk
    sets the flag always), and drivers/scsi/sd.c, where a disk rotates that does not deny it.
    """
    if _VIRTIO_DEVICE.search(device):
        return True
    model = f"{device}/device/model"
    return os.path.exists(model) and bool(_VIRTUAL_MODEL.search(_text(model)))


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()
