"""One way for every block, from a task to the vault's echo; and what is known of each block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from glacier_mpu.errors import HashMismatch, SourceUnreadable, UploadError, VaultError
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
    Watcher,
)
from glacier_mpu.transfer.workers import Lane, Place, Workers, run_each
from glacier_mpu.vault.answers import StoredPart


@dataclass(frozen=True, slots=True)
class BlockTask:
    """One block to be stored. Can be sent to another process.

    stored    what the vault holds of it, with its size; None is nothing
    may_send  False: only compare it with what is stored
    digest    its hashes, where they are known
    """

    source: Source
    upload_id: str
    block: Block
    stored: StoredPart | None = None
    may_send: bool = True
    digest: Digest | None = None

    @property
    def place(self) -> Place:
        """Its place in line: blocks that are not stored come before those to be compared."""
        return (0 if self.stored is None else 1), self.block.number


@dataclass(frozen=True, slots=True)
class BlockDone:
    """What a block's hashes are, and whether it was `sent`. Can be sent to another process."""

    block: Block
    digest: Digest
    sent: bool


def line_up(task: BlockTask, context: Context) -> None:
    """Let tasks pass the gates in the order of these calls, in whatever order threads begin."""
    if task.digest is None:
        context.reading.line_up(task.place)
    if task.stored is None:
        context.slots.line_up(task.place)


def upload_block(task: BlockTask, context: Context) -> BlockDone:
    """Make sure that the vault holds the block as the source has it. Safe to repeat.

    A block that is stored alike is not sent. Without `may_send`, one that differs is not sent
    either. Raises the UploadError for which the block failed, or Stopped.
    """
    try:
        digest = _digest(task, context)
        differs = task.stored is not None and task.stored.tree_hash != digest.tree
        if task.stored is not None and differs:
            context.meter.tell(BlockDiffers(task.block, task.stored, digest.tree, task.may_send))
        sends = task.may_send and (task.stored is None or differs)
        if sends:
            _send(task, digest, context)
    finally:
        context.slots.leave(task.place)
    task.source.release(task.block)
    return BlockDone(task.block, digest, sends)


def _digest(task: BlockTask, context: Context) -> Digest:
    on_read = context.meter.compared if task.stored is not None else lambda _: None
    if task.digest is not None:
        on_read(task.block.size)
        return task.digest
    with context.reading.turn(task.place):
        return task.source.digest(task.block, stop=context.stop, on_read=on_read)


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
            body.seek(0)  # what was sent of it does not count
            if context.ends_run(error):
                context.slots.close()  # before the next block takes over this one's slot
            raise


@dataclass(slots=True, kw_only=True)
class Blocks:
    """What is known of a file's blocks in one open upload, by number.

    stored         what the vault listed
    known          hashes that were computed already
    failed         why blocks could not be read or sent
    differing      blocks that are stored, but not as the file has them
    bytes_skipped  what was found to be stored as the file has it
    """

    source: Source
    plan: Plan
    upload_id: str
    stored: Mapping[int, StoredPart]
    known: Mapping[int, Digest] = field(default_factory=dict)
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

    def task(self, number: int, *, may_send: bool) -> BlockTask:
        """Return what is to be done for this block."""
        return BlockTask(
            source=self.source,
            upload_id=self.upload_id,
            block=self.plan.block(number),
            stored=self.stored.get(number) if self.has_full_size(number) else None,
            may_send=may_send,
            digest=self.known.get(number),
        )

    def has_full_size(self, number: int) -> bool:
        """Tell whether as many bytes are stored as the block has: then it has to be compared."""
        part = self.stored.get(number)
        return part is not None and part.size == self.plan.block(number).size

    def note_done(self, task: BlockTask, done: BlockDone) -> None:
        """Take note of a task's result."""
        number = done.block.number
        if done.sent:
            self._roots[number] = done.digest.tree
            self.failed.pop(number, None)
        elif task.stored is not None and task.stored.tree_hash == done.digest.tree:
            self._roots[number] = done.digest.tree
            self.bytes_skipped += done.block.size
        else:
            self.differing.add(number)

    def note_failed(self, task: BlockTask, error: UploadError) -> UploadError:
        """Note and return why the block failed, which may be that the file changed or is gone."""
        number = task.block.number
        if task.stored is not None and isinstance(error, VaultError):
            self.differing.add(number)  # or it would not have been sent
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
        self,
        blocks: Blocks,
        *,
        workers: Workers[BlockTask, BlockDone],
        watcher: Watcher,
        ends_run: Callable[[UploadError], bool],
    ) -> None:
        self._blocks = blocks
        self._workers = workers
        self._watcher = watcher
        self._ends_run = ends_run
        self._last_straw: UploadError | None = None

    def run(self, numbers: Sequence[int], *, may_send: bool, tick: Callable[[], None]) -> None:
        """Send those of these blocks that are missing, and beside them compare those stored.

        One that differs is sent, too. Without `may_send` nothing is sent. Raises the error that
        ends the run once all blocks in hand have come to an end; a block that failed may only be
        noted.
        """
        blocks = self._blocks
        for number in numbers:
            if number in blocks.stored and not blocks.has_full_size(number):
                blocks.differing.add(number)
                block, part = blocks.plan.block(number), blocks.stored[number]
                self._watcher.hear(BlockDiffers(block, part, sends=may_send))
        tasks = [blocks.task(number, may_send=may_send) for number in numbers]
        to_compare = [task for task in tasks if task.stored is not None]
        to_send = [task for task in tasks if task.stored is None and may_send]
        if not (to_send or to_compare):
            return
        self._watcher.hear(BlocksBegin(_amount(to_send), _amount(to_compare)))
        run_each(
            self._workers.submit,
            [
                Lane(to_send, lambda: self._workers.window),
                Lane(to_compare, lambda: self._workers.readers),
            ],
            on_finished=self._finished,
            tick=tick,
        )
        if self._last_straw is not None:
            raise self._last_straw

    def _finished(self, task: BlockTask, future: Future[BlockDone]) -> bool:
        """Note how a task ended, and tell whether new ones may begin."""
        error = future.exception()
        compared = task.stored is not None
        if error is None:
            done = future.result()
            self._blocks.note_done(task, done)
            if done.sent:
                self._watcher.hear(BlockSent(task.block, compared=compared))
            elif task.block.number not in self._blocks.differing:
                self._watcher.hear(BlockMatches(task.block))
        elif isinstance(error, UploadError):
            error = self._blocks.note_failed(task, error)
            self._watcher.hear(BlockFailed(task.block, error, compared=compared))
            if self._ends_run(error) and self._last_straw is None:
                self._last_straw = error
        elif not isinstance(error, Stopped):
            raise error
        return self._last_straw is None


def _amount(tasks: Sequence[BlockTask]) -> Amount:
    return Amount(len(tasks), sum(task.block.size for task in tasks))
