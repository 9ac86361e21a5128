"""The upload of a stream: read once, in order, and sent from the spool.

Its size is known at its end. Until then the plan is that of what was read so far.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from glacier_mpu.errors import StreamDiffers, StreamTooShort, UploadError
from glacier_mpu.source.blocks import Block, Plan, as_named_ranges
from glacier_mpu.source.pipe import Stream
from glacier_mpu.source.spool import Spool, find_spool, room_in
from glacier_mpu.source.treehash import Digest
from glacier_mpu.transfer.block import BlockDone, BlockTask
from glacier_mpu.transfer.context import Context
from glacier_mpu.transfer.events import BlockDiffers, BlockMatches, DescriptionKept
from glacier_mpu.transfer.feed import Feed
from glacier_mpu.transfer.intake import Intake
from glacier_mpu.transfer.request import Outcome, Status, StreamRequest
from glacier_mpu.transfer.run import KEPT_WITHOUT_ACTIVITY, Run
from glacier_mpu.transfer.send import Blocks, Sender
from glacier_mpu.transfer.stream_events import (
    BlockRead,
    BlocksRunningOut,
    CommandSaid,
    MoreThanExpected,
    SourceSilent,
    StreamEnded,
    StreamOpened,
)
from glacier_mpu.transfer.stream_resume import OpenedForStream, open_for_stream
from glacier_mpu.transfer.workers import Workers, run_aside
from glacier_mpu.vault.answers import StoredPart

# In percent of the blocks that Glacier allows.
_WARN_AT = (80, 95)
_BETWEEN_WARNINGS_OF_SILENCE = timedelta(hours=1)
# While all that is read is stored already, nothing is sent, and an upload without activity expires.
_LONGEST_WITHOUT_ACTIVITY = timedelta(hours=3)


class StreamRun(Run):
    """One run that uploads a stream."""

    def __init__(
        self, request: StreamRequest, context: Context, workers: Workers[BlockTask, BlockDone]
    ) -> None:
        super().__init__(request, context)
        self.request: StreamRequest = request
        self.workers = workers
        self.reader = ThreadPoolExecutor(1)  # which waits for the stream, however long that takes
        self.stream = Stream(
            request.source, stop=context.stop, on_read=self._count, hear=self._hear_command
        )
        self.spool: Spool | None = None
        self.intake: Intake | None = None
        self.has_ended = False
        self.is_alike = False  # a block is stored as the stream has it: the upload is of this one
        self.told_of_more = False
        self.began = self.told_at = context.clock()

    @property
    def plan(self) -> Plan | None:
        """What the stream was cut into, once its end is known."""
        return super().plan if self.has_ended else None

    def close(self) -> None:
        """End the command that still runs, and delete what is in the spool."""
        if self.spool is not None:
            self.spool.close()
        self.stream.end()
        self.reader.submit(self._close_intake)  # once it reads no more
        self.reader.shutdown(wait=False)

    def _close_intake(self) -> None:
        self.stream.close()
        if self.intake is not None:
            self.intake.close()

    def steps(self) -> Outcome:
        run_aside(self.reader, self.stream.refuse_if_empty, tick=self._tick_before)
        opened = run_aside(
            self.executor,
            lambda: open_for_stream(
                self.request, self.vault, prepare=self._prepare, hear=self.watcher.hear
            ),
            tick=self._tick_before,
        )
        blocks, spool = self._into(opened)
        sender = Sender(blocks, workers=self.workers, context=self.context)
        sender.send_fed(
            self._feed(blocks, spool),
            on_failed=self._settle_failed,
            tick=lambda: self._tick_while_sending(blocks),
        )
        self.has_ended = True
        self.watcher.hear(StreamEnded(blocks.plan))
        self._refuse_if_more_is_stored(blocks)
        self.try_again(blocks, sender)
        blocks.raise_failure()
        if not self.request.finish:
            return self.outcome(Status.STORED)
        return self.outcome(Status.COMPLETED, archive=self.complete(blocks))

    def _prepare(self, block_size: int) -> None:
        """Find room for the blocks in hand. Raises SpoolUnusable."""
        request = self.request
        in_hand = block_size * ((request.slots or 1) + 1)
        folder = find_spool(request.spool, needed=min(in_hand, request.expected_size or in_hand))
        if self.context.tuner is not None:
            self.context.tuner.limit(max(1, room_in(folder) // block_size - 1))
        self.spool = Spool(folder)

    def _into(self, opened: OpenedForStream) -> tuple[Blocks, Spool]:
        """Take the upload as this run's, and tell its id before the first byte is sent."""
        if self.spool is None:
            raise RuntimeError("an upload was opened without a spool")
        self.description = opened.description
        self.blocks = Blocks(
            source=self.spool,
            plan=Plan(1, opened.block_size),  # there is a first byte
            upload_id=opened.upload_id,
            stored=opened.stored,
            last_activity=self.context.clock() if opened.is_new else None,
        )
        self.watcher.hear(
            StreamOpened(
                opened.upload_id,
                opened.block_size,
                most_size=opened.block_size * self.request.source.most_blocks,
                expected_size=self.request.expected_size,
                stored=len(opened.stored),
                is_new=opened.is_new,
            )
        )
        if opened.description != self.request.description.strip():
            self.watcher.hear(DescriptionKept(opened.description))
        return self.blocks, self.spool

    def _feed(self, blocks: Blocks, spool: Spool) -> Feed:
        self.intake = Intake(
            self.stream,
            spool,
            block_size=blocks.plan.block_size,
            most_blocks=self.request.source.most_blocks,
            reads=self.context.reads,
        )
        return Feed(
            self.intake.next_block,
            executor=self.reader,
            task_of=lambda block, digest: self._task_of(blocks, block, digest),
            # A failed block that is sent again at the end keeps its place in the spool until then.
            window=lambda: self.workers.window - len(blocks.failed_in_passing()),
            stops=lambda: self.context.deadline.is_over,
        )

    def _task_of(self, blocks: Blocks, block: Block, digest: Digest) -> BlockTask | None:
        """Return how this block is sent, or None if it is stored as the stream has it.

        Raises StreamDiffers if it is not, and nothing has shown yet that this is the stream.
        """
        blocks.plan = Plan(block.last_byte + 1, blocks.plan.block_size)
        blocks.known[block.number] = digest
        self._warn_of_the_limits(blocks.plan)
        task = BlockTask(blocks.source, blocks.upload_id, block, digest=digest)
        stored = blocks.stored.get(block.number)
        if stored == StoredPart(block.size, digest.tree):
            self.is_alike = True
            if not self._is_due_for_activity(blocks):
                self._skip(blocks, task, stored)
                return None
        elif stored is not None:
            self._refuse_other_stream(block)
            blocks.differing.add(block.number)
            self.watcher.hear(BlockDiffers(block, stored, digest.tree))
        self.watcher.hear(BlockRead(block))
        return task

    def _skip(self, blocks: Blocks, task: BlockTask, stored: StoredPart) -> None:
        """Take a block as done that is stored as the stream has it."""
        done = BlockDone(task.block, blocks.known[task.block.number], proven=True)
        blocks.note_done(replace(task, stored=stored), done)
        blocks.source.release(task.block)
        self.watcher.hear(BlockMatches(task.block))

    def _is_due_for_activity(self, blocks: Blocks) -> bool:
        """Tell whether a block that is stored should be sent again, to keep the upload alive.

        An upload may expire a day after its last activity, and to read a stream again takes longer
        than that if it is large. What was stored before this run may be hours old.
        """
        since = blocks.last_activity or self.began
        return self.context.clock() - since >= _LONGEST_WITHOUT_ACTIVITY

    def _refuse_other_stream(self, block: Block) -> None:
        if not (self.is_alike or self.request.overwrite):
            raise StreamDiffers(
                f"block {block.number} is stored, but not as the stream has it, nor is any block "
                "before it: the open upload is of another stream"
            )

    def _refuse_if_more_is_stored(self, blocks: Blocks) -> None:
        beyond = [number for number in blocks.stored if number not in blocks.plan.numbers]
        if beyond:
            raise StreamTooShort(
                f"the open upload holds {as_named_ranges(beyond)}, and the stream has only "
                f"{blocks.plan.count:,} blocks"
            )

    def _warn_of_the_limits(self, plan: Plan) -> None:
        """Tell when few blocks are left, and when the stream is longer than expected."""
        most, expected = self.request.source.most_blocks, self.request.expected_size
        most_size = most * plan.block_size
        if plan.count in [-(-most * percent // 100) for percent in _WARN_AT]:
            left = most_size - plan.count * plan.block_size
            self.watcher.hear(BlocksRunningOut(plan.count, most, left))
        if expected is not None and plan.size > expected and not self.told_of_more:
            self.told_of_more = True
            self.watcher.hear(MoreThanExpected(expected, most_size))

    def _settle_failed(self, block: Block, error: UploadError) -> None:
        """Keep a block that is sent once more at the end; the spool needs the room of others."""
        if self.spool is not None:
            if error.max_tries == 0:
                self.spool.keep(block.number)
            else:
                self.spool.release(block)

    def _warn_of_silence(self, blocks: Blocks) -> None:
        """Tell once an hour that nothing was stored for so long because the stream gave no block.

        Where blocks are on their way it is the line that takes so long, which tells of itself.
        """
        last, now = blocks.last_activity, self.context.clock()
        if last is None or self.context.slots.busy:
            return
        if now - max(last, self.told_at) >= _BETWEEN_WARNINGS_OF_SILENCE:
            self.told_at = now
            seconds = (now - last).total_seconds()
            self.watcher.hear(SourceSilent(seconds, last + KEPT_WITHOUT_ACTIVITY))

    def _count(self, size: int) -> None:
        self.context.meter.read(size)
        self.context.meter.hashed(size)

    def _hear_command(self, line: str) -> None:
        command = self.request.source.command
        if command is not None:
            self.watcher.hear(CommandSaid(command.program, line))

    def _tick_while_sending(self, blocks: Blocks) -> None:
        self.tick_and_tune()
        self._warn_of_silence(blocks)

    def _tick_before(self) -> None:
        """Tick while nothing is sent yet, and so nothing to be finished at the stop time."""
        self.tick_in_time()
        self.context.deadline.check()
