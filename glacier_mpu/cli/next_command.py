"""The command that resumes an upload, wherever it is pasted. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence

from glacier_mpu.cli.options import Options
from glacier_mpu.cli.quoting import pasteable
from glacier_mpu.errors import quoted
from glacier_mpu.source.blocks import MIB
from glacier_mpu.transfer.request import Outcome, Status


class Command(str):
    """A line that is to be pasted into a shell, and so stands alone."""

    __slots__ = ()


def next_command(outcome: Outcome, options: Options) -> Command:
    """Return the command that resumes the upload, to be pasted as it is, in any folder.

    It asks for the whole file where every block of the asked range is known to be stored. Where no
    upload is known, it begins one, or finds the one that may have been started.
    """
    resumes = options.resume and outcome.status is not Status.UNKNOWN
    by_id = bool(outcome.upload_id) and not resumes
    dropped = ["--upload-id", "--resume"] if by_id else []
    if _has_all_that_was_asked(outcome, options):
        dropped += ["--start", "--end", "--finish-upload"]
    again = options.from_anywhere()
    words = [*again.command, *again.words_without(*dropped)]
    if by_id:
        words.append(f"--upload-id={outcome.upload_id}")
    elif outcome.may_have_begun and not options.resume:
        words.append("--resume")
        if options.is_stream and options.comment is None:  # by which alone it is found
            words.append(f"--comment={options.description}")
    return _line(words, options)


def command_of(upload_id: str, options: Options) -> Command:
    """Return the command that resumes this upload in place of the one that this run is about."""
    again = options.from_anywhere()
    words = again.words_without("--upload-id", "--resume")
    return _line([*again.command, *words, f"--upload-id={upload_id}"], options)


def command_anew(block_size: int, options: Options) -> Command:
    """Return the command that begins another upload of the same source, in blocks of this size."""
    again = options.from_anywhere()
    dropped = ("--upload-id", "--resume", "--blocksize", "--expected-size", "--overwrite")
    words = [*again.command, *again.words_without(*dropped), f"--blocksize={block_size // MIB}"]
    return _line(words, options)


def run_it(command: str, options: Options) -> str:
    """Return `run:`, with all that a person has to know to paste the command."""
    return f"run{_with_what(options)}{paste_hint(command)}:"


def paste_hint(command: str) -> str:
    """Return what has to be known to paste this command, in brackets; nearly always empty."""
    needs_operator = os.name == "nt" and command.startswith('"')
    return " (in PowerShell, put & in front)" if needs_operator else ""


def _line(words: Sequence[str], options: Options) -> Command:
    """Return the line, with a command whose output is uploaded as it was given.

    That may have relative paths, and so must run in the same folder.
    """
    line = pasteable([*words, "--", *options.argv] if options.argv else words)
    if options.runs_command and os.name != "nt":  # whose shells have no common way to say it
        line = f"{pasteable(['cd', options.folder])} && {line}"
    return Command(line)


def _with_what(options: Options) -> str:
    """Say what a stream needs besides its command."""
    if not options.is_stream:
        return ""
    if options.runs_command:
        return f" in the folder {quoted(options.folder)}" if os.name == "nt" else ""
    where = "on standard input" if options.file_path is None else "through the pipe"
    return f" with the same stream, from its beginning, {where}"


def _has_all_that_was_asked(outcome: Outcome, options: Options) -> bool:
    """Tell whether every block of the asked range is known to be stored as the file has it."""
    if outcome.plan is None:  # the vault was not heard
        return False
    asked = outcome.plan.selection(options.first, options.last)
    return outcome.status is Status.STORED or not set(outcome.unproven) & set(asked)
