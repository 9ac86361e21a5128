"""What a run says at its end: the result for scripts, lines for people, the exit code. Pure."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from enum import IntEnum

from glacier_mpu.cli.next_command import next_command, paste_hint
from glacier_mpu.cli.next_step import next_step, run_again_once
from glacier_mpu.cli.options import Options
from glacier_mpu.errors import BadInput, UploadError
from glacier_mpu.source.blocks import MIB, Plan, as_ranges
from glacier_mpu.source.file import as_moment
from glacier_mpu.transfer.request import Outcome, Request, Status
from glacier_mpu.vault.errors import CompletionUnknown, VaultError


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


def plan_record(options: Options, plan: Plan) -> dict[str, object]:
    """Return what a dry run tells: sizes in bytes, and the requests that AWS will bill."""
    asked = plan.selection(options.first, options.last)
    last = plan.block(plan.count - 1)
    return {
        "status": "planned",
        "size": plan.size,
        "blockSize": plan.block_size,
        "blocks": plan.count,
        "lastBlock": last.number,
        "lastBlockSize": last.size,
        "blocksToSend": as_ranges(asked),
        "requests": len(asked) + (options.upload_id is None) + options.finish,
    }


def plan_lines(options: Options, plan: Plan) -> list[str]:
    """Return the same for people."""
    record = plan_record(options, plan)
    short = "" if record["lastBlockSize"] == plan.block_size else ", shorter than the others"
    resumes = options.resume or options.upload_id is not None
    unless = "; an open upload keeps its own" if options.block_size is None and resumes else ""
    return [
        f"size: {plan.size}",
        f"block-size: {plan.block_size} ({plan.block_size // MIB} MB{unless})",
        f"blocks: {plan.count} ({as_ranges(plan.numbers)})",
        f"last-block: {record['lastBlock']} ({record['lastBlockSize']} bytes{short})",
        f"blocks-to-send: {record['blocksToSend']}",
        f"requests: {record['requests']} (billed by AWS; retries and listings are extra)",
    ]


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
    """Return what `--output json` prints: the same members in every ending, null where unknown."""
    archive, plan, error = outcome.archive, outcome.plan, outcome.error
    can_resume = outcome.status in (Status.OPEN, Status.STORED)
    return {
        "status": outcome.status.value,
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
        "error": _error_record(error) if error else None,
    }


def as_receipt(
    record: dict[str, object],
    outcome: Outcome,
    request: Request,
    options: Options,
    *,
    began: datetime,
) -> dict[str, object]:
    """Return what `--receipts` keeps of an archive: the record, and what finds it again."""
    return {
        **record,
        "description": outcome.description,
        "vault": options.vault,
        "accountId": str(record["location"]).split("/")[1],
        "region": outcome.region,
        "rehearsal": options.rehearse,
        "sourcePath": os.path.join(options.folder, options.source_path),
        "sourceModified": as_moment(request.source.mtime_ns),
        "began": _iso(began),
        "ended": _iso(datetime.now(timezone.utc)),
    }


def ending_lines(outcome: Outcome, options: Options, *, interrupted: bool) -> list[str]:
    """Return the lines that tell a person how it ended, the command that resumes it last."""
    lines = ["interrupted"] if interrupted else []
    if outcome.error is not None:
        lines += error_lines(outcome.error)
    if outcome.failed:
        lines.append(f"failed blocks: {as_ranges(outcome.failed)}")
    return lines + _ENDINGS[outcome.status](outcome, options)


def error_lines(error: UploadError) -> list[str]:
    """Return what went wrong and what to do next, a line each."""
    return [line for line in (error.message, next_step(error)) if line]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _error_record(error: UploadError) -> dict[str, str | None]:
    answer = error if isinstance(error, VaultError) else None
    return {
        "code": (answer and answer.code) or type(error).__name__,
        "message": "; ".join(error_lines(error)),
        "requestId": (answer and answer.request_id) or None,
    }


def _completed(outcome: Outcome, options: Options) -> list[str]:
    lines = [
        "completed; keep the archive id: the archive cannot be retrieved or deleted without it"
    ]
    if options.rehearse is not None and outcome.archive is not None:
        file = os.path.join(options.rehearse, "archives", outcome.archive.archive_id)
        lines.append(f"this was a rehearsal: the archive is the file {file}")
    return lines


def _stored(outcome: Outcome, options: Options) -> list[str]:
    missing = as_ranges(outcome.missing)
    command = next_command(outcome, options)
    purpose = "to send the missing blocks and complete it" if missing else "to complete it"
    return [
        f"all requested blocks are stored; missing blocks: {missing or 'none'}",
        f"{_stays_open(outcome)}{purpose}{paste_hint(command)}:",
        command,
    ]


def _open(outcome: Outcome, options: Options) -> list[str]:
    command = next_command(outcome, options)
    if outcome.upload_id:
        line = f"{_stays_open(outcome)}to resume it"
    else:
        maybe = "an upload may have been started; " if outcome.may_have_begun else ""
        line = f"{maybe}to try again"
    return [f"{line}{paste_hint(command)}:", command]


def _stays_open(outcome: Outcome) -> str:
    """Return the beginning of a sentence that says until when the upload is kept."""
    if outcome.expires is None:
        return "the upload stays open, and may expire a day after its last activity; "
    moment = outcome.expires.astimezone()
    return (
        f"the upload stays open, and may expire on {moment:%Y-%m-%d} at {moment:%H:%M}, a day "
        "after its last activity; "
    )


def _aborted(outcome: Outcome, options: Options) -> list[str]:
    return [
        "the upload was aborted, and its stored blocks are gone; with --resume or "
        "--finish-upload False, a failed upload is kept"
    ]


def _failed(outcome: Outcome, options: Options) -> list[str]:
    """Say whether there may be an upload, and when the same command helps, if ever."""
    once = run_again_once(outcome.error)
    if outcome.may_have_begun:
        when = f"once {once}, " if once else ""
        return [f"an upload may have been started; {when}--resume finds it, or starts one"]
    if outcome.error is None:  # it was interrupted
        return ["no upload was started"]
    return [f"no upload was started; run this again once {once}"] if once else []


def _unknown(outcome: Outcome, options: Options) -> list[str]:
    """Say what is known of an archive that may exist, and how to find out whether it does."""
    error = outcome.error if isinstance(outcome.error, CompletionUnknown) else None
    if error and error.sent:
        lines = ["the archive was very probably stored, but its id is not known"]
    else:
        lines = ["it is not known whether there is an archive"]
    if outcome.tree_hash:
        lines.append(f"tree hash: {outcome.tree_hash}")
    lines.append(f"description: {outcome.description}")
    if outcome.plan:
        lines.append(f"size: {outcome.plan.size}")
    lines += [
        "before uploading again, look for it in the vault's inventory, which AWS updates about "
        "once a day:",
        f"aws glacier initiate-job --account-id={options.account_id} "
        f"--vault-name={options.vault} --job-parameters Type=inventory-retrieval",
    ]
    if not (error and error.gone):
        command = next_command(outcome, options)
        lines += [f"the upload may still be open; to find out{paste_hint(command)}:", command]
    return lines


_ENDINGS = {
    Status.COMPLETED: _completed,
    Status.STORED: _stored,
    Status.OPEN: _open,
    Status.ABORTED: _aborted,
    Status.FAILED: _failed,
    Status.UNKNOWN: _unknown,
}
