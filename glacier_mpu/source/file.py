"""The local file: who it is, the digest of a block, and a block as the body of a request."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from io import FileIO

from glacier_mpu.errors import BadInput, SourceChanged, SourceUnreadable, Stopped
from glacier_mpu.source.blocks import Block, check_file_size
from glacier_mpu.source.treehash import LEAF_SIZE, Digest, digest

_REREAD = "see why the disk refuses (its cable, its health, its mount), then go on"
_CHANGED = (
    "nothing was completed; once the file is at rest, go on: only the blocks that differ are sent"
)


@dataclass(frozen=True, slots=True)
class Source:
    """The file as it was when the run began; `mtime_ns` and `inode` tell it from a later one."""

    path: str
    size: int
    mtime_ns: int
    inode: int


def inspect(path: str) -> Source:
    """Look at the file that is to be uploaded.

    Raises BadInput for what cannot be an archive: missing, no regular file, unreadable, empty, too
    large.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot upload {path!r}: {_reason(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        raise BadInput(
            f"{path!r} is a folder", next_step="pack it into one file first, such as a .zip or .tar"
        )
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(f"{path!r} is not a regular file")
    try:
        with open(path, "rb"):
            pass  # to learn now, and not in hours, that it may be read
    except OSError as error:
        raise BadInput(f"cannot read {path!r}: {_reason(error)}") from error
    check_file_size(status.st_size)
    return _source(path, status)


def as_moment(nanoseconds: int) -> str:
    """Write a file's time in UTC; one that no calendar knows as the bare number."""
    try:
        moment = datetime.fromtimestamp(nanoseconds // 10**9, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return f"{nanoseconds} ns"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09d}Z"


def check_unchanged(source: Source) -> None:
    """Raise SourceChanged, naming what differs, if the file is no longer the inspected one."""
    try:
        now = _source(source.path, os.stat(source.path))
    except OSError as error:
        raise SourceChanged(
            f"{source.path!r} is gone: {_reason(error)}", next_step=_CHANGED
        ) from error
    changes = [
        f"its {name} was {say(before)}, now {say(after)}"
        for name, before, after, say in (
            ("size", source.size, now.size, str),
            ("modification time", source.mtime_ns, now.mtime_ns, as_moment),
            ("inode", source.inode, now.inode, str),
        )
        if before != after
    ]
    if changes:
        raise SourceChanged(
            f"{source.path!r} changed meanwhile: {'; '.join(changes)}", next_step=_CHANGED
        )


def reopen(source: Source) -> FileIO:
    """Open the inspected file for reading. Raises SourceUnreadable, SourceChanged (it is gone)."""
    try:
        return open(source.path, "rb", buffering=0)
    except OSError as error:
        check_unchanged(source)
        raise SourceUnreadable(
            f"cannot read {source.path!r}: {_reason(error)}", next_step=_REREAD
        ) from error


def digest_block(
    source: Source,
    block: Block,
    *,
    stopped: Callable[[], bool],
    on_read: Callable[[int], None],
    forget: bool = False,
) -> Digest:
    """Read the block once and return both its hashes. Constant memory: one leaf at a time.

    `on_read` hears how many bytes each read gave; `forget` drops the block from the page cache
    afterwards. Raises SourceUnreadable, SourceChanged (the file ends early), Stopped.
    """
    try:
        with open(source.path, "rb", buffering=0) as file:
            file.seek(block.offset)
            _read_ahead(file, block)
            hashes = digest(_leaves(file, source, block, stopped=stopped, on_read=on_read))
            if forget:
                _drop_from_cache(file, block)
            return hashes
    except OSError as error:
        raise _unreadable(source, block, error) from error


class BlockBody:
    """One block as a request body: a rewindable window over the file, with a handle of its own.

    `len(body)` is the block's size. `on_move` hears every read as so many bytes and every rewind as
    so many bytes less, in the thread that reads. `furthest` is the highest position reached and
    `moved_at` the clock's time of the last read; `linear_hash` is the hex SHA-256 that the request
    declares.
    """

    def __init__(
        self,
        source: Source,
        block: Block,
        *,
        linear_hash: str,
        stopped: Callable[[], bool],
        on_move: Callable[[int], None],
        let_by: Callable[[int], int] = lambda size: size,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.linear_hash = linear_hash
        self.furthest = 0
        self.moved_at = clock()
        self._source = source
        self._block = block
        self._stopped = stopped
        self._on_move = on_move
        self._let_by = let_by
        self._clock = clock
        self._position = 0
        try:
            self._file = open(source.path, "rb", buffering=0)  # noqa: SIM115 - close() closes it
            self._file.seek(block.offset)
        except OSError as error:
            raise _unreadable(source, block, error) from error

    def __len__(self) -> int:
        return self._block.size

    def __enter__(self) -> BlockBody:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tell(self) -> int:
        """Return the position in the block."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position in the block, and tell `on_move` the difference."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self)}[whence]
        position = min(max(base + offset, 0), len(self))
        self._file.seek(self._block.offset + position)
        self._arrive(position)
        return position

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes of the block; None or a negative size is all that is left.

        Raises Stopped, SourceUnreadable, SourceChanged. The latter are no OSError on purpose:
        urllib3 takes one of those for a broken connection.
        """
        if self._stopped():
            raise Stopped
        left = len(self) - self._position
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        allowed = self._let_by(wanted)
        try:
            data = self._file.read(allowed)
        except OSError as error:
            raise _unreadable(self._source, self._block, error) from error
        if not data:
            raise _ends_early(self._source, self._block)
        self.moved_at = self._clock()
        self._arrive(self._position + len(data))
        return data

    def close(self) -> None:
        """Close the handle; safe to repeat."""
        self._file.close()

    def forget(self) -> None:
        """Drop the block from the page cache, so that it pushes no other program's data out."""
        _drop_from_cache(self._file, self._block)

    def _arrive(self, position: int) -> None:
        if position != self._position:
            self._on_move(position - self._position)
        self._position = position
        self.furthest = max(self.furthest, position)


def _leaves(
    file: FileIO,
    source: Source,
    block: Block,
    *,
    stopped: Callable[[], bool],
    on_read: Callable[[int], None],
) -> Iterator[memoryview]:
    """Yield the block in leaves, all in one buffer: each is gone when the next is asked for."""
    buffer = memoryview(bytearray(min(LEAF_SIZE, block.size)))
    for start in range(0, block.size, LEAF_SIZE):
        if stopped():
            raise Stopped
        leaf = buffer[: min(LEAF_SIZE, block.size - start)]
        filled = 0
        while filled < len(leaf):
            count = file.readinto(leaf[filled:])
            if not count:
                raise _ends_early(source, block)
            filled += count
        on_read(filled)
        yield leaf


def _source(path: str, status: os.stat_result) -> Source:
    return Source(path=path, size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


def _unreadable(source: Source, block: Block, error: OSError) -> SourceUnreadable:
    return SourceUnreadable(
        f"cannot read block {block.number} of {source.path!r} "
        f"(bytes {block.offset}-{block.last_byte}): {_reason(error)}",
        next_step=_REREAD,
    )


def _ends_early(source: Source, block: Block) -> SourceChanged:
    return SourceChanged(
        f"{source.path!r} has become shorter: it ends before byte {block.last_byte}, "
        f"the last of block {block.number}",
        next_step=_CHANGED,
    )


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _read_ahead(file: FileIO, block: Block) -> None:
    """Tell the platform, where it listens, that the block is about to be read from end to end."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), block.offset, block.size, os.POSIX_FADV_SEQUENTIAL)


def _drop_from_cache(file: FileIO, block: Block) -> None:
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), block.offset, block.size, os.POSIX_FADV_DONTNEED)
