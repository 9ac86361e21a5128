"""What every run has and does, whatever its source: its threads, its completion, its ending."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from glacier_mpu.errors import FileTooShort, InternalError, UploadError
from glacier_mpu.source.blocks import Plan
from glacier_mpu.stop import Stopped
from glacier_mpu.transfer.closing import (
    list_if_answered,
    list_would_be_answered,
)
from glacier_mpu.transfer.context import Context
from glacier_mpu.transfer.ending import Reached, ending, ending_by_stop
from glacier_mpu.transfer.events import (
    AbortFailed,
    Completing,
    TryingAgain,
)
from glacier_mpu.transfer.request import Outcome, Request, Status
from glacier_mpu.transfer.send import Blocks, Sender
from glacier_mpu.transfer.workers import run_aside
from glacier_mpu.vault.answers import Archive, Listing
from glacier_mpu.vault.completion import Completion
from glacier_mpu.vault.errors import ArchiveMismatch, UploadNotFound

T = TypeVar("T")

# Source: https://docs.aws.amazon.com/amazonglacier/latest/dev/api-multipart-initiate-upload.html
KEPT_WITHOUT_ACTIVITY = timedelta(hours=24)
# How long the answer to a completion is waited for once the run is to stop, in ticks.
_TICKS_FOR_THE_ANSWER = 7
# A network drive takes longer only when it is in trouble.
_SECONDS_FOR_THE_LEDGER = 1.0


class Run(ABC):
    """One run. `blocks` is there once the upload is open, `completion` once that is tried."""

    def __init__(self, request: Request, context: Context) -> None:
        self.request = request
        self.context = context
        self.vault = context.vault
        self.watcher = context.meter.watcher
        self.executor = ThreadPoolExecutor(1)
        self.description = request.description
        self.blocks: Blocks | None = None
        self.completion: Completion | None = None

    @abstractmethod
    def steps(self) -> Outcome:
        """Upload the source. Raises the UploadError that ends the run, and Stopped."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the run holds, however it ended."""

    @property
    def plan(self) -> Plan | None:
        """What the source is cut into, as far as that is known."""
        return self.blocks.plan if self.blocks else None

    @property
    def upload_id(self) -> str:
        """The upload's id; empty until it is open."""
        return self.blocks.upload_id if self.blocks else ""

    def carry_out(self) -> Outcome:
        """Upload the source, and return how that ended."""
        try:
            return self.steps()
        except Stopped:
            return self._ended_by_stop()
        except UploadError as error:
            return self._ended(*ending(error, self._reached()))
        except Exception as bug:  # noqa: BLE001 - the user needs the upload's id all the same
            return self._ended(*ending(InternalError.of(bug), self._reached()))
        finally:
            self.close()
            self.executor.shutdown(wait=False, cancel_futures=True)

    def try_again(self, blocks: Blocks, sender: Sender) -> None:
        """Try blocks once more that failed while others got through: what it was may be over."""
        again = blocks.failed_in_passing()
        if again and not self.context.deadline.is_over:
            self.watcher.hear(TryingAgain(again))
            sender.run(again, may_send=True, tick=self.tick_and_tune)

    def list_parts(self) -> Listing:
        return self.aside(lambda: self.vault.list_parts(self.upload_id))

    def complete(self, blocks: Blocks) -> Archive:
        tree_hash = blocks.tree_hash()
        self.watcher.hear(Completing())

        def complete() -> Archive:
            self.context.stop.check()
            self.completion = tries = Completion()
            return self.vault.complete(
                blocks.upload_id, size=blocks.plan.size, tree_hash=tree_hash, tries=tries
            )

        return run_aside(self.executor, complete, tick=self._tick_with_patience())

    def _tick_with_patience(self) -> Callable[[], None]:
        """Return a tick that lets an answer that is a moment away arrive before it stops."""
        left = iter(range(_TICKS_FOR_THE_ANSWER))

        def tick() -> None:
            stopping = self.completion is not None and self.context.stop.asked
            if not stopping or next(left, None) is None:
                self.tick()

        return tick

    def _reached(self) -> Reached:
        return Reached(
            opened=self.blocks is not None,
            resumes=self.request.resumes,
            may_be_stored=self.completion is not None and self.completion.may_be_stored,
        )

    def _ended_by_stop(self) -> Outcome:
        """Return the outcome of a stop: it was asked for, or the stop time has come."""
        deadline = self.context.deadline
        status, error = ending_by_stop(self._reached(), at_its_time=deadline.is_over)
        outcome = self._ended(status, error)
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
        return self.outcome(status, error=error, archive=archive)

    def _with_others_blocks(
        self, blocks: Blocks, status: Status, error: UploadError | None
    ) -> tuple[Status, UploadError | None]:
        """Look what others have stored. Return the same ending, unless the upload is gone."""
        try:
            list_if_answered(blocks, self.list_parts)
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
            self.aside(lambda: self.vault.abort(self.upload_id))
        except Stopped:
            return Status.OPEN
        except UploadError as refused:
            self.watcher.hear(AbortFailed(refused))
            return Status.OPEN
        return Status.ABORTED

    def outcome(
        self, status: Status, *, archive: Archive | None = None, error: UploadError | None = None
    ) -> Outcome:
        blocks, plan = self.blocks, self.plan
        is_open = status in (Status.OPEN, Status.STORED)
        last_activity = blocks.last_activity if blocks and is_open else None
        return Outcome(
            status=status,
            upload_id=self.upload_id or self.request.upload_id or "",
            plan=plan,
            archive=archive,
            tree_hash=blocks.tree_hash() if blocks and plan else "",
            description=self.description,
            failed=sorted(blocks.failed) if blocks else (),
            missing=blocks.unsent() if blocks and plan else (),
            unproven=blocks.unproven() if blocks and plan else (),
            error=error,
            may_have_begun=blocks is None and self.vault.initiation.may_have_begun,
            bytes_skipped=blocks.bytes_skipped if blocks else 0,
            expires=last_activity + KEPT_WITHOUT_ACTIVITY if last_activity else None,
        )

    def aside(self, work: Callable[[], T]) -> T:
        return run_aside(self.executor, work, tick=self.tick)

    def tick_and_tune(self) -> None:
        self.tick_in_time()
        self.context.tune()

    def tick_in_time(self) -> None:
        self.tick()
        self.context.keep_time()

    def tick(self) -> None:
        self.context.stop.check()
        self.context.look()
        self.watcher.tick()
