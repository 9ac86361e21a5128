"""One upload, from its beginning or from where it was left to its end.

Prints nothing and knows no flags and no signals: a Request says what is wanted, a Watcher hears
what happens, an Outcome says how it ended. A serial run has one slot, and ends with the first
failed block.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from glacier_mpu.errors import (
    ArchiveDiffers,
    BadInput,
    CompletionUnknown,
    Incomplete,
    PassingTrouble,
    Stopped,
    Unforeseen,
    UploadError,
    UploadGone,
    VaultMissing,
)
from glacier_mpu.source.blocks import Plan, as_ranges
from glacier_mpu.source.file import check_unchanged
from glacier_mpu.transfer.opening import Opened, open_upload
from glacier_mpu.transfer.pacing import Tuner
from glacier_mpu.transfer.request import Meter, Outcome, Request, Status, Watcher
from glacier_mpu.transfer.resume import stored_blocks
from glacier_mpu.transfer.send import Tools, Transfer
from glacier_mpu.transfer.workers import Slots, run_alone
from glacier_mpu.vault.archive import Archive
from glacier_mpu.vault.calls import Vault

T = TypeVar("T")

# How long the answer to a completion is waited for once the run is to stop, in ticks of the driver.
_TICKS_OF_PATIENCE = 7


def upload(
    request: Request,
    *,
    vault: Vault,
    watcher: Watcher,
    stop: threading.Event,
    tuner: Tuner | None = None,
    let_by: Callable[[int], int] = lambda size: size,
    executor: Callable[[int], Executor] = ThreadPoolExecutor,
    readers: int = os.cpu_count() or 1,
) -> Outcome:
    """Carry the request out and say how it ended, in trouble too. Leaves once `stop` is set.

    A `tuner` chooses the number of slots, up to the request's; `let_by` limits the bandwidth.
    `executor` is called with a number of workers; `readers` of them compare stored blocks with the
    file.
    """
    slots = Slots(tuner.slots if tuner else request.slots)
    workers = executor(max(readers, request.slots + 1))
    sent = Meter()
    left = threading.Event()

    def on_move(size: int) -> None:
        sent.add(max(0, size))
        watcher.moved(size)

    def ends_run(error: UploadError) -> bool:
        return error.every_block_alike or not request.keep_going

    def tune() -> None:
        if tuner is not None:
            slots.resize(tuner.tick(busy=slots.busy, moved=sent.size))

    tools = Tools(
        vault,
        slots,
        stopped=lambda: stop.is_set() or left.is_set(),
        on_move=on_move,
        let_by=let_by,
        ends_run=ends_run,
        pause=stop.wait,
    )
    try:
        outcome = _Run(request, tools, watcher, workers, readers, tune).to_its_end()
        return replace(outcome, bytes_sent=sent.size)
    finally:
        left.set()
        slots.close()
        workers.shutdown(wait=False, cancel_futures=True)


class _Run:
    """One run. `transfer` is there once the upload is open, `completing` once that was sent."""

    def __init__(
        self,
        request: Request,
        tools: Tools,
        watcher: Watcher,
        workers: Executor,
        readers: int,
        tune: Callable[[], None],
    ) -> None:
        self.request = request
        self.tools = tools
        self.vault = tools.vault
        self.watcher = watcher
        self.workers = workers
        self.readers = readers
        self.tune = tune
        self.plan: Plan | None = None
        self.upload_id = ""
        self.description = request.description
        self.transfer: Transfer | None = None
        self.completing = False

    def to_its_end(self) -> Outcome:
        try:
            return self._carry_out()
        except Stopped:
            return self._interrupted()
        except UploadError as error:
            return self._ended_by(error)
        except Exception as bug:  # noqa: BLE001 - whoever reads this needs the upload's id, too
            return self._ended_by(Unforeseen.of(bug))

    def _carry_out(self) -> Outcome:
        opened = open_upload(
            self.request,
            tools=self.tools,
            workers=self.workers,
            tick=self._tick,
            note=self.watcher.note,
        )
        plan, transfer = opened.plan, self._into(opened)
        asked = plan.selection(self.request.first, self.request.last)
        if not opened.is_new:
            self._tell_what_is_there(transfer, asked)
        transfer.compare(asked, readers=self.readers)
        transfer.send(asked, tick=self._tick_and_tune)
        transfer.raise_failure()
        if self.request.finish:
            self._check_the_rest(plan, transfer)
        check_unchanged(self.request.source)
        if not self.request.finish:
            return self._outcome(Status.STORED)
        return self._outcome(Status.COMPLETED, archive=self._complete(plan, transfer))

    def _into(self, opened: Opened) -> Transfer:
        """Make the transfer into this upload, and tell its id before the first byte is sent."""
        self.upload_id, self.plan = opened.upload_id, opened.plan
        self.description = opened.description
        self.transfer = Transfer(
            self.request.source,
            opened.plan,
            opened.upload_id,
            tools=self.tools,
            watcher=self.watcher,
            workers=self.workers,
            tick=self._tick,
        )
        self.transfer.stored |= opened.stored
        self.watcher.opened(opened.upload_id, opened.plan)
        return self.transfer

    def _tell_what_is_there(self, transfer: Transfer, asked: Sequence[int]) -> None:
        if self.description != self.request.description.strip():
            self.watcher.note(
                f"the archive keeps the open upload's description: {self.description!r}"
            )
        missing = transfer.missing(asked)
        if missing:
            self.watcher.note(f"not stored yet, to be sent: {_named(missing)}")

    def _check_the_rest(self, plan: Plan, transfer: Transfer) -> None:
        """Make sure that blocks outside the asked range, too, are stored as the file has them.

        Raises Incomplete. The list is asked for anew: the others may be some other run's work.
        """
        rest = transfer.unproven()
        if not rest:
            return
        listing = self._wait_for(lambda: self.vault.list_parts(self.upload_id))
        transfer.stored |= stored_blocks(listing, plan)
        transfer.compare(rest, readers=self.readers)
        transfer.raise_failure()
        lacks = {
            "not stored": transfer.missing(rest),
            "stored, but not as the file has them": transfer.differing & set(rest),
        }
        reasons = [f"{what}: {_named(numbers)}" for what, numbers in lacks.items() if numbers]
        if reasons:
            raise Incomplete(f"nothing was completed; {'; '.join(reasons)}")

    def _complete(self, plan: Plan, transfer: Transfer) -> Archive:
        tree_hash = transfer.tree_hash()

        def complete() -> Archive:
            if self.tools.stopped():
                raise Stopped
            self.completing = True
            return self.vault.complete(self.upload_id, size=plan.size, tree_hash=tree_hash)

        return run_alone(self.workers, complete, tick=self._tick_with_patience())

    def _tick_with_patience(self) -> Callable[[], None]:
        """Return a tick that lets an answer that is a moment away arrive before it stops."""
        left = iter(range(_TICKS_OF_PATIENCE))

        def tick() -> None:
            if not (self.completing and self.tools.stopped() and next(left, None) is not None):
                self._tick()

        return tick

    def _ended_by(self, error: UploadError) -> Outcome:
        if isinstance(error, UploadGone) and self.upload_id:
            error = CompletionUnknown(
                f"{error.message}; the upload was open when this run began and is gone now: "
                "another run completed it, or it was aborted or expired",
                sent=False,
            )
        if self.completing and isinstance(error, Unforeseen):
            return self._outcome(Status.UNKNOWN, error=error)
        if isinstance(error, CompletionUnknown):
            return self._outcome(Status.UNKNOWN, error=error)
        if isinstance(error, ArchiveDiffers):
            return self._outcome(Status.FAILED, error=error, archive=error.archive)
        if not self._is_open(error):
            return self._outcome(Status.FAILED, error=error)
        block_failed = self.transfer is not None and error in self.transfer.failed.values()
        if self.request.abort and block_failed and not error.keeps_upload:
            return self._aborted(error)
        return self._outcome(Status.OPEN, error=error)

    def _is_open(self, error: UploadError) -> bool:
        """Tell whether there is, after this error, an upload to go on with."""
        if isinstance(error, UploadGone | VaultMissing | BadInput):
            return False
        passing = error.keeps_upload or isinstance(error, PassingTrouble)
        return bool(self.upload_id) or (self._goes_on() and passing)

    def _goes_on(self) -> bool:
        """Tell whether the request is to go on with what an earlier run began."""
        return self.request.upload_id is not None or self.request.resume

    def _aborted(self, error: UploadError) -> Outcome:
        try:
            self._wait_for(lambda: self.vault.abort(self.upload_id))
        except Stopped:
            return self._outcome(Status.OPEN, error=error)
        except UploadError as refused:
            self.watcher.note(f"the upload could not be aborted, and stays open: {refused}")
            return self._outcome(Status.OPEN, error=error)
        return self._outcome(Status.ABORTED, error=error)

    def _interrupted(self) -> Outcome:
        if self.completing:
            unknown = CompletionUnknown(
                "the answer to the completion was not waited for", sent=True
            )
            return self._outcome(Status.UNKNOWN, error=unknown)
        return self._outcome(Status.OPEN if self.upload_id or self._goes_on() else Status.FAILED)

    def _outcome(
        self, status: Status, *, archive: Archive | None = None, error: UploadError | None = None
    ) -> Outcome:
        transfer = self.transfer
        return Outcome(
            status=status,
            upload_id=self.upload_id or self.request.upload_id or "",
            plan=self.plan,
            archive=archive,
            tree_hash=transfer.tree_hash() if transfer else "",
            description=self.description,
            failed=sorted(transfer.failed) if transfer else (),
            wanted=transfer.wanted() if transfer else (),
            error=error,
            bytes_skipped=transfer.bytes_skipped if transfer else 0,
        )

    def _wait_for(self, work: Callable[[], T]) -> T:
        return run_alone(self.workers, work, tick=self._tick)

    def _tick_and_tune(self) -> None:
        self._tick()
        self.tune()

    def _tick(self) -> None:
        if self.tools.stopped():
            raise Stopped
        self.watcher.tick()


def _named(numbers: Collection[int]) -> str:
    return f"block{'s' if len(numbers) > 1 else ''} {as_ranges(numbers)}"
