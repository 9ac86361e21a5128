"""Reads the blocks of a stream into the spool, one after the other, and hashes them on the way."""

from __future__ import annotations

from collections.abc import Iterator

from glacier_mpu.errors import SpoolFull, StreamTooLong
from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.hashing import Hasher
from glacier_mpu.source.pipe import Stream
from glacier_mpu.source.spool import Spool
from glacier_mpu.source.treehash import Digest
from glacier_mpu.vault.retry import Retries


class Intake:
    """Gives each block once it lies in the spool. Belongs to one thread, `close` aside.

    `reads` repeats what fails because the spool cannot be written to for a while.
    """

    def __init__(
        self, stream: Stream, spool: Spool, *, block_size: int, most_blocks: int, reads: Retries
    ) -> None:
        self._stream = stream
        self._spool = spool
        self._block_size = block_size
        self._most_blocks = most_blocks
        self._reads = reads
        self._hasher = Hasher(block_size)
        self._number = 0

    def next_block(self) -> tuple[Block, Digest] | None:
        """Return the next block with its hashes, or None at the end of the stream.

        Raises StreamTooLong, what `Stream.fill` raises, SpoolFull and SourceUnreadable once writing
        was retried for long enough, Stopped.
        """
        number, size = self._number, 0
        for piece in self._pieces():
            self._refuse_one_too_many(number)
            self._write(number, piece)
            self._hasher.add(len(piece))
            size += len(piece)
        if not size:
            return None
        self._number += 1
        return Block(number, number * self._block_size, size), self._hasher.digest()

    def close(self) -> None:
        """End the threads that hash. Safe to repeat."""
        self._hasher.close()

    def _pieces(self) -> Iterator[memoryview]:
        """Yield what the stream gives of one block."""
        left, is_whole = self._block_size, True
        while left and is_whole:
            room = self._hasher.room()[:left]
            count = self._stream.fill(room)
            left, is_whole = left - count, count == len(room)
            if count:
                yield room[:count]

    def _refuse_one_too_many(self, number: int) -> None:
        if number == self._most_blocks:
            raise StreamTooLong(
                f"the stream has more than {self._most_blocks:,} blocks of "
                f"{self._block_size // MIB} MiB, and Glacier takes no more",
                block_size=self._block_size,
            )

    def _write(self, number: int, piece: memoryview) -> None:
        left = piece

        def attempt() -> None:
            nonlocal left
            while left:
                try:
                    left = left[self._spool.write(number, left) :]
                except SpoolFull:
                    # The blocks that are being sent make room, however slow the line.
                    if not self._spool.await_room(number, stop=self._reads.stop):
                        raise

        self._reads.call("write_spool", attempt, block=number)
