"""Names how a run ended: from the error that ended it to a Status. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from glacier_mpu.errors import BadInput, InternalError, UploadError
from glacier_mpu.transfer.request import Status
from glacier_mpu.vault.errors import (
    ArchiveMismatch,
    CompletionUnknown,
    TransientError,
    UploadNotFound,
    VaultNotFound,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far a run had come when it ended.

    opened         the upload was open in this run
    resumes        the request is to resume what an earlier run began
    may_be_stored  completion may be carried out: what may be an archive is called neither failed
                   nor open
    """

    opened: bool
    resumes: bool
    may_be_stored: bool


def ending(error: UploadError, reached: Reached) -> tuple[Status, UploadError]:
    """Return how a run that ended in `error` ended, and the error that says so."""
    if isinstance(error, UploadNotFound) and reached.opened:
        error = CompletionUnknown(
            f"{error.message}; the upload was open when this run began, and is gone now: "
            "another run completed it, or it was aborted or expired",
            sent=False,
        )
    internal = isinstance(error, InternalError)
    if isinstance(error, CompletionUnknown) or (reached.may_be_stored and internal):
        return Status.UNKNOWN, error
    if isinstance(error, ArchiveMismatch | UploadNotFound | VaultNotFound):
        return Status.FAILED, error
    if isinstance(error, BadInput) and not reached.opened:
        return Status.FAILED, error
    may_pass = error.keeps_upload or isinstance(error, TransientError)
    is_open = reached.opened or (reached.resumes and may_pass)
    return (Status.OPEN if is_open else Status.FAILED), error


def ending_by_stop(
    reached: Reached, *, at_its_time: bool = False
) -> tuple[Status, UploadError | None]:
    """Return how a run ended that was asked to stop, and the error that says so, if any.

    A run that ends `at_its_time` has not failed, though nothing may have been begun by then.
    """
    if reached.may_be_stored:
        message = "the run ended before the answer to the completion came"
        return Status.UNKNOWN, CompletionUnknown(message, sent=False, gone=False)
    is_open = reached.opened or reached.resumes or at_its_time
    return (Status.OPEN if is_open else Status.FAILED), None
