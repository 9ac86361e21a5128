"""A disk, a partition or a snapshot as the source: its status tells neither size nor time."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from glacier_mpu.errors import BadInput, SourceIsStream, quoted
from glacier_mpu.source.blocks import check_file_size
from glacier_mpu.source.body import reason
from glacier_mpu.source.file import FileSource


@dataclass(frozen=True, slots=True)
class DeviceSource(FileSource):
    """A block device. Nothing but its size tells whether it is still what it was."""

    def now(self) -> FileSource:
        size = _size(self.path)
        if not size:  # as that of a network's drive, once it is disconnected
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return DeviceSource(path=self.path, size=size, mtime_ns=None, inode=0)

    def is_at_rest(self, *, clock: Callable[[], int] = time.time_ns) -> bool:
        return False


def inspect(path: str) -> DeviceSource:
    """Look at the device that is to be uploaded.

    Raises BadInput if it cannot be read, or is too large, and SourceIsStream if the system does not
    tell its size, as macOS and Windows do not.
    """
    try:
        size = _size(path)
    except OSError as error:
        raise BadInput(f"cannot read {quoted(path)}: {reason(error)}") from error
    if not size:
        raise SourceIsStream(
            f"{quoted(path)} is a device of which the system does not tell the size"
        )
    check_file_size(size)
    return DeviceSource(path=path, size=size, mtime_ns=None, inode=0)


def _size(path: str) -> int:
    with open(path, "rb", buffering=0) as file:
        try:
            return file.seek(0, os.SEEK_END)
        except OSError:  # Windows
            return 0
