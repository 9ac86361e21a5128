"""The steps of one run, and how it ends.

Open the upload, send and prove the asked blocks, check the rest, complete, name the ending.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from glacier_mpu.errors import FileTooShort, InternalError, UploadError
from glacier_mpu.source.disk import is_rotating
from glacier_mpu.source.ledger import Ledger, LedgerWriter
from glacier_mpu.stop import Stopped
from glacier_mpu.transfer.block import BlockDone, BlockTask
from glacier_mpu.transfer.closing import (
    check_the_rest,
    list_if_answered,
    list_would_be_answered,
    refuse_if_replaced,
)
from glacier_mpu.transfer.context import Context
from glacier_mpu.transfer.ending import Reached, ending, ending_by_stop
from glacier_mpu.transfer.events import (
    AbortFailed,
    Completing,
    DescriptionKept,
    LedgerUnusable,
    MissingBlocks,
    TryingAgain,
    UploadOpened,
)
from glacier_mpu.transfer.known import compare_known
from glacier_mpu.transfer.request import Outcome, Request, Status
from glacier_mpu.transfer.resume import Opened, open_upload
from glacier_mpu.transfer.send import Blocks, Sender
from glacier_mpu.transfer.workers import Workers, run_aside
from glacier_mpu.vault.answers import Archive, Listing
from glacier_mpu.vault.completion import Completion
from glacier_mpu.vault.errors import ArchiveMismatch, UploadNotFound

T = TypeVar("T")

# Source: https://docs.aws.amazon.com/amazonglacier/latest/dev/api-multipart-initiate-upload.html
_KEPT_WITHOUT_ACTIVITY = timedelta(hours=24)
# How long the answer to a completion is waited for once the run is to stop, in ticks.
_TICKS_FOR_THE_ANSWER = 7
# A network drive takes longer only when it is in trouble.
_SECONDS_FOR_THE_LEDGER = 1.0


class Run:
    """One run. `blocks` is there once the upload is open, `completion` once that is tried."""

    def __init__(
        self, request: Request, context: Context, workers: Workers[BlockTask, BlockDone]
    ) -> None:
        self.request = request
        self.context = context
        self.vault = context.vault
        self.watcher = context.meter.watcher
        self.workers = workers
        self.aside = ThreadPoolExecutor(1)
        self.ledger = Ledger(
            request.ledger,
            request.source,
            recheck=request.recheck,
            on_trouble=lambda why: self.watcher.hear(LedgerUnusable(request.ledger or "", why)),
        )
        self.writer = LedgerWriter(self.ledger)
        self.description = request.description
        self.blocks: Blocks | None = None
        self.completion: Completion | None = None

    @property
    def upload_id(self) -> str:
        return self.blocks.upload_id if self.blocks else ""

    def carry_out(self) -> Outcome:
        try:
            return self._steps()
        except Stopped:
            return self._ended_by_stop()
        except UploadError as error:
            return self._ended(*ending(error, self._reached()))
        except Exception as bug:  # noqa: BLE001 - the user needs the upload's id all the same
            return self._ended(*ending(InternalError.of(bug), self._reached()))
        finally:
            self.writer.close(seconds=_SECONDS_FOR_THE_LEDGER)
            self.aside.shutdown(wait=False, cancel_futures=True)

    def _steps(self) -> Outcome:
        request, reads, hear = self.request, self.context.reads, self.watcher.hear
        ledger, vault = self.ledger, self.vault
        self.context.keep_time()
        self.context.deadline.check()
        opened = run_aside(
            self.aside,
            lambda: open_upload(request, vault, ledger=ledger, reads=reads, hear=hear),
            tick=self._tick_in_time,
        )
        blocks = self._into(opened)
        path = request.source.path
        self.context.readers.rotating = self._aside(lambda: is_rotating(path))
        sender = Sender(blocks, workers=self.workers, context=self.context)
        asked = blocks.plan.selection(request.first, request.last)
        if not opened.is_new:
            self._tell_what_is_missing(blocks, asked)
            self._compare_known(blocks, asked, may_send=True)
        sender.run(asked, may_send=True, tick=self._tick_and_tune)
        self._try_again(blocks, sender)
        blocks.raise_failure()
        if request.finish:
            check_the_rest(
                blocks,
                sender,
                list_parts=self._list_parts,
                compare_known=lambda rest: self._compare_known(blocks, rest, may_send=False),
                tick=self._tick_and_tune_reading,
            )
        self._check_unchanged()
        if not request.finish:
            list_if_answered(blocks, self._list_parts)
            refuse_if_replaced(blocks, asked)
            return self._outcome(Status.STORED)
        archive = self._complete(blocks)
        self.writer.forget()
        return self._outcome(Status.COMPLETED, archive=archive)

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
        self._aside(lambda: compare_known(blocks, numbers, may_send=may_send, hear=hear))

    def _try_again(self, blocks: Blocks, sender: Sender) -> None:
        """Try blocks once more that failed while others got through: what it was may be over."""
        again = blocks.failed_in_passing()
        if again and not self.context.deadline.is_over:
            self.watcher.hear(TryingAgain(again))
            sender.run(again, may_send=True, tick=self._tick_and_tune)

    def _check_unchanged(self) -> None:
        """Look at the file once more. Not in this thread, which hears signals: a drive may hang."""
        look, reads = self.request.source.check_unchanged, self.context.reads
        self._aside(lambda: reads.call("read_file", look))

    def _list_parts(self) -> Listing:
        return self._aside(lambda: self.vault.list_parts(self.upload_id))

    def _complete(self, blocks: Blocks) -> Archive:
        tree_hash = blocks.tree_hash()
        self.watcher.hear(Completing())

        def complete() -> Archive:
            self.context.stop.check()
            self.completion = tries = Completion()
            return self.vault.complete(
                blocks.upload_id, size=blocks.plan.size, tree_hash=tree_hash, tries=tries
            )

        return run_aside(self.aside, complete, tick=self._tick_with_patience())

    def _tick_with_patience(self) -> Callable[[], None]:
        """Return a tick that lets an answer that is a moment away arrive before it stops."""
        left = iter(range(_TICKS_FOR_THE_ANSWER))

        def tick() -> None:
            stopping = self.completion is not None and self.context.stop.asked
            if not stopping or next(left, None) is None:
                self._tick()

        return tick

    def _reached(self) -> Reached:
        return Reached(
            opened=self.blocks is not None,
            resumes=self.request.resumes,
            may_be_stored=self.completion is not None and self.completion.may_be_stored,
        )

    def _ended_by_stop(self) -> Outcome:
        """Return the outcome of a stop: it was asked for, or the stop time has come."""
        outcome, deadline = self._ended(*ending_by_stop(self._reached())), self.context.deadline
        return replace(outcome, stop_time=deadline.stop_time) if deadline.is_over else outcome

    def _ended(self, status: Status, error: UploadError | None) -> Outcome:
        """Return the outcome, after aborting the upload if that is what was asked for."""
        if status is Status.OPEN and error is not None and self._aborts(error):
            status = self._abort()
        if status is Status.OPEN and self.blocks and list_would_be_answered(self.blocks, error):
            status, error = self._with_others_blocks(self.blocks, status, error)
        archive = None
        if isinstance(error, ArchiveMismatch):
            archive = Archive(error.archive_id, error.location, error.tree_hash, error.size)
        return self._outcome(status, error=error, archive=archive)

    def _with_others_blocks(
        self, blocks: Blocks, status: Status, error: UploadError | None
    ) -> tuple[Status, UploadError | None]:
        """Look what others have stored. Return the same ending, unless the upload is gone."""
        try:
            list_if_answered(blocks, self._list_parts)
        except UploadNotFound as gone:
            return ending(gone, self._reached())
        except FileTooShort:
            pass  # why blocks failed says more
        return status, error

    def _aborts(self, error: UploadError) -> bool:
        """Tell whether the upload is to be aborted: for a failed block, and nothing else."""
        failed = self.blocks.failed.values() if self.blocks else ()
        block_failed = any(error is failure for failure in failed)
        return self.request.abort and block_failed and not error.keeps_upload

    def _abort(self) -> Status:
        try:
            self._aside(lambda: self.vault.abort(self.upload_id))
        except Stopped:
            return Status.OPEN
        except UploadError as refused:
            self.watcher.hear(AbortFailed(refused))
            return Status.OPEN
        return Status.ABORTED

    def _outcome(
        self, status: Status, *, archive: Archive | None = None, error: UploadError | None = None
    ) -> Outcome:
        blocks = self.blocks
        is_open = status in (Status.OPEN, Status.STORED)
        last_activity = blocks.last_activity if blocks and is_open else None
        return Outcome(
            status=status,
            upload_id=self.upload_id or self.request.upload_id or "",
            plan=blocks.plan if blocks else None,
            archive=archive,
            tree_hash=blocks.tree_hash() if blocks else "",
            description=self.description,
            failed=sorted(blocks.failed) if blocks else (),
            missing=blocks.unsent() if blocks else (),
            unproven=blocks.unproven() if blocks else (),
            error=error,
            may_have_begun=blocks is None and self.vault.initiation.may_have_begun,
            bytes_skipped=blocks.bytes_skipped if blocks else 0,
            expires=last_activity + _KEPT_WITHOUT_ACTIVITY if last_activity else None,
        )

    def _aside(self, work: Callable[[], T]) -> T:
        return run_aside(self.aside, work, tick=self._tick)

    def _tick_and_tune(self) -> None:
        self._tick_in_time()
        self.context.tune()

    def _tick_and_tune_reading(self) -> None:
        self._tick_in_time()
        self.context.tune_reading()

    def _tick_in_time(self) -> None:
        self._tick()
        self.context.keep_time()

    def _tick(self) -> None:
        self.context.stop.check()
        self.context.look()
        self.watcher.tick()
