"""Takes the blocks of an upload through their tasks; and what is known of each block."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime

from glacier_mpu.errors import UploadError
from glacier_mpu.source.blocks import Block, Plan
from glacier_mpu.source.body import Source
from glacier_mpu.source.treehash import Digest, combine
from glacier_mpu.stop import Stopped
from glacier_mpu.transfer.block import BlockDone, BlockTask
from glacier_mpu.transfer.context import Context
from glacier_mpu.transfer.events import (
    Amount,
    BlockDiffers,
    BlockFailed,
    BlockMatches,
    BlocksBegin,
    BlockSent,
)
from glacier_mpu.transfer.feed import Feed
from glacier_mpu.transfer.workers import Queue, Workers, run_each
from glacier_mpu.vault.answers import StoredPart


@dataclass(slots=True, kw_only=True)
class Blocks:
    """What is known of a file's blocks in one open upload, by number.

    stored         what the vault listed
    known          hashes that were computed already, in this run or an earlier one
    keep           called with the hashes that may be kept for later runs
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
    keep: Callable[[int, Digest], None] = lambda *_: None
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

    def note_done(self, task: BlockTask, done: BlockDone) -> None:
        """Take note of a task's result."""
        number = done.block.number
        self.known[number] = done.digest
        self.last_activity = done.acknowledged or self.last_activity
        if done.at_rest:
            self.keep(number, done.digest)
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
        self._turned_away = False

    def run(self, numbers: Sequence[int], *, may_send: bool, tick: Callable[[], None]) -> None:
        """Send those of these blocks that are missing, and beside them compare those stored.

        One that differs is sent, too. Without `may_send` nothing is sent. Raises the error that
        ends the run once all blocks in hand have come to an end; a block that failed may only be
        noted. Raises Stopped if blocks are left because the stop time has come.
        """
        tasks = [self._blocks.task(n) for n in numbers if n not in self._blocks.proven]
        to_compare = deque(task for task in tasks if task.stored is not None)
        to_send = deque(task for task in tasks if task.stored is None and may_send)
        for number in numbers:
            self._note_other_size(number, may_send=may_send)
        if not (to_send or to_compare):
            return
        self._context.deadline.check()
        self._watcher.hear(BlocksBegin(_amount(to_send), _amount(to_compare)))
        deadline = self._context.deadline
        comparing = {task.block.number for task in to_compare}
        self._context.readers.begin(lambda: len(comparing))

        def finished(task: BlockTask, future: Future[BlockDone]) -> bool:
            comparing.discard(task.block.number)
            digest = self._finished(task, future)
            if digest is not None and task.stored is not None:
                self._watcher.hear(BlockDiffers(task.block, task.stored, digest.tree, may_send))
                if may_send:
                    to_send.append(replace(task, stored=None, digest=digest))
            return self._ending_error is None and not deadline.is_over

        sending: Queue[BlockTask] = Queue(to_send, lambda: self._workers.window)
        reading: Queue[BlockTask] = Queue(to_compare, lambda: self._workers.readers)
        run_each(self._workers.submit, [sending, reading], on_finished=finished, tick=tick)
        if self._ending_error is not None:
            raise self._ending_error
        if to_send or to_compare or self._turned_away:
            raise Stopped

    def send_fed(
        self,
        feed: Feed,
        *,
        on_failed: Callable[[Block, UploadError], None],
        tick: Callable[[], None],
    ) -> None:
        """Send the blocks that are read from a stream, to its end.

        Raises the error that ends the run once all blocks in hand have come to an end; a block that
        failed may only be noted, and told to `on_failed`. Raises Stopped if the stream was not read
        to its end because the stop time has come.
        """
        deadline = self._context.deadline

        def finished(task: BlockTask, future: Future[BlockDone]) -> bool:
            self._finished(task, future)
            error = self._blocks.failed.get(task.block.number)
            if error is not None:
                on_failed(task.block, error)
            return self._ending_error is None and not deadline.is_over

        run_each(self._workers.submit, [feed], on_finished=finished, tick=tick)
        for error in (self._ending_error, feed.error):
            if error is not None:
                raise error
        if not (feed.has_ended or deadline.is_over):
            self._blocks.raise_failure()  # failed blocks fill the spool
        if not feed.has_ended or self._turned_away:
            raise Stopped

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
        elif isinstance(error, Stopped):
            self._turned_away = True
        else:
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
