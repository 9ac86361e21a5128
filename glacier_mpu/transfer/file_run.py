"""The upload of a file: its blocks in any order, as often as needed.

Open the upload, send and prove the asked blocks, check the rest, complete.
"""

from __future__ import annotations

from collections.abc import Sequence

from glacier_mpu.source.disk import is_rotating
from glacier_mpu.source.ledger import Ledger, LedgerWriter
from glacier_mpu.transfer.block import BlockDone, BlockTask
from glacier_mpu.transfer.closing import check_the_rest, list_if_answered, refuse_if_replaced
from glacier_mpu.transfer.context import Context
from glacier_mpu.transfer.events import DescriptionKept, LedgerUnusable, MissingBlocks, UploadOpened
from glacier_mpu.transfer.known import compare_known
from glacier_mpu.transfer.request import FileRequest, Outcome, Status
from glacier_mpu.transfer.resume import Opened, open_upload
from glacier_mpu.transfer.run import Run
from glacier_mpu.transfer.send import Blocks, Sender
from glacier_mpu.transfer.workers import Workers, run_aside

# A network drive takes longer only when it is in trouble.
_SECONDS_FOR_THE_LEDGER = 1.0


class FileRun(Run):
    """One run that uploads a file."""

    def __init__(
        self, request: FileRequest, context: Context, workers: Workers[BlockTask, BlockDone]
    ) -> None:
        super().__init__(request, context)
        self.request: FileRequest = request
        self.workers = workers
        self.ledger = Ledger(
            request.ledger,
            request.source,
            recheck=request.recheck,
            on_trouble=lambda why: self.watcher.hear(LedgerUnusable(request.ledger or "", why)),
        )
        self.writer = LedgerWriter(self.ledger)

    def close(self) -> None:
        self.writer.close(seconds=_SECONDS_FOR_THE_LEDGER)

    def steps(self) -> Outcome:
        request, reads, hear = self.request, self.context.reads, self.watcher.hear
        ledger, vault = self.ledger, self.vault
        self.context.keep_time()
        self.context.deadline.check()
        opened = run_aside(
            self.executor,
            lambda: open_upload(request, vault, ledger=ledger, reads=reads, hear=hear),
            tick=self.tick_in_time,
        )
        blocks = self._into(opened)
        path = request.source.path
        self.context.readers.rotating = self.aside(lambda: is_rotating(path))
        sender = Sender(blocks, workers=self.workers, context=self.context)
        asked = blocks.plan.selection(request.first, request.last)
        if not opened.is_new:
            self._tell_what_is_missing(blocks, asked)
            self._compare_known(blocks, asked, may_send=True)
        sender.run(asked, may_send=True, tick=self.tick_and_tune)
        self.try_again(blocks, sender)
        blocks.raise_failure()
        if request.finish:
            check_the_rest(
                blocks,
                sender,
                list_parts=self.list_parts,
                compare_known=lambda rest: self._compare_known(blocks, rest, may_send=False),
                tick=self._tick_and_tune_reading,
            )
        self._check_unchanged()
        if not request.finish:
            list_if_answered(blocks, self.list_parts)
            refuse_if_replaced(blocks, asked)
            return self.outcome(Status.STORED)
        archive = self.complete(blocks)
        self.writer.forget()
        return self.outcome(Status.COMPLETED, archive=archive)

    def _into(self, opened: Opened) -> Blocks:
        """Take the upload as this run's, and tell its id before the first byte is sent."""
        self.description = opened.description
        self.blocks = Blocks(
            source=self.request.source,
            plan=opened.plan,
            upload_id=opened.upload_id,
            stored=opened.stored,
            known=dict(opened.known),
            keep=self.writer.note,
            last_activity=self.context.clock() if opened.is_new else None,
        )
        asked = opened.plan.selection(self.request.first, self.request.last)
        held = list(filter(self.blocks.has_full_size, opened.stored))
        self.watcher.hear(
            UploadOpened(opened.upload_id, opened.plan, asked, held, is_new=opened.is_new)
        )
        self.writer.begin(opened.plan.block_size, opened.upload_id)
        for number, digest in opened.fresh.items():
            self.writer.note(number, digest)
        return self.blocks

    def _tell_what_is_missing(self, blocks: Blocks, asked: range) -> None:
        if self.description != self.request.description.strip():
            self.watcher.hear(DescriptionKept(self.description))
        missing = blocks.missing(asked)
        if missing:
            self.watcher.hear(MissingBlocks(missing, len(asked)))

    def _compare_known(self, blocks: Blocks, numbers: Sequence[int], *, may_send: bool) -> None:
        hear = self.watcher.hear
        self.aside(lambda: compare_known(blocks, numbers, may_send=may_send, hear=hear))

    def _check_unchanged(self) -> None:
        """Look at the file once more. Not in this thread, which hears signals: a drive may hang."""
        look, reads = self.request.source.check_unchanged, self.context.reads
        self.aside(lambda: reads.call("read_file", look))

    def _tick_and_tune_reading(self) -> None:
        self.tick_in_time()
        self.context.tune_reading()
