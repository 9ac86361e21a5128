"""What an upload needs of any source, and one block of it as the body of a request."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import FileIO
from typing import Protocol

from glacier_mpu.errors import SourceChanged, SourceUnreadable, quoted
from glacier_mpu.source.blocks import Block
from glacier_mpu.source.treehash import LEAF_SIZE, Digest
from glacier_mpu.stop import Stop


class Source(Protocol):
    """What is uploaded. Blocks may be asked for in any order and from several threads."""

    @property
    def name(self) -> str:
        """What messages call it: a file's path."""

    def digest(self, block: Block, *, stop: Stop, on_read: Callable[[int], None]) -> Digest:
        """Read the block once and return both its hashes; `on_read` hears the size of each read.

        Raises SourceUnreadable, SourceChanged, Stopped.
        """

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

    def release(self, block: Block) -> None:
        """Free what is held of a block that is stored now: nobody will read it again.

        Raises nothing: the block is stored, whatever becomes of the source.
        """

    def is_at_rest(self) -> bool:
        """Tell whether hashes of what is read from now on may be kept for later runs."""

    def reads_besides(self, block: Block) -> bool:
        """Tell whether it can be read at other places than this block, which cannot be read."""

    def check_unchanged(self) -> None:
        """Raise SourceChanged, naming what differs, if it is not what the run began with.

        Raises SourceUnreadable if it cannot be looked at.
        """

    def other_bytes(self, block: Block) -> SourceChanged:
        """Return the error for a block that was other bytes when it was read again."""


class BlockBody:
    """One block as a request body: a rewindable window over a file, with a handle of its own.

    `len(body)` is the block's size. `on_move` hears every read as so many bytes and every rewind as
    so many bytes less, in the thread that reads; `allow` says how many of so many bytes may be read
    now, at least 1. `furthest` is the highest position reached and `moved_at` the clock's time of
    the last read; `linear_hash` is the hex SHA-256 that the request declares. The body closes the
    file, also where this raises SourceUnreadable.
    """

    def __init__(
        self,
        file: FileIO,
        block: Block,
        *,
        name: str,
        linear_hash: str,
        stop: Stop,
        on_move: Callable[[int], None],
        allow: Callable[[int], int] = lambda size: size,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.linear_hash = linear_hash
        self.furthest = 0
        self.moved_at = clock()
        self._file = file
        self._block = block
        self._name = name
        self._stop = stop
        self._on_move = on_move
        self._allow = allow
        self._clock = clock
        self._position = 0
        try:
            self._seek(0)
        except SourceUnreadable:
            self.close()
            raise

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
        """Go to a position in the block, and tell `on_move` the difference.

        Raises SourceUnreadable.
        """
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self)}[whence]
        position = min(max(base + offset, 0), len(self))
        self._seek(position)
        self._arrive(position)
        return position

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes of the block; None or a negative size is all that is left.

        Raises Stopped, SourceUnreadable, SourceChanged. The latter two are no OSError on purpose:
        urllib3 takes one of those for a broken connection.
        """
        self._stop.check()
        left = len(self) - self._position
        asked = left if size is None or size < 0 else min(size, left)
        if not asked:
            return b""
        allowed = self._allow(asked)
        try:
            data = self._file.read(allowed)
        except OSError as error:
            raise unreadable(self._name, self._block, error) from error
        if not data:
            raise ends_early(self._file, self._name, self._block)
        self.moved_at = self._clock()
        self._arrive(self._position + len(data))
        return data

    def close(self) -> None:
        """Close the handle. Safe to repeat.

        It was only read, so an error of a drive that is gone says nothing of what was sent.
        """
        with suppress(OSError):
            self._file.close()

    def _seek(self, position: int) -> None:
        try:
            self._file.seek(self._block.offset + position)
        except OSError as error:
            raise unreadable(self._name, self._block, error) from error

    def _arrive(self, position: int) -> None:
        if position != self._position:
            self._on_move(position - self._position)
        self._position = position
        self.furthest = max(self.furthest, position)


def leaves(
    file: FileIO, block: Block, *, name: str, stop: Stop, on_read: Callable[[int], None]
) -> Iterator[memoryview]:
    """Yield the block, from where the file stands, in leaves of the tree hash.

    All are in one buffer: each is gone when the next is asked for. Raises Stopped,
    SourceUnreadable, SourceChanged, OSError.
    """
    buffer = memoryview(bytearray(min(LEAF_SIZE, block.size)))
    for start in range(0, block.size, LEAF_SIZE):
        stop.check()
        leaf = buffer[: min(LEAF_SIZE, block.size - start)]
        filled = 0
        while filled < len(leaf):
            count = file.readinto(leaf[filled:])
            if not count:
                raise ends_early(file, name, block)
            filled += count
        on_read(filled)
        yield leaf


def unreadable(name: str, block: Block, error: Exception) -> SourceUnreadable:
    """Return the error for a block that cannot be read."""
    return SourceUnreadable(
        f"cannot read block {block.number} of {quoted(name)} "
        f"(bytes {block.offset}-{block.last_byte}): {reason(error)}"
    )


def ends_early(file: FileIO, name: str, block: Block) -> SourceUnreadable | SourceChanged:
    """Return the error for a reading that ended before the block did.

    The file has changed only if it is shorter now: a drive that is failing ends readings, too.
    """
    try:
        size = os.fstat(file.fileno()).st_size
    except OSError as error:
        return unreadable(name, block, error)
    if size > block.last_byte:
        return SourceUnreadable(
            f"cannot read block {block.number} of {quoted(name)} to its end at byte "
            f"{block.last_byte}, though the file has {size} bytes"
        )
    return SourceChanged(
        f"{quoted(name)} has become shorter: it ends before byte {block.last_byte}, "
        f"the last of block {block.number}"
    )


def reason(error: Exception) -> str:
    """Return what the system says, without the path and the number."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
