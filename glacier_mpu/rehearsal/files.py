"""The files of the stand-in's folder, and the moves of a body from one place to the next.

    incoming/<name>                       bodies that are received or put together just now
    uploads/<upload id>/<first>-<mark>    the verified parts of open uploads
    uploads/<upload id>.lock              locked while that upload is completed
    archives/<archive id>                 finished archives

Only what a row of the database refers to counts. No name comes from the network: ids are looked
up in the database before they become paths.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from glacier_mpu.rehearsal.disk import disk_trouble, remove
from glacier_mpu.rehearsal.records import Part

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_COPY_SIZE = 1024 * 1024
_SECONDS_BETWEEN_TRIES = 0.02
_KERNEL_COPY_SIZE = 1024 * _COPY_SIZE


class Incoming:
    """A new file for one body. It is removed when `Files.receiving` ends, unless it is `kept`.

    mark: a name that no other body has. kept: a committed row refers to the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mark = path.name
        self.kept = False
        self._file = path.open("wb", buffering=0)

    def write(self, chunk: memoryview | bytes) -> None:
        """Append to the file. Raises Refusal (500) when it cannot."""
        view = memoryview(chunk)
        with disk_trouble():
            while view:
                view = view[self._file.write(view) :]

    def append(self, path: Path) -> None:
        """Append the content of another file. Raises OSError or Refusal (500) when it cannot."""
        with path.open("rb", buffering=0) as source:
            # The kernel copies faster, and shares the blocks on some file systems. Where it
            # cannot copy, or stops early, the plain copy continues from the same byte.
            if sys.platform == "linux":
                with suppress(AttributeError, OSError):
                    while os.copy_file_range(
                        source.fileno(), self._file.fileno(), _KERNEL_COPY_SIZE
                    ):
                        pass
            shutil.copyfileobj(source, self, _COPY_SIZE)

    def flush(self) -> None:
        """Wait until the disk has the content, so that it survives a power cut as well."""
        with disk_trouble():
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write nothing more. Windows moves and removes closed files only."""
        self._file.close()

    def move(self, target: Path) -> None:
        """Rename the file, within the transaction whose row refers to it by the new name."""
        self.close()
        with disk_trouble():
            target.parent.mkdir(exist_ok=True)
            self.path = self.path.replace(target)


class Files:
    """Where the bodies below `folder` are."""

    def __init__(self, folder: Path) -> None:
        if sys.platform == "win32":
            folder = Path(without_limit(os.path.abspath(folder)))
        self.incoming = folder / "incoming"
        self.uploads = folder / "uploads"
        self._archives = folder / "archives"
        for path in (self.incoming, self.uploads, self._archives):
            path.mkdir(parents=True, exist_ok=True)

    def archive(self, archive_id: str) -> Path:
        """The file of a finished archive."""
        return self._archives / archive_id

    def unplaced(self, archive_id: str) -> Path:
        """The file of an archive until `place`: before the commit of its row, and just after."""
        return self.incoming / archive_id

    def part(self, upload_id: str, part: Part) -> Path:
        """The file of a stored part."""
        return self.uploads / upload_id / f"{part.first}-{part.mark}"

    @contextmanager
    def receiving(self, name: str = "") -> Iterator[Incoming]:
        """A new file in incoming/, for as long as the block lasts. Raises Refusal (500)."""
        with disk_trouble():
            body = Incoming(self.incoming / (name or secrets.token_hex(16)))
        try:
            yield body
        finally:
            body.close()
            if not body.kept:
                remove(body.path)

    @contextmanager
    def locked(self, upload_id: str) -> Iterator[None]:
        """One thread of one process at a time is in the block; a kill ends its turn, too."""
        with disk_trouble():
            fd = os.open(self._lock_file(upload_id), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            with disk_trouble():
                _lock(fd)
            yield
        finally:
            os.close(fd)  # which unlocks it

    def place(self, archive_id: str) -> None:
        """Move an archive whose row is committed to archives/, unless that is done already."""
        with disk_trouble(), suppress(FileNotFoundError):
            self.unplaced(archive_id).replace(self.archive(archive_id))

    def remove_archive(self, archive_id: str) -> None:
        """Remove the file of an archive whose row is gone.

        In this order: whoever places it at the same time moves it before the second removal.
        """
        remove(self.unplaced(archive_id))
        remove(self.archive(archive_id))

    def remove_upload(self, upload_id: str) -> None:
        """Remove the parts and the lock of an upload that is open no more."""
        shutil.rmtree(self.uploads / upload_id, ignore_errors=True)
        remove(self._lock_file(upload_id))

    def _lock_file(self, upload_id: str) -> Path:
        return self.uploads / f"{upload_id}.lock"


def without_limit(folder: str) -> str:
    """Return a folder of Windows by the form of its path that lifts the limit of 260 characters.

    More than half of them are taken by the name of an archive, or of an upload with that of a part.
    Source: https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation
    """
    if folder.startswith("\\\\?\\"):
        return folder
    if folder.startswith("\\\\"):
        return "\\\\?\\UNC" + folder[1:]
    return "\\\\?\\" + folder


if sys.platform == "win32":

    def _lock(fd: int) -> None:
        """Lock an open file, and wait for that. Two openings of one file exclude each other."""
        while True:
            try:
                msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # its own waiting tries once a second
                return
            except OSError as error:
                if error.errno in (errno.EBADF, errno.EINVAL):  # any other: somebody else has it
                    raise
                time.sleep(_SECONDS_BETWEEN_TRIES)

else:

    def _lock(fd: int) -> None:
        """Lock an open file, and wait for that. Two openings of one file exclude each other."""
        fcntl.flock(fd, fcntl.LOCK_EX)
