"""Compares stored blocks whose hashes are known, and reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glacier_mpu.source.blocks import Block
from glacier_mpu.source.ledger import Remembered
from glacier_mpu.transfer.block import BlockDone
from glacier_mpu.transfer.events import BlockDiffers, Event, KnownBlocks
from glacier_mpu.transfer.send import Blocks


def compare_known(
    blocks: Blocks, numbers: Sequence[int], *, may_send: bool, hear: Callable[[Event], None]
) -> None:
    """Prove those of these blocks whose hashes are known, and note those that differ.

    Which ones the ledger proved is told; of those that this run has read there is nothing to tell.
    Where nothing may be sent, a difference keeps the upload from being completed, and the ledger is
    no authority for that: such a block is left to be read.
    """
    matching: list[Block] = []
    for task in map(blocks.task, numbers):
        stored, digest = task.stored, task.digest
        if stored is None or digest is None:
            continue
        read_now = not isinstance(digest, Remembered)
        if stored.tree_hash == digest.tree:
            blocks.note_done(task, BlockDone(task.block, digest, proven=True))
            if not read_now:
                matching.append(task.block)
        elif may_send or read_now:
            blocks.note_done(task, BlockDone(task.block, digest, proven=False))
            hear(BlockDiffers(task.block, stored, digest.tree, may_send, read=False))
        else:
            del blocks.known[task.block.number]
        if read_now:
            blocks.source.release(task.block)
    if matching:
        size = sum(block.size for block in matching)
        hear(KnownBlocks([block.number for block in matching], size))
