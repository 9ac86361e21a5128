"""A local file as the source: what it was when the run began, and its blocks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from io import FileIO

from glacier_mpu.errors import (
    BadInput,
    SourceChanged,
    SourceIsStream,
    SourceUnreadable,
    quoted,
)
from glacier_mpu.source.blocks import Block, check_file_size
from glacier_mpu.source.body import BlockBody, leaves, reason, unreadable
from glacier_mpu.source.treehash import Digest, digest
from glacier_mpu.stop import Stop

# No file system that is in use counts its times in longer steps: FAT's are of 2 s.
REST_NS = 2 * 10**9


def inspect(path: str) -> FileSource:
    """Look at the regular file that is to be uploaded.

    Raises BadInput for what cannot be an archive: missing, unreadable, empty, too large; and
    SourceIsStream for a file whose size is not its content's.
    """
    try:
        source = _look(path)
        with open(path, "rb", buffering=0) as file:
            # Opened to learn now, and not in hours, that it may be read.
            has_content_all_the_same = not source.size and file.read(1)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {quoted(path)}: {reason(error)}") from error
    if has_content_all_the_same:  # as files in /proc have
        raise SourceIsStream(f"{quoted(path)} has content, but no size before it is read")
    check_file_size(source.size)
    return source


@dataclass(frozen=True, slots=True)
class FileSource:
    """The file as it was when the run began; `mtime_ns` and `inode` tell it from a later one.

    `ctime_ns` changes with the content and cannot be set, but also with names and permissions; None
    on Windows, where the system's is the time of creation. A device has none of the three, and 0
    for the inode.
    """

    path: str
    size: int
    mtime_ns: int | None
    inode: int
    ctime_ns: int | None = None

    @property
    def name(self) -> str:
        """The path, for messages."""
        return self.path

    def digest(self, block: Block, *, stop: Stop, on_read: Callable[[int], None]) -> Digest:
        """Read the block once and return both its hashes. Constant memory: one leaf at a time.

        Raises SourceUnreadable, SourceChanged (the file ends early, or is another), Stopped.
        """
        try:
            with self._opened(block) as file:
                file.seek(block.offset)
                _read_ahead(file, block)
                return digest(leaves(file, block, name=self.path, stop=stop, on_read=on_read))
        except OSError as error:
            raise unreadable(self.path, block, error) from error

    def open(
        self,
        block: Block,
        *,
        linear_hash: str,
        stop: Stop,
        on_move: Callable[[int], None],
        allow: Callable[[int], int],
    ) -> BlockBody:
        """Return the block as a request body. Raises SourceUnreadable, SourceChanged."""
        return BlockBody(
            self._opened(block),
            block,
            name=self.path,
            linear_hash=linear_hash,
            stop=stop,
            on_move=on_move,
            allow=allow,
        )

    def release(self, block: Block) -> None:
        """Drop the block from the page cache, so that it pushes no other program's data out."""
        if sys.platform != "darwin" and sys.platform != "win32":
            with suppress(OSError), open(self.path, "rb", buffering=0) as file:
                os.posix_fadvise(file.fileno(), block.offset, block.size, os.POSIX_FADV_DONTNEED)

    def reads_besides(self, block: Block) -> bool:
        """Tell whether a byte behind the block, in the middle or at the end of the file is read.

        Of these the block's own are left out.
        """
        places = {block.last_byte + 1, self.size // 2, self.size - 1, 0}
        return any(
            self._has_byte_at(place)
            for place in sorted(places, reverse=True)
            if place < self.size and not block.offset <= place <= block.last_byte
        )

    def _has_byte_at(self, place: int) -> bool:
        with suppress(OSError), open(self.path, "rb", buffering=0) as file:
            file.seek(place)
            return bool(file.read(1))
        return False

    def check_unchanged(self) -> None:
        """Raise SourceChanged, naming what differs, if the file is no longer the inspected one.

        Raises SourceUnreadable if there is nothing to look at: a drive that is gone may come back,
        and whether the file on it is the same can be told only then.
        """
        try:
            now = self.now()
        except OSError as error:
            raise SourceUnreadable(f"cannot access {quoted(self.path)}: {reason(error)}") from error
        changes = [
            f"its {name} was {before}, now {after}"
            for name, (before, after) in (
                ("size", (self.size, now.size)),
                ("modification time", _as_times(self.mtime_ns, now.mtime_ns)),
                ("inode", (self.inode, now.inode)),
            )
            if before != after
        ]
        if changes:
            raise SourceChanged(f"{quoted(self.path)} changed during the run: {'; '.join(changes)}")

    def now(self) -> FileSource:
        """Return the source as it is now. Raises OSError."""
        return _look(self.path)

    def _opened(self, block: Block) -> FileIO:
        """Open the file for this block. Raises SourceUnreadable, or SourceChanged for another."""
        try:
            return open(self.path, "rb", buffering=0)
        except OSError as error:
            with suppress(SourceUnreadable):
                self.check_unchanged()
            raise unreadable(self.path, block, error) from error

    def is_at_rest(self, *, clock: Callable[[], int] = time.time_ns) -> bool:
        """Tell whether all its times are still those of the inspected file, and over REST_NS old.

        Only then does a change after this show in them for certain: one that follows so soon upon
        another may leave them as they are. Source: https://git-scm.com/docs/racy-git
        """
        try:
            now = self.now()
        except OSError:
            return False
        return now == self and clock() - max(now.mtime_ns or 0, now.ctime_ns or 0) > REST_NS

    def other_bytes(self, block: Block) -> SourceChanged:
        """Return the error for a block that was other bytes when it was read again."""
        return SourceChanged(
            f"block {block.number} of {quoted(self.path)} had other content when it was read "
            "again, though the file's size and time are unchanged: something writes to it, or this "
            "machine's memory or disk is faulty"
        )


def as_moment(nanoseconds: int) -> str:
    """Write a file's time in UTC; one that no calendar knows as the bare number."""
    try:
        moment = datetime.fromtimestamp(nanoseconds // 10**9, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return f"{nanoseconds} ns"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09d}Z"


def _as_local_time(nanoseconds: int) -> str:
    """Write a file's time by this machine's clock, to the second."""
    try:
        return f"{datetime.fromtimestamp(nanoseconds // 10**9):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return as_moment(nanoseconds)


def _as_times(before: int | None, after: int | None) -> tuple[str, str]:
    """Write both so that they differ if they do, and no more precisely than that takes."""
    if before is None or after is None:
        return str(before), str(after)
    as_time = as_moment if before // 10**9 == after // 10**9 else _as_local_time
    return as_time(before), as_time(after)


def _look(path: str) -> FileSource:
    status = os.stat(path)
    return FileSource(
        path=path,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
        ctime_ns=None if os.name == "nt" else status.st_ctime_ns,
    )


def _read_ahead(file: FileIO, block: Block) -> None:
    """Tell the platform, where it listens, that the block is about to be read from end to end."""
    if sys.platform != "darwin" and sys.platform != "win32":
        with suppress(OSError):
            os.posix_fadvise(file.fileno(), block.offset, block.size, os.POSIX_FADV_SEQUENTIAL)
