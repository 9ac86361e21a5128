"""What a run says at its end: the result for scripts, the story for people, the exit code. Pure."""

from __future__ import annotations

import os
import re
import shlex
import sys
from datetime import datetime, timezone

from glacier_mpu.cli.options import Options
from glacier_mpu.errors import (
    CompletionUnknown,
    ExitCode,
    PassingTrouble,
    UploadError,
    VaultError,
)
from glacier_mpu.source.blocks import MIB, Plan, as_ranges
from glacier_mpu.source.file import as_moment
from glacier_mpu.transfer.request import Outcome, Request, Status

_EXIT_CODES = {
    Status.COMPLETED: ExitCode.DONE,
    Status.STORED: ExitCode.DONE,
    Status.OPEN: ExitCode.OPEN,
    Status.ABORTED: ExitCode.FAILED,
    Status.FAILED: ExitCode.FAILED,
    Status.UNKNOWN: ExitCode.UNKNOWN,
}


def exit_code(outcome: Outcome, *, signal: int) -> int:
    """Return the process's exit code; `signal` is the one that interrupted the run, or 0."""
    code = _EXIT_CODES[outcome.status]
    if signal and code not in (ExitCode.DONE, ExitCode.UNKNOWN):
        return 128 + signal
    if outcome.status is Status.FAILED and outcome.error is not None:
        return outcome.error.exit_code
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
    told = plan_record(options, plan)
    short = "" if told["lastBlockSize"] == plan.block_size else ", shorter than the others"
    own = options.block_size is None and (options.resume or options.upload_id is not None)
    unless = "; an open upload keeps its own" if own else ""
    return [
        f"size: {plan.size}",
        f"block-size: {plan.block_size} ({plan.block_size // MIB} MB{unless})",
        f"blocks: {plan.count} ({as_ranges(plan.numbers)})",
        f"last-block: {told['lastBlock']} ({told['lastBlockSize']} bytes{short})",
        f"blocks-to-send: {told['blocksToSend']}",
        f"requests: {told['requests']} (billed by AWS; retries and lists come on top)",
    ]


def result_lines(outcome: Outcome) -> list[str]:
    """Return what goes to stdout: the archive, or the open upload and the blocks it still wants."""
    if outcome.status is Status.COMPLETED and outcome.archive is not None:
        return [
            f"archive-id: {outcome.archive.archive_id}",
            f"location: {outcome.archive.location}",
            f"tree-hash: {outcome.archive.tree_hash}",
            f"size: {outcome.archive.size}",
        ]
    if outcome.status in (Status.OPEN, Status.STORED):
        wanted = as_ranges(outcome.wanted) or "none"
        return [f"upload-id: {outcome.upload_id}", f"blocks-wanted: {wanted}"]
    return []


def as_record(
    outcome: Outcome, options: Options | None, *, seconds: float, retries: int
) -> dict[str, object]:
    """Return what `--output json` prints: the same members in every ending, null where unknown."""
    archive, plan, error = outcome.archive, outcome.plan, outcome.error
    goes_on = options is not None and outcome.status in (Status.OPEN, Status.STORED)
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
        "missingBlocks": list(outcome.wanted),
        "seconds": round(seconds, 3),
        "bytesSent": outcome.bytes_sent,
        "bytesSkipped": outcome.bytes_skipped,
        "retries": retries,
        "resumeCommand": next_command(outcome, options) if goes_on and options else None,
        "error": _error_record(error) if error else None,
    }


def as_receipt(
    record: dict[str, object],
    outcome: Outcome,
    request: Request,
    options: Options,
    *,
    region: str,
    began: datetime,
) -> dict[str, object]:
    """Return what `--receipts` keeps of an archive: the record, and what finds it again."""
    return {
        **record,
        "description": outcome.description,
        "vault": options.vault,
        "accountId": str(record["location"]).split("/")[1],
        "region": region,
        "rehearsal": options.rehearse,
        "sourcePath": os.path.join(options.folder, options.source_path),
        "sourceModified": as_moment(request.source.mtime_ns),
        "began": _iso(began),
        "ended": _iso(datetime.now(timezone.utc)),
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _error_record(error: UploadError) -> dict[str, str | None]:
    answer = error if isinstance(error, VaultError) else None
    return {
        "code": (answer and answer.code) or type(error).__name__,
        "message": "; ".join(trouble(error)),
        "requestId": (answer and answer.request_id) or None,
    }


def story(outcome: Outcome, options: Options, *, interrupted: bool) -> list[str]:
    """Return the lines that tell a person how it ended, the command that goes on last."""
    lines = ["interrupted"] if interrupted else []
    if interrupted and not outcome.upload_id:
        lines.append("an upload may have been begun all the same; --resume would find it")
    if outcome.error is not None:
        lines += trouble(outcome.error)
    if outcome.failed:
        lines.append(f"failed blocks: {as_ranges(outcome.failed)}")
    return lines + _ENDINGS[outcome.status](outcome, options)


def trouble(error: UploadError) -> list[str]:
    """Return what went wrong and what to do next, a line each."""
    return [error.message] + ([error.next_step] if error.next_step else [])


def next_command(outcome: Outcome, options: Options) -> str:
    """Return the command that goes on with the upload, to be pasted as it is.

    Where blocks beyond the asked range are what is missing, or nothing is, it asks for the whole
    file.
    """
    by_id = not options.resume or outcome.status is Status.UNKNOWN
    dropped = ["--upload-id", "--resume"] if by_id else []
    if outcome.status is Status.STORED or not set(outcome.wanted) & set(_asked(outcome, options)):
        dropped += ["--start", "--end", "--finish-upload"]
    words = [sys.executable, options.script, *options.words_without(*dropped)]
    if by_id:
        words.append(f"--upload-id={outcome.upload_id}")
    return _from_this_folder(options) + _pasteable(words)


def _from_this_folder(options: Options) -> str:
    """Return what leads back to this folder, where the command depends on it."""
    paths = (options.script, options.source_path, options.rehearse, options.receipts)
    if all(path is None or os.path.isabs(path) for path in paths):
        return ""
    change = "cd /d " if os.name == "nt" else "cd "
    return f"{change}{_pasteable([options.folder])} && "


def _pasteable(words: list[str]) -> str:
    """Quote the words for the shell that people paste into, on Windows for cmd."""
    if os.name != "nt":
        return " ".join(map(_quoted, words))
    return " ".join(word if re.fullmatch(r"[\w:\\/.=-]+", word) else f'"{word}"' for word in words)


def _quoted(word: str) -> str:
    """Quote for a POSIX shell; a name that is no UTF-8 by its bytes, or it would not survive."""
    if word.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in word):
        return shlex.quote(word)
    octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(word))
    return f"\"$(printf '{octal}')\""


def _asked(outcome: Outcome, options: Options) -> range:
    if outcome.plan is None:
        return range(0)
    return outcome.plan.selection(options.first, options.last)


def _completed(outcome: Outcome, options: Options) -> list[str]:
    lines = ["completed; keep the archive id: nothing is retrieved or deleted without it"]
    if options.rehearse is not None and outcome.archive is not None:
        file = os.path.join(options.rehearse, "archives", outcome.archive.archive_id)
        lines.append(f"this was a rehearsal: the archive is the file {file}")
    return lines


def _stored(outcome: Outcome, options: Options) -> list[str]:
    if outcome.wanted:
        still = f"blocks {as_ranges(outcome.wanted)} are still wanted"
    else:
        still = "none is missing"
    return [
        f"all asked blocks are stored, and {still}; the upload stays open, and expires after a day "
        "without activity",
        "to send what is missing and finish:",
        next_command(outcome, options),
    ]


def _open(outcome: Outcome, options: Options) -> list[str]:
    state = "the upload stays open, and expires after a day without activity; "
    return [f"{state if outcome.upload_id else ''}to go on:", next_command(outcome, options)]


def _aborted(outcome: Outcome, options: Options) -> list[str]:
    return [
        "the upload was aborted, and what was stored of it is gone; with --finish-upload False "
        "a failed upload is kept"
    ]


def _failed(outcome: Outcome, options: Options) -> list[str]:
    if isinstance(outcome.error, PassingTrouble):
        return ["no upload was begun; once the network and the service are back, run this again"]
    return []


def _unknown(outcome: Outcome, options: Options) -> list[str]:
    """Say what is known of an archive that may exist, and how its owner can be sure."""
    lines = [f"description: {outcome.description}"]
    if outcome.tree_hash:
        lines.insert(0, f"tree hash: {outcome.tree_hash}")
    if isinstance(outcome.error, CompletionUnknown) and outcome.error.sent:
        lines.insert(0, "the archive was very probably stored, but its id is not known")
    else:
        lines.insert(0, "nothing here proves that there is an archive, or that there is none")
    if outcome.plan:
        lines.append(f"size: {outcome.plan.size}")
    job = ["aws", "glacier", "initiate-job", f"--account-id={options.account_id}"]
    job += [f"--vault-name={options.vault}", "--job-parameters", "Type=inventory-retrieval"]
    lines += [
        "before uploading again, look for it in the vault's inventory, made about once a day:",
        " ".join(job),
    ]
    if not (isinstance(outcome.error, CompletionUnknown) and outcome.error.gone):
        lines += ["the upload may be open still; this finds out:", next_command(outcome, options)]
    return lines


_ENDINGS = {
    Status.COMPLETED: _completed,
    Status.STORED: _stored,
    Status.OPEN: _open,
    Status.ABORTED: _aborted,
    Status.FAILED: _failed,
    Status.UNKNOWN: _unknown,
}
