"""What a run says to people at its end: how it ended, and what to do next. Pure."""

from __future__ import annotations

import os

from glacier_mpu.cli.aws_cli import AwsCli
from glacier_mpu.cli.figures import as_stop_time, blocks_left
from glacier_mpu.cli.next_command import Command, command_anew, next_command, run_it
from glacier_mpu.cli.next_step import error_lines, run_again_once
from glacier_mpu.cli.options import Options
from glacier_mpu.cli.stream_words import said_text
from glacier_mpu.errors import (
    CommandFailed,
    StreamTooLong,
    StreamTooShort,
    UploadError,
    quoted,
)
from glacier_mpu.source.blocks import LARGEST_BLOCK, as_ranges
from glacier_mpu.transfer.request import Outcome, Status
from glacier_mpu.vault.errors import CompletionUnknown


def ending_lines(outcome: Outcome, options: Options, *, interrupted: bool) -> list[str]:
    """Return the lines that tell a person how it ended, the command that resumes it last."""
    lines = [_interrupted(outcome)] if interrupted else []
    if outcome.stop_time is not None and not interrupted:
        lines.append(f"stopped {as_stop_time(outcome.stop_time)} as asked")
    if outcome.error is not None:
        aws = AwsCli.of(options, region=outcome.region, upload_id=outcome.upload_id)
        what, *step = error_lines(outcome.error, aws)
        lines += [*_said(outcome.error, options), f"error: {what}", *step]
    if outcome.failed:
        lines.append(f"failed blocks: {as_ranges(outcome.failed)}")
    return lines + _ENDINGS[outcome.status](outcome, options)


def _said(error: UploadError, options: Options) -> list[str]:
    """Return what a command that failed said of it, where that was not shown as it came."""
    if not (options.quiet and isinstance(error, CommandFailed)):
        return []
    program = os.path.basename(options.argv[0]) if options.argv else "command"
    return [said_text(program, text) for text in error.said]


def _interrupted(outcome: Outcome) -> str:
    too_late = outcome.status in (Status.COMPLETED, Status.STORED)
    return "interrupted, but too late: all was done already" if too_late else "interrupted"


def _completed(outcome: Outcome, options: Options) -> list[str]:
    lines = ["Done. Keep the archive id: you need it to retrieve or delete the archive."]
    if options.rehearse is not None and outcome.archive is not None:
        file = os.path.join(options.rehearse, "archives", outcome.archive.archive_id)
        lines.append(f"this was a rehearsal: the archive is the file {quoted(file)}")
    return lines


def _stored(outcome: Outcome, options: Options) -> list[str]:
    command = next_command(outcome, options)
    if not outcome.missing:
        return _to_finish(outcome, command, options)
    stored = [f"every block that was asked for is stored; {left}" for left in _left(outcome)]
    return [*stored, _stays_open(outcome), f"to resume, {run_it(command, options)}", command]


def _open(outcome: Outcome, options: Options) -> list[str]:
    command = next_command(outcome, options)
    if isinstance(outcome.error, StreamTooLong):
        return [_stays_open(outcome), *_anew(outcome.error, options)]
    # Of a stream that is too short all is stored, and more.
    if outcome.plan and not outcome.unproven and not isinstance(outcome.error, StreamTooShort):
        return _to_finish(outcome, command, options)
    if outcome.upload_id:
        return [
            *_left(outcome),
            _stays_open(outcome),
            f"to resume, {run_it(command, options)}",
            command,
        ]
    maybe = "an upload may have been started; " if outcome.may_have_begun else ""
    return [f"{maybe}to try again, {run_it(command, options)}", command]


def _anew(error: StreamTooLong, options: Options) -> list[str]:
    """Give the command for larger blocks, if there are any: with these the stream never fits."""
    if error.block_size >= LARGEST_BLOCK:
        return []
    command = command_anew(2 * error.block_size, options)
    return [f"to start a new upload with larger blocks, {run_it(command, options)}", command]


def _to_finish(outcome: Outcome, command: Command, options: Options) -> list[str]:
    what = f"every block is stored; to finish, {run_it(command, options)}"
    return [_stays_open(outcome), what, command]


def _left(outcome: Outcome) -> list[str]:
    """Return a line for the blocks that are known to be missing, if any are."""
    if outcome.plan is None or not outcome.missing:
        return []
    return [blocks_left(outcome.missing, outcome.plan.count)]


def _stays_open(outcome: Outcome) -> str:
    """Say until when the upload is kept."""
    if outcome.expires is None:
        return "the upload stays open, and may expire a day after its last activity"
    moment = outcome.expires.astimezone()
    return (
        f"the upload stays open, and may expire on {moment:%Y-%m-%d} at {moment:%H:%M}, a day "
        "after its last activity"
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
        command = next_command(outcome, options)
        when = f"once {once}, " if once else ""
        what = f"an upload may have been started; {when}to resume it or start one, "
        return [what + run_it(command, options), command]
    if outcome.error is None:  # it was interrupted
        return ["no upload was started"]
    return [f"no upload was started; run this again once {once}"] if once else []


def _unknown(outcome: Outcome, options: Options) -> list[str]:
    """Say what is known of an archive that may exist, and how to find out whether it does."""
    error = outcome.error if isinstance(outcome.error, CompletionUnknown) else None
    lines = ["It is not known whether the archive was stored."]
    if error and error.sent:
        lines = ["The archive was very probably stored, but its id is not known."]
    if outcome.tree_hash:
        lines.append(f"tree hash: {outcome.tree_hash}")
    lines.append(f"description: {outcome.description}")
    if outcome.plan:
        lines.append(f"size: {outcome.plan.size}")
    lines.append(_look_for_it(outcome, options))
    if not (error and error.gone):
        command = next_command(outcome, options)
        lines += [f"the upload may still be open; to find out, {run_it(command, options)}", command]
    return lines


def _look_for_it(outcome: Outcome, options: Options) -> str:
    if options.rehearse is not None:
        folder = os.path.join(options.rehearse, "archives")
        return f"before you upload it again, look for it in the rehearsal's folder {quoted(folder)}"
    inventory = AwsCli.of(options, region=outcome.region).glacier(
        "initiate-job", "--job-parameters", "Type=inventory-retrieval"
    )
    return (
        "before you upload it again, look for it in the vault's inventory, which AWS updates about "
        f"once a day: {inventory}"
    )


_ENDINGS = {
    Status.COMPLETED: _completed,
    Status.STORED: _stored,
    Status.OPEN: _open,
    Status.ABORTED: _aborted,
    Status.FAILED: _failed,
    Status.UNKNOWN: _unknown,
}
