"""One upload from its beginning, or from where it was left, to its end.

Prints nothing and knows no flags and no signals: a Request says what is wanted, a Watcher hears
what happens, an Outcome says how it ended. The steps: open the upload, send and prove the asked
blocks, check the rest, complete, name the ending.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

from glacier_mpu.errors import (
    BlocksMissing,
    InternalError,
    UploadError,
)
from glacier_mpu.source.blocks import as_ranges
from glacier_mpu.stop import Stop, Stopped, Waits
from glacier_mpu.transfer.context import Context, opened_context
from glacier_mpu.transfer.ending import Reached, ending, ending_by_stop
from glacier_mpu.transfer.events import (
    AbortFailed,
    Connected,
    DescriptionKept,
    MissingBlocks,
    UploadOpened,
    Watcher,
)
from glacier_mpu.transfer.request import Outcome, Request, Status
from glacier_mpu.transfer.resume import Opened, open_upload, stored_blocks
from glacier_mpu.transfer.send import BlockDone, Blocks, BlockTask, Sender, line_up, upload_block
from glacier_mpu.transfer.workers import Threads, Workers, run_aside
from glacier_mpu.vault.answers import Archive
from glacier_mpu.vault.client import Address
from glacier_mpu.vault.errors import (
    ArchiveMismatch,
)

T = TypeVar("T")
BlockWorkers = Workers[BlockTask, BlockDone]

# How long the answer to a completion is waited for once the run is to stop, in ticks.
_TICKS_FOR_THE_ANSWER = 7


def upload(
    request: Request,
    address: Address,
    *,
    watcher: Watcher,
    stop: Stop,
    workers: Callable[[Context], BlockWorkers] | None = None,
    waits: Waits = Waits(),
) -> Outcome:
    """Carry the request out and say how it ended, in trouble too. Leaves once `stop` is asked.

    `workers` makes what does the blocks; None is threads of this process. Raises BadInput if no
    client can be made from the address, or not so many blocks can be sent at once.
    """
    with opened_context(request, address, watcher=watcher, stop=stop, waits=waits) as context:
        watcher.hear(Connected(context.vault.endpoint_url))
        if context.vault.unknown_region is not None:
            watcher.hear(context.vault.unknown_region)
        with closing((workers or _threads)(context)) as doing:
            outcome = _Run(request, context, doing).carry_out()
        return replace(
            outcome,
            region=context.vault.region,
            bytes_sent=context.meter.bytes_sent,
            retries=context.meter.retries,
        )


def _threads(context: Context) -> BlockWorkers:
    return Threads(
        lambda task: upload_block(task, context),
        line_up=lambda task: line_up(task, context),
        slots=context.slots,
        reading=context.reading,
        most_slots=context.most_slots,
    )


class _Run:
    """One run. `blocks` is there once the upload is open; `completing` once that was sent."""

    def __init__(self, request: Request, context: Context, workers: BlockWorkers) -> None:
        self.request = request
        self.context = context
        self.vault = context.vault
        self.watcher = context.meter.watcher
        self.workers = workers
        self.aside = ThreadPoolExecutor(1)
        self.description = request.description
        self.blocks: Blocks | None = None
        self.completing = False

    @property
    def upload_id(self) -> str:
        return self.blocks.upload_id if self.blocks else ""

    def carry_out(self) -> Outcome:
        try:
            return self._steps()
        except Stopped:
            return self._ended(*ending_by_stop(self._reached()))
        except UploadError as error:
            return self._ended(*ending(error, self._reached()))
        except Exception as bug:  # noqa: BLE001 - the user needs the upload's id all the same
            return self._ended(*ending(InternalError.of(bug), self._reached()))
        finally:
            self.aside.shutdown(wait=False, cancel_futures=True)

    def _steps(self) -> Outcome:
        request, stop, hear = self.request, self.context.stop, self.watcher.hear
        opened = self._aside(lambda: open_upload(request, self.vault, stop=stop, hear=hear))
        blocks = self._into(opened)
        sender = Sender(blocks, workers=self.workers, context=self.context)
        asked = blocks.plan.selection(request.first, request.last)
        if not opened.is_new:
            self._tell_what_is_missing(blocks, asked)
        sender.run(asked, may_send=True, tick=self._tick_and_tune)
        blocks.raise_failure()
        if request.finish:
            self._check_the_rest(blocks, sender)
        request.source.check_unchanged()
        if not request.finish:
            return self._outcome(Status.STORED)
        return self._outcome(Status.COMPLETED, archive=self._complete(blocks))

    def _into(self, opened: Opened) -> Blocks:
        """Take the upload as this run's, and tell its id before the first byte is sent."""
        self.description = opened.description
        self.blocks = Blocks(
            source=self.request.source,
            plan=opened.plan,
            upload_id=opened.upload_id,
            stored=opened.stored,
            known=opened.known,
        )
        self.watcher.hear(UploadOpened(opened.upload_id, opened.plan))
        return self.blocks

    def _tell_what_is_missing(self, blocks: Blocks, asked: range) -> None:
        if self.description != self.request.description.strip():
            self.watcher.hear(DescriptionKept(self.description))
        missing = blocks.missing(asked)
        if missing:
            self.watcher.hear(MissingBlocks(missing))

    def _check_the_rest(self, blocks: Blocks, sender: Sender) -> None:
        """Make sure that blocks outside the asked range, too, are stored as the file has them.

        Raises BlocksMissing. The list is asked for anew: another run may have stored them.
        """
        rest = blocks.unproven()
        if not rest:
            return
        listing = self._aside(lambda: self.vault.list_parts(blocks.upload_id))
        blocks.stored = {**blocks.stored, **stored_blocks(listing, blocks.plan)}
        sender.run(rest, may_send=False, tick=self._tick)
        blocks.raise_failure()
        lacks = {
            "not stored": blocks.missing(rest),
            "stored, but not as the file has them": blocks.differing & set(rest),
        }
        reasons = [f"{what}: {_named(numbers)}" for what, numbers in lacks.items() if numbers]
        if reasons:
            raise BlocksMissing(f"the upload was not completed; {'; '.join(reasons)}")

    def _complete(self, blocks: Blocks) -> Archive:
        tree_hash = blocks.tree_hash()

        def complete() -> Archive:
            self.context.stop.check()
            self.completing = True
            return self.vault.complete(blocks.upload_id, size=blocks.plan.size, tree_hash=tree_hash)

        return run_aside(self.aside, complete, tick=self._tick_with_patience())

    def _tick_with_patience(self) -> Callable[[], None]:
        """Return a tick that lets an answer that is a moment away arrive before it stops."""
        left = iter(range(_TICKS_FOR_THE_ANSWER))

        def tick() -> None:
            waits = self.completing and self.context.stop.asked and next(left, None) is not None
            if not waits:
                self._tick()

        return tick

    def _reached(self) -> Reached:
        return Reached(
            opened=self.blocks is not None,
            resumes=self.request.resumes,
            completing=self.completing,
        )

    def _ended(self, status: Status, error: UploadError | None) -> Outcome:
        """Return the outcome, after aborting the upload if that is what was asked for."""
        if status is Status.OPEN and error is not None and self._aborts(error):
            status = self._abort()
        archive = None
        if isinstance(error, ArchiveMismatch):
            archive = Archive(error.archive_id, error.location, error.tree_hash, error.size)
        return self._outcome(status, error=error, archive=archive)

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
            bytes_skipped=blocks.bytes_skipped if blocks else 0,
        )

    def _aside(self, work: Callable[[], T]) -> T:
        return run_aside(self.aside, work, tick=self._tick)

    def _tick_and_tune(self) -> None:
        self._tick()
        self.context.tune()

    def _tick(self) -> None:
        self.context.stop.check()
        self.watcher.tick()


def _named(numbers: Collection[int]) -> str:
    return f"block{'s' if len(numbers) > 1 else ''} {as_ranges(numbers)}"
