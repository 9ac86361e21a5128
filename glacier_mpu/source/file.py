"""A local file as the source: what it was when the run began, and its blocks."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from io import FileIO

from glacier_mpu.errors import (
    BadInput,
    SourceChanged,
    SourceIsDevice,
    SourceIsFolder,
    SourceIsStream,
    SourceUnreadable,
    quoted,
)
from glacier_mpu.source.blocks import Block, check_file_size
from glacier_mpu.source.body import BlockBody, ends_early, reason, unreadable
from glacier_mpu.source.treehash import LEAF_SIZE, Digest, digest
from glacier_mpu.stop import Stop

# No file system that is in use counts its times in longer steps: FAT's are of 2 s.
REST_NS = 2 * 10**9


def inspect(path: str) -> FileSource:
    """Look at the file that is to be uploaded.

    Raises BadInput for what cannot be an archive: missing, no regular file, unreadable, empty, too
    large.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        if path == "-":
            raise SourceIsStream("standard input cannot be uploaded, only a file") from error
        tried = quoted(os.path.abspath(path) if path else "")  # in whatever folder this runs
        raise BadInput(f"cannot upload {tried}: {reason(error)}") from error
    _refuse_other_kinds(path, status.st_mode)
    try:
        with open(path, "rb", buffering=0) as file:
            # Opened to learn now, and not in hours, that it may be read.
            has_content_all_the_same = not status.st_size and file.read(1)
    except OSError as error:
        raise BadInput(f"cannot read {quoted(path)}: {reason(error)}") from error
    if has_content_all_the_same:  # as files in /proc have
        raise SourceIsStream(f"{quoted(path)} has content, but no size before it is read")
    check_file_size(status.st_size)
    return _source(path, status)


def _refuse_other_kinds(path: str, mode: int) -> None:
    """Raise BadInput unless it is a regular file, whose blocks can be read more than once."""
    if stat.S_ISDIR(mode):
        raise SourceIsFolder(f"{quoted(path)} is a folder")
    if stat.S_ISBLK(mode):
        raise SourceIsDevice(f"{quoted(path)} is a disk or a partition, not a file")
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device"}
        kind = kinds.get(stat.S_IFMT(mode), "something else")
        raise SourceIsStream(f"{quoted(path)} is {kind}, not a file")


@dataclass(frozen=True, slots=True)
class FileSource:
    """The file as it was when the run began; `mtime_ns` and `inode` tell it from a later one.

    `ctime_ns` changes with the content and cannot be set, but also with names and permissions; None
    on Windows, where the system's is the time of creation.
    """

    path: str
    size: int
    mtime_ns: int
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
                return digest(self._leaves(file, block, stop=stop, on_read=on_read))
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
            now = _source(self.path, os.stat(self.path))
        except OSError as error:
            raise SourceUnreadable(f"cannot access {quoted(self.path)}: {reason(error)}") from error
        of_one_second = self.mtime_ns // 10**9 == now.mtime_ns // 10**9
        as_time = as_moment if of_one_second else _as_local_time
        changes = [
            f"its {name} was {say(before)}, now {say(after)}"
            for name, before, after, say in (
                ("size", self.size, now.size, str),
                ("modification time", self.mtime_ns, now.mtime_ns, as_time),
                ("inode", self.inode, now.inode, str),
            )
            if before != after
        ]
        if changes:
            raise SourceChanged(f"{quoted(self.path)} changed during the run: {'; '.join(changes)}")

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
            now = _source(self.path, os.stat(self.path))
        except OSError:
            return False
        return now == self and clock() - max(now.mtime_ns, now.ctime_ns or 0) > REST_NS

    def _leaves(
        self, file: FileIO, block: Block, *, stop: Stop, on_read: Callable[[int], None]
    ) -> Iterator[memoryview]:
        """Yield the block in leaves, all in one buffer: each is gone when the next is asked for."""
        buffer = memoryview(bytearray(min(LEAF_SIZE, block.size)))
        for start in range(0, block.size, LEAF_SIZE):
            stop.check()
            leaf = buffer[: min(LEAF_SIZE, block.size - start)]
            filled = 0
            while filled < len(leaf):
                count = file.readinto(leaf[filled:])
                if not count:
                    raise ends_early(file, self.path, block)
                filled += count
            on_read(filled)
            yield leaf


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


def _source(path: str, status: os.stat_result) -> FileSource:
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
