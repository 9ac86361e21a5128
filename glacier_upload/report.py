"""What a run says at its end: the result for scripts, the story for people, the exit code. Pure."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from glacier_upload.blocks import MIB, Plan, as_ranges
from glacier_upload.errors import ExitCode, UploadError
from glacier_upload.job import Outcome, Status
from glacier_upload.options import Options

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
    if signal and code is not ExitCode.DONE:
        return 128 + signal
    if outcome.status is Status.FAILED and outcome.error is not None:
        return outcome.error.exit_code
    return code


def plan_lines(options: Options, plan: Plan) -> list[str]:
    """Return what a dry run prints: `key: value`, sizes in bytes."""
    last = plan.block(plan.count - 1)
    asked = plan.selection(options.first, options.last)
    requests = len(asked) + (options.upload_id is None) + options.finish
    short = ", shorter than the others" if last.size < plan.block_size else ""
    return [
        f"size: {plan.size}",
        f"block-size: {plan.block_size} ({plan.block_size // MIB} MB)",
        f"blocks: {plan.count} ({as_ranges(plan.numbers)})",
        f"last-block: {last.number} ({last.size} bytes{short})",
        f"blocks-to-send: {as_ranges(asked)}",
        f"requests: {requests} (billed by AWS; retries and lists come on top)",
    ]


def result_lines(outcome: Outcome) -> list[str]:
    """Return what goes to stdout: the archive, or the open upload and the blocks it still wants."""
    if outcome.archive is not None:
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


def story(outcome: Outcome, options: Options, *, interrupted: bool) -> list[str]:
    """Return the lines that tell a person how it ended, the command that goes on last."""
    lines = ["interrupted"] if interrupted else []
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
    dropped = ["--upload-id"]
    if outcome.status is Status.STORED or not set(outcome.wanted) & set(_asked(outcome, options)):
        dropped += ["--start", "--end", "--finish-upload"]
    words = [
        sys.executable,
        options.script,
        *options.words_without(*dropped),
        f"--upload-id={outcome.upload_id}",
    ]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _asked(outcome: Outcome, options: Options) -> range:
    if outcome.plan is None:
        return range(0)
    return outcome.plan.selection(options.first, options.last)


def _completed(outcome: Outcome, options: Options) -> list[str]:
    return ["completed; keep the archive id: nothing is retrieved or deleted without it"]


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
    return [
        "the upload stays open, and expires after a day without activity; to go on:",
        next_command(outcome, options),
    ]


def _aborted(outcome: Outcome, options: Options) -> list[str]:
    return [
        "the upload was aborted, and what was stored of it is gone; with --finish-upload False "
        "a failed upload is kept"
    ]


def _failed(outcome: Outcome, options: Options) -> list[str]:
    return []


def _unknown(outcome: Outcome, options: Options) -> list[str]:
    size = outcome.plan.size if outcome.plan else 0
    return [
        "the archive was very probably stored, and its id is not known; do not upload again yet",
        f"tree hash: {outcome.tree_hash}",
        f"size: {size}",
        f"description: {options.description}",
        "to be sure, look for this tree hash in the vault's inventory (made about once a day):",
        shlex.join(
            [
                *("aws", "glacier", "initiate-job", f"--account-id={options.account_id}"),
                f"--vault-name={options.vault}",
                "--job-parameters",
                '{"Type": "inventory-retrieval"}',
            ]
        ),
    ]


_ENDINGS = {
    Status.COMPLETED: _completed,
    Status.STORED: _stored,
    Status.OPEN: _open,
    Status.ABORTED: _aborted,
    Status.FAILED: _failed,
    Status.UNKNOWN: _unknown,
}
