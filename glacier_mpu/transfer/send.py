"""One way for every block, from a task to the vault's echo; and what is known of each block."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from glacier_mpu.errors import SourceChanged, SourceUnreadable, UploadError
from glacier_mpu.source.blocks import Block, Plan
from glacier_mpu.source.body import Source
from glacier_mpu.source.treehash import Digest, combine
from glacier_mpu.stop import Stopped
from glacier_mpu.transfer.context import Context
from glacier_mpu.transfer.events import (
    Amount,
    BlockDiffers,
    BlockFailed,
    BlockMatches,
    BlocksBegin,
    BlockSent,
)
from glacier_mpu.transfer.workers import Lane, Place, Workers, run_each
from glacier_mpu.vault.answers import StoredPart
from glacier_mpu.vault.errors import (
    HashMismatch,
)


@dataclass(frozen=True, slots=True)
class BlockTask:
    """One block to be proven. Can be sent to another process.

    stored  what the vault holds of it, to be compared; None where the block is to be sent
    digest  its hashes, where they are known
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
    """

    block: Block
    digest: Digest
    proven: bool
    acknowledged: datetime | None = None


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
    try:
        digest = _known(task, context) or _read(task, context)
        if task.stored is None:
            digest = _send_as_it_is(task, digest, context)
            acknowledged = context.clock()
        else:
            _check_unchanged(task, context)
        proven = task.stored is None or task.stored.tree_hash == digest.tree
    finally:
        context.slots.leave(task.place)
    task.source.release(task.block)
    return BlockDone(task.block, digest, proven, acknowledged)


def _known(task: BlockTask, context: Context) -> Digest | None:
    if task.digest is not None and task.stored is not None:
        context.meter.compared(task.block.size)
    return task.digest


class _Reach:
    """How far a block was read in any try, and when. See `vault.line.Moving`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.position = 0
        self.furthest = 0
        self.moved_at = clock()
        self._clock = clock

    def moved(self, size: int) -> None:
        """Note that so many bytes were read; a negative number takes back what is read again."""
        self.position += size
        self.furthest = max(self.furthest, self.position)
        self.moved_at = self._clock()


def _read(task: BlockTask, context: Context) -> Digest:
    """Return the block's hashes. Reading is retried while the file cannot be read."""
    comparing = task.stored is not None
    reach = _Reach(context.reads.line.clock)
    # Once the slots are closed, a block that can only be sent need not be read to its end.
    stop = context.stop if comparing else context.slots.stop

    def count(size: int) -> None:
        reach.moved(size)
        if comparing:
            context.meter.compared(size)

    def on_read(size: int) -> None:
        count(size)
        context.meter.read(size)
        # Blocks to be sent come first: reading a large one to compare it takes half a minute.
        context.reading.give_way(task.place)

    def attempt() -> Digest:
        with context.reading.turn(task.place):
            try:
                return task.source.digest(task.block, stop=stop, on_read=on_read)
            except SourceUnreadable:
                count(-reach.position)
                raise

    return context.reads.call("read_block", attempt, moving=reach, block=task.block.number)


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
        if again == digest:
            raise
    if task.digest is None:
        raise _other_bytes(task)
    return _send_as_it_is(replace(task, digest=None), again, context)


def _read_again(task: BlockTask, context: Context, mismatch: HashMismatch) -> Digest:
    try:
        task.source.check_unchanged()  # which names what differs
        return _read(task, context)
    except SourceUnreadable:
        raise mismatch from None


def _other_bytes(task: BlockTask) -> SourceChanged:
    return SourceChanged(
        f"block {task.block.number} of {task.source.name!r} gave other bytes when it was read "
        "again, though the file's size and time are unchanged: something writes to it, or this "
        "machine's memory or disk is faulty"
    )


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
                if context.ends_run(error) and not isinstance(error, SourceUnreadable):
                    context.slots.close()  # before the next block takes over this one's slot
                raise

    context.reads.call("read_block", attempt, moving=reach, block=task.block.number)


def _send_body(
    task: BlockTask, digest: Digest, context: Context, *, on_move: Callable[[int], None]
) -> None:
    with task.source.open(
        task.block,
        linear_hash=digest.linear,
        stop=context.stop,
        on_move=on_move,
        allow=context.allow,
    ) as body:
        try:
            context.vault.send_block(task.upload_id, task.block, digest=digest, body=body)
        except UploadError:
            with suppress(SourceUnreadable):
                body.seek(0)  # what was sent of it does not count
            raise


@dataclass(slots=True, kw_only=True)
class Blocks:
    """What is known of a file's blocks in one open upload, by number.

    stored         what the vault listed
    known          hashes that were computed already
    proven         blocks that are stored as the file has them
    failed         why blocks could not be read or sent
    differing      blocks that are stored, but not as the file has them
    bytes_skipped  what was found to be stored as the file has it
    last_activity  when the vault last acknowledged a block or the initiation in this run
    """

    source: Source
    plan: Plan
    upload_id: str
    stored: Mapping[int, StoredPart]
    known: dict[int, Digest] = field(default_factory=dict)
    proven: set[int] = field(default_factory=set)
    failed: dict[int, UploadError] = field(default_factory=dict)
    differing: set[int] = field(default_factory=set)
    bytes_skipped: int = 0
    last_activity: datetime | None = None

    def missing(self, numbers: Sequence[int]) -> list[int]:
        """Return those of these blocks that are not stored at all."""
        return [n for n in numbers if n not in self.stored and n not in self.proven]

    def unproven(self) -> list[int]:
        """Return the file's blocks that are not known to be stored as the file has them."""
        return [number for number in self.plan.numbers if number not in self.proven]

    def unsent(self) -> list[int]:
        """Return the blocks that have still to be sent, as far as is known."""
        return [n for n in self.unproven() if n not in self.stored or n in self.differing]

    def tree_hash(self) -> str:
        """Return the archive's tree hash in hex, or an empty string while a block is unproven."""
        if self.unproven():
            return ""
        return combine([self.known[number].tree for number in self.plan.numbers]).hex()

    def raise_failure(self) -> None:
        """Raise the first failure, if there is one."""
        for error in self.failed.values():
            raise error

    def task(self, number: int) -> BlockTask:
        """Return what is to be done for this block."""
        return BlockTask(
            source=self.source,
            upload_id=self.upload_id,
            block=self.plan.block(number),
            stored=self.stored.get(number) if self.has_full_size(number) else None,
            digest=self.known.get(number),
        )

    def has_full_size(self, number: int) -> bool:
        """Tell whether as many bytes are stored as the block has: then it has to be compared."""
        part = self.stored.get(number)
        return part is not None and part.size == self.plan.block(number).size

    def note_done(self, task: BlockTask, done: BlockDone) -> None:
        """Take note of a task's result."""
        number = done.block.number
        self.known[number] = done.digest
        self.last_activity = done.acknowledged or self.last_activity
        if not done.proven:
            self.differing.add(number)
            return
        self.proven.add(number)
        self.failed.pop(number, None)
        if task.stored is not None:
            self.bytes_skipped += done.block.size

    def failed_in_passing(self) -> list[int]:
        """Return the failed blocks that may not fail when they are tried once more."""
        return [number for number, error in self.failed.items() if error.max_tries == 0]


class Sender:
    """Takes blocks of one upload through their tasks, and tells the watcher how each ends."""

    def __init__(
        self, blocks: Blocks, *, workers: Workers[BlockTask, BlockDone], context: Context
    ) -> None:
        self._blocks = blocks
        self._workers = workers
        self._context = context
        self._watcher = context.meter.watcher
        self._ending_error: UploadError | None = None

    def run(self, numbers: Sequence[int], *, may_send: bool, tick: Callable[[], None]) -> None:
        """Send those of these blocks that are missing, and beside them compare those stored.

        One that differs is sent, too. Without `may_send` nothing is sent. Raises the error that
        ends the run once all blocks in hand have come to an end; a block that failed may only be
        noted.
        """
        tasks = [self._blocks.task(number) for number in numbers]
        to_compare = deque(task for task in tasks if task.stored is not None)
        to_send = deque(task for task in tasks if task.stored is None and may_send)
        for number in numbers:
            self._note_other_size(number, may_send=may_send)
        if not (to_send or to_compare):
            return
        self._watcher.hear(BlocksBegin(_amount(to_send), _amount(to_compare)))
        comparing = {task.block.number for task in to_compare}
        self._context.readers.begin(lambda: len(comparing))

        def finished(task: BlockTask, future: Future[BlockDone]) -> bool:
            comparing.discard(task.block.number)
            digest = self._finished(task, future)
            if digest is not None and task.stored is not None:
                self._watcher.hear(BlockDiffers(task.block, task.stored, digest.tree, may_send))
                if may_send:
                    to_send.append(replace(task, stored=None, digest=digest))
            return self._ending_error is None

        run_each(
            self._workers.submit,
            [
                Lane(to_send, lambda: self._workers.window),
                Lane(to_compare, lambda: self._workers.readers),
            ],
            on_finished=finished,
            tick=tick,
        )
        if self._ending_error is not None:
            raise self._ending_error

    def _finished(self, task: BlockTask, future: Future[BlockDone]) -> Digest | None:
        """Note how a task ended. Return the hashes of a stored block that differs, else None."""
        error = future.exception()
        if error is None:
            done = future.result()
            self._blocks.note_done(task, done)
            if not done.proven:
                return done.digest
            sent = task.stored is None
            self._watcher.hear(BlockSent(task.block) if sent else BlockMatches(task.block))
        elif isinstance(error, UploadError):
            # What every block would meet alike on this side of the line is no failure of this one.
            if not (error.every_block_alike and error.keeps_upload):
                self._blocks.failed[task.block.number] = error
                self._watcher.hear(BlockFailed(task.block, error, compared=task.stored is not None))
            if self._context.ends_run(error) and self._ending_error is None:
                self._ending_error = error
                self._context.slots.close()  # what is in hand and not on its way is not sent
        elif not isinstance(error, Stopped):
            raise error
        return None

    def _note_other_size(self, number: int, *, may_send: bool) -> None:
        """Note a block of which more or fewer bytes are stored; there is nothing to compare."""
        blocks = self._blocks
        if number in blocks.stored and not blocks.has_full_size(number):
            blocks.differing.add(number)
            event = BlockDiffers(blocks.plan.block(number), blocks.stored[number], sends=may_send)
            self._watcher.hear(event)


def _amount(tasks: Collection[BlockTask]) -> Amount:
    return Amount(len(tasks), sum(task.block.size for task in tasks))
