"""The command that resumes an upload, wherever it is pasted. Pure."""

from __future__ import annotations

import os

from glacier_mpu.cli.options import Options
from glacier_mpu.cli.quoting import pasteable
from glacier_mpu.transfer.request import Outcome, Status


def next_command(outcome: Outcome, options: Options) -> str:
    """Return the command that resumes the upload, to be pasted as it is, in any folder.

    It asks for the whole file where every block of the asked range is known to be stored.
    """
    by_id = not options.resume or outcome.status is Status.UNKNOWN
    dropped = ["--upload-id", "--resume"] if by_id else []
    if outcome.status is Status.STORED or not set(outcome.unproven) & set(_asked(outcome, options)):
        dropped += ["--start", "--end", "--finish-upload"]
    again = options.from_anywhere()
    words = [*again.command, *again.words_without(*dropped)]
    if by_id:
        words.append(f"--upload-id={outcome.upload_id}")
    return pasteable(words)


def paste_hint(command: str) -> str:
    """Return what has to be known to paste this command, in brackets; nearly always empty."""
    needs_operator = os.name == "nt" and command.startswith('"')
    return " (in PowerShell, put & in front)" if needs_operator else ""


def _asked(outcome: Outcome, options: Options) -> range:
    if outcome.plan is None:
        return range(0)
    return outcome.plan.selection(options.first, options.last)
