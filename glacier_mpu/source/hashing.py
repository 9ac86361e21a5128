"""Both hashes of what can be read only once, computed beside the reading.

Reading and writing take a core as long as hashing does, and the linear hash as long as the leaves'.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import cycle
from typing import Any

from glacier_mpu.source.treehash import LEAF_SIZE, Digest, combine

# To hand over smaller pieces costs more, and larger ones leave the caches.
_LEAVES_A_PIECE = 4
_PIECES = 3


@dataclass(slots=True, eq=False)
class _Piece:
    buffer: memoryview
    uses: list[Future[Any]] = field(default_factory=list)

    def wait(self) -> None:
        for use in self.uses:
            use.result()
        self.uses.clear()


class Hasher:
    """Computes both hashes of one block after the other, from pieces that are read into its room.

    Belongs to one thread. All pieces but the last of a block must fill their room.
    """

    def __init__(self, block_size: int) -> None:
        size = min(block_size, _LEAVES_A_PIECE * LEAF_SIZE)
        self._pieces = [_Piece(memoryview(bytearray(size))) for _ in range(_PIECES)]
        self._turns = cycle(self._pieces)
        self._current = next(self._turns)
        # One thread each keeps the order.
        self._linear_thread = ThreadPoolExecutor(1)
        self._leaves_thread = ThreadPoolExecutor(1)
        self._linear = sha256()
        self._leaves: list[bytes] = []

    def room(self) -> memoryview:
        """Return the room for the next piece; waits until what was in it before is hashed."""
        self._current = next(self._turns)
        self._current.wait()
        return self._current.buffer

    def add(self, size: int) -> None:
        """Hash the first `size` bytes of the room."""
        piece = self._current.buffer[:size]
        self._current.uses += [
            self._linear_thread.submit(self._linear.update, piece),
            self._leaves_thread.submit(self._add_leaves, piece),
        ]

    def digest(self) -> Digest:
        """Return the hashes of what was added since the last digest."""
        for piece in self._pieces:
            piece.wait()
        digest = Digest(linear=self._linear.hexdigest(), tree=combine(self._leaves))
        self._linear, self._leaves = sha256(), []
        return digest

    def close(self) -> None:
        """End the threads. Safe to repeat."""
        self._linear_thread.shutdown(wait=False)
        self._leaves_thread.shutdown(wait=False)

    def _add_leaves(self, piece: memoryview) -> None:
        for start in range(0, len(piece), LEAF_SIZE):
            self._leaves.append(sha256(piece[start : start + LEAF_SIZE]).digest())
