"""What a run gives at its end: the result for scripts, the receipt, the exit code. Pure."""

from __future__ import annotations

from datetime import datetime, timezone
from enum import IntEnum

from glacier_mpu.cli.aws_cli import AwsCli
from glacier_mpu.cli.next_command import next_command
from glacier_mpu.cli.next_step import error_lines
from glacier_mpu.cli.options import Options
from glacier_mpu.errors import BadInput, StreamTooLong, UploadError
from glacier_mpu.source.blocks import as_ranges
from glacier_mpu.source.file import as_moment
from glacier_mpu.transfer.request import FileRequest, Outcome, Status, StreamRequest
from glacier_mpu.vault.errors import VaultError


class ExitCode(IntEnum):
    """Exit status of both scripts, named by what the caller can do next.

    A run that a signal interrupts exits with 128 + the signal's number instead.
    """

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    OPEN = 3
    UNKNOWN = 4


_EXIT_CODES = {
    Status.COMPLETED: ExitCode.DONE,
    Status.STORED: ExitCode.DONE,
    Status.OPEN: ExitCode.OPEN,
    Status.ABORTED: ExitCode.FAILED,
    Status.FAILED: ExitCode.FAILED,
    Status.UNKNOWN: ExitCode.UNKNOWN,
}


def exit_code(outcome: Outcome, *, signal: int = 0) -> int:
    """Return the process's exit code; `signal` is the one that interrupted the run, or 0."""
    code = _EXIT_CODES[outcome.status]
    if signal and code not in (ExitCode.DONE, ExitCode.UNKNOWN):
        return 128 + signal
    if code is ExitCode.FAILED and isinstance(outcome.error, BadInput):
        return ExitCode.BAD_INPUT
    return code


def went_as_asked(outcome: Outcome, code: int) -> bool:
    """Tell whether there is nothing to say: it is done, or its stop time ended what can go on."""
    return code == ExitCode.DONE or (code == ExitCode.OPEN and outcome.stop_time is not None)


def result_lines(outcome: Outcome) -> list[str]:
    """Return what goes to stdout: the archive, or the open upload and its missing blocks."""
    if outcome.status is Status.COMPLETED and outcome.archive is not None:
        return [
            f"archive-id: {outcome.archive.archive_id}",
            f"location: {outcome.archive.location}",
            f"tree-hash: {outcome.archive.tree_hash}",
            f"size: {outcome.archive.size}",
        ]
    lines = []
    if outcome.status in (Status.OPEN, Status.STORED) and outcome.upload_id:
        lines.append(f"upload-id: {outcome.upload_id}")
        if outcome.plan is not None:  # else the vault was not heard, and any block may be missing
            lines.append(f"blocks-missing: {as_ranges(outcome.missing) or 'none'}")
    return lines


def as_record(outcome: Outcome, options: Options | None, *, seconds: float) -> dict[str, object]:
    """Return what `--output json` prints: the same members in every ending, null where unknown.

    `options` is None where the command line made no sense.
    """
    archive, plan, error = outcome.archive, outcome.plan, outcome.error
    is_open = outcome.status in (Status.OPEN, Status.STORED)
    can_resume = (is_open or outcome.may_have_begun) and not isinstance(error, StreamTooLong)
    aws = AwsCli.of(options, region=outcome.region, upload_id=outcome.upload_id)
    return {
        "status": outcome.status.value,
        "vault": options.vault if options else None,
        "description": outcome.description if options else None,
        "sourcePath": options.full_source_path if options else None,
        "sourceCommand": options.shown_command if options else None,
        "archiveId": archive.archive_id if archive else None,
        "location": archive.location if archive else None,
        "treeHash": outcome.tree_hash or None,
        "size": plan.size if plan else None,
        "uploadId": outcome.upload_id or None,
        "blockSize": plan.block_size if plan else None,
        "blocks": plan.count if plan else None,
        "failedBlocks": list(outcome.failed),
        "missingBlocks": list(outcome.missing),
        "seconds": round(seconds, 3),
        "bytesSent": outcome.bytes_sent,
        "bytesSkipped": outcome.bytes_skipped,
        "retries": outcome.retries,
        "resumeCommand": next_command(outcome, options) if can_resume and options else None,
        "expires": _iso(outcome.expires) if outcome.expires else None,
        "error": _error_record(error, aws) if error else None,
    }


def as_receipt(
    record: dict[str, object],
    outcome: Outcome,
    request: FileRequest | StreamRequest,
    options: Options,
    *,
    began: datetime,
) -> dict[str, object]:
    """Return what `--receipts` keeps of an archive: the record, and what finds it again."""
    return {
        **record,
        "accountId": str(record["location"]).split("/")[1],
        "region": outcome.region,
        "rehearsal": options.rehearse,
        "sourceModified": _modified(request),
        "began": _iso(began),
        "ended": _iso(datetime.now(timezone.utc)),
    }


def _modified(request: FileRequest | StreamRequest) -> str | None:
    """Return when the file was last changed; None of a stream and of a device."""
    if isinstance(request, StreamRequest) or request.source.mtime_ns is None:
        return None
    return as_moment(request.source.mtime_ns)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _error_record(error: UploadError, aws: AwsCli) -> dict[str, str | None]:
    answer = error if isinstance(error, VaultError) else None
    return {
        "code": (answer and answer.code) or type(error).__name__,
        "message": "; ".join(error_lines(error, aws)),
        "requestId": (answer and answer.request_id) or None,
    }
