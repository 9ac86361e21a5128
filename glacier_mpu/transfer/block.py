"""One way for every block, from a task to the vault's echo."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from glacier_mpu.errors import SourceUnreadable, UploadError
from glacier_mpu.source.blocks import Block
from glacier_mpu.source.body import Source
from glacier_mpu.source.ledger import Remembered
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Stop
from glacier_mpu.transfer.context import Context
from glacier_mpu.transfer.workers import Place
from glacier_mpu.vault.answers import StoredPart
from glacier_mpu.vault.errors import HashMismatch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BlockTask:
    """One block to be proven. Can be sent to another process.

    stored  what the vault holds of it, to be compared; None where the block is to be sent
    digest  its hashes, where they are known; Remembered where this run has not read it
    """

    source: Source
    upload_id: str
    block: Block
    stored: StoredPart | None = None
    digest: Digest | None = None

    @property
    def place(self) -> Place:
        """Its place in line: blocks to be sent come before those to be compared."""
        return (0 if self.stored is None else 1), self.block.number


@dataclass(frozen=True, slots=True)
class BlockDone:
    """A block's hashes, and whether the vault holds it so. Can be sent to another process.

    acknowledged  when the vault took it, if it was sent
    at_rest       they were computed now, of a file that was at rest: they may be kept
    """

    block: Block
    digest: Digest
    proven: bool
    acknowledged: datetime | None = None
    at_rest: bool = False


def line_up(task: BlockTask, context: Context) -> None:
    """Let tasks pass the gates in the order of these calls, in whatever order threads begin."""
    if task.digest is None:
        context.reading.line_up(task.place)
    if task.stored is None:
        context.slots.line_up(task.place)


def upload_block(task: BlockTask, context: Context) -> BlockDone:
    """Hash the block; then compare it with what is stored, or send it. Safe to repeat.

    Raises the UploadError for which the block failed, or Stopped.
    """
    acknowledged = None
    # Before it is read: what is written from then on changes the times of a file at rest.
    at_rest = task.source.is_at_rest()
    try:
        digest = task.digest or _read(task, context)
        if task.stored is None:
            digest = _send_as_it_is(task, digest, context)
            acknowledged = context.clock()
        else:
            _check_unchanged(task, context)
        proven = task.stored is None or task.stored.tree_hash == digest.tree
    finally:
        context.reading.leave(task.place)
        context.slots.leave(task.place)
    task.source.release(task.block)
    read_now = digest is not task.digest
    return BlockDone(task.block, digest, proven, acknowledged, at_rest and read_now)


class _Reach:
    """How far a block was read in any try, and when. See `vault.use.Moving`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.position = 0
        self.furthest = 0
        self.moved_at = clock()
        self._clock = clock

    def moved(self, size: int) -> None:
        """Note that so many bytes were read.

        A negative number takes back what is read again, and is no move: it comes after a failure.
        """
        self.position += size
        self.furthest = max(self.furthest, self.position)
        if size > 0:
            self.moved_at = self._clock()


def _read(task: BlockTask, context: Context, *, stop: Stop | None = None) -> Digest:
    """Return the block's hashes. Reading is retried while the file cannot be read."""
    comparing = task.stored is not None
    reach = _Reach(context.reads.line.clock)
    if stop is None:
        # Once the slots are closed, a block that can only be sent need not be read to its end.
        stop = context.stop if comparing else context.slots.stop

    def count(size: int) -> None:
        reach.moved(size)
        if comparing:
            context.meter.compared(size)

    def on_read(size: int) -> None:
        count(size)
        context.meter.read(size)
        if not comparing:
            context.meter.hashed(size)
        # Blocks to be sent come first: reading a large one to compare it takes half a minute.
        context.reading.give_way(task.place)

    def attempt() -> Digest:
        with context.reading.turn(task.place):
            try:
                return task.source.digest(task.block, stop=stop, on_read=on_read)
            except SourceUnreadable:
                count(-reach.position)
                context.slots.leave(task.place)  # others are not to wait while this one cannot
                raise

    return _retried(attempt, task, context, reach)


def _retried(attempt: Callable[[], T], task: BlockTask, context: Context, reach: _Reach) -> T:
    """Return what the attempt returns, repeated while the file cannot be read."""
    return context.reads.call(
        "read_block",
        attempt,
        moving=reach,
        block=task.block.number,
        others_would_succeed=lambda: task.source.reads_besides(task.block),
    )


def _check_unchanged(task: BlockTask, context: Context) -> None:
    """Look at the file once more, after a block was compared. Retried like reading."""
    context.reads.call("read_block", task.source.check_unchanged, block=task.block.number)


def _send_as_it_is(task: BlockTask, digest: Digest, context: Context) -> Digest:
    """Send the block, and return the hashes that it is stored by.

    Where the vault receives other bytes than were hashed, the block is hashed once more, which
    tells a file that changes from a line or a memory that damages. Hashes that were known before
    this task may have been out of date; then the block is sent by the new ones. Raises
    SourceChanged, HashMismatch, and what else the block fails for.
    """
    try:
        _send(task, digest, context)
        return digest
    except HashMismatch as mismatch:
        again = _read_again(task, context, mismatch)
        if again.tree == digest.tree:
            raise
    if not isinstance(digest, Remembered):
        raise task.source.other_bytes(task.block)
    return _send_as_it_is(task, again, context)


def _read_again(task: BlockTask, context: Context, mismatch: HashMismatch) -> Digest:
    try:
        task.source.check_unchanged()  # which names what differs
        return _read(task, context, stop=context.stop)
    except SourceUnreadable:
        raise mismatch from None


def _send(task: BlockTask, digest: Digest, context: Context) -> None:
    """Send the block. Sending is retried, from its first byte, while the file cannot be read."""
    reach = _Reach(context.reads.line.clock)

    def on_move(size: int) -> None:
        reach.moved(size)
        context.meter.moved(size)

    def attempt() -> None:
        with context.slots.turn(task.place):
            try:
                # Not before the wait for the slot, in which the file may change, too.
                task.source.check_unchanged()
                _send_body(task, digest, context, on_move=on_move)
            except UploadError as error:
                if context.ends_run(error) and not _may_still_be_sent(error, digest):
                    context.slots.close()  # before the next block takes over this one's slot
                raise

    _retried(attempt, task, context, reach)


def _may_still_be_sent(error: UploadError, digest: Digest) -> bool:
    """Tell whether the block is tried again: once it can be read, or by hashes that are right."""
    if isinstance(error, HashMismatch):
        return isinstance(digest, Remembered)
    return isinstance(error, SourceUnreadable)


def _send_body(
    task: BlockTask, digest: Digest, context: Context, *, on_move: Callable[[int], None]
) -> None:
    with task.source.open(
        task.block,
        linear_hash=digest.linear,
        stop=context.stop,
        on_move=on_move,
        allow=context.throttle.allow,
    ) as body:
        try:
            context.vault.send_block(task.upload_id, task.block, digest=digest, body=body)
        except UploadError:
            with suppress(SourceUnreadable):
                body.seek(0)  # what was sent of it does not count
            raise
