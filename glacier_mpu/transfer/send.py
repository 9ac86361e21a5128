"""One way for every block, from a task to the vault's echo; and what is known of each block."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace

from glacier_mpu.errors import SourceUnreadable, UploadError
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

    at_rest  they were computed now, of a file that was at rest: they may be kept for later runs
    """

    block: Block
    digest: Digest
    proven: bool
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
    # Before it is read: what is written meanwhile changes the times of a file at rest.
    at_rest = task.digest is None and task.source.is_at_rest()
    try:
        digest = _digest(task, context)
        if task.stored is None:
            _send(task, digest, context)
        proven = task.stored is None or task.stored.tree_hash == digest.tree
    finally:
        context.slots.leave(task.place)
    task.source.release(task.block)
    return BlockDone(task.block, digest, proven, at_rest)


def _digest(task: BlockTask, context: Context) -> Digest:
    if task.digest is not None:
        return task.digest
    comparing = task.stored is not None
    on_read = context.meter.compared if comparing else lambda _: None
    # Once the slots are closed, a block that can only be sent need not be read to its end.
    stop = context.stop if comparing else context.slots.stop
    with context.reading.turn(task.place):
        return task.source.digest(task.block, stop=stop, on_read=on_read)


def _send(task: BlockTask, digest: Digest, context: Context) -> None:
    with (
        context.slots.turn(task.place),
        task.source.open(
            task.block,
            linear_hash=digest.linear,
            stop=context.stop,
            on_move=context.meter.moved,
            allow=context.allow,
        ) as body,
    ):
        try:
            context.vault.send_block(task.upload_id, task.block, digest=digest, body=body)
        except UploadError as error:
            if context.ends_run(error):
                context.slots.close()  # before the next block takes over this one's slot
            with suppress(OSError):
                body.seek(0)  # what was sent of it does not count
            raise


@dataclass(slots=True, kw_only=True)
class Blocks:
    """What is known of a file's blocks in one open upload, by number.

    stored         what the vault listed
    known          hashes that were computed already, in this run or an earlier one
    keep           called with the hashes that may be kept for later runs
    failed         why blocks could not be read or sent
    differing      blocks that are stored, but not as the file has them
    bytes_skipped  what was found to be stored as the file has it
    """

    source: Source
    plan: Plan
    upload_id: str
    stored: Mapping[int, StoredPart]
    known: dict[int, Digest] = field(default_factory=dict)
    keep: Callable[[int, Digest], None] = lambda *_: None
    failed: dict[int, UploadError] = field(default_factory=dict)
    differing: set[int] = field(default_factory=set)
    bytes_skipped: int = 0
    _roots: dict[int, bytes] = field(default_factory=dict)

    def missing(self, numbers: Sequence[int]) -> list[int]:
        """Return those of these blocks that are not stored at all."""
        return [n for n in numbers if n not in self.stored and n not in self._roots]

    def unproven(self) -> list[int]:
        """Return the file's blocks that are not known to be stored as the file has them."""
        return [number for number in self.plan.numbers if number not in self._roots]

    def unsent(self) -> list[int]:
        """Return the blocks that have still to be sent, as far as is known."""
        return [n for n in self.unproven() if n not in self.stored or n in self.differing]

    def tree_hash(self) -> str:
        """Return the archive's tree hash in hex, or an empty string while a block is unproven."""
        if self.unproven():
            return ""
        return combine([self._roots[number] for number in self.plan.numbers]).hex()

    def raise_failure(self) -> None:
        """Raise the first failure, if there is one."""
        for error in self.failed.values():
            raise error

    def task(self, number: int) -> BlockTask:
        """Return what is to be done for this block."""
        compares = self.has_full_size(number) and number not in self.differing
        return BlockTask(
            source=self.source,
            upload_id=self.upload_id,
            block=self.plan.block(number),
            stored=self.stored[number] if compares else None,
            digest=self.known.get(number),
        )

    def has_full_size(self, number: int) -> bool:
        """Tell whether as many bytes are stored as the block has: then it has to be compared."""
        part = self.stored.get(number)
        return part is not None and part.size == self.plan.block(number).size

    def is_proven(self, number: int) -> bool:
        """Tell whether the block is known to be stored as the file has it."""
        return number in self._roots

    def note_done(self, task: BlockTask, done: BlockDone) -> None:
        """Take note of a task's result."""
        number = done.block.number
        if done.at_rest:
            self.keep(number, done.digest)
        if not done.proven:
            self.differing.add(number)
            return
        self._roots[number] = done.digest.tree
        self.failed.pop(number, None)
        if task.stored is not None:
            self.bytes_skipped += done.block.size

    def note_failed(self, task: BlockTask, error: UploadError) -> UploadError:
        """Note and return why the block failed, which may be that the file changed or is gone."""
        number = task.block.number
        if isinstance(error, HashMismatch | SourceUnreadable):
            try:
                self.source.check_unchanged()
            except UploadError as change:
                error = change
        self.failed[number] = error
        return error


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
        tasks = [self._blocks.task(n) for n in numbers if not self._blocks.is_proven(n)]
        to_compare = deque(task for task in tasks if task.stored is not None)
        to_send = deque(task for task in tasks if task.stored is None and may_send)
        for number in numbers:
            self._note_other_size(number, may_send=may_send)
        if not (to_send or to_compare):
            return
        self._watcher.hear(BlocksBegin(_amount(to_send), _amount(to_compare)))

        def finished(task: BlockTask, future: Future[BlockDone]) -> bool:
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
            error = self._blocks.note_failed(task, error)
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
