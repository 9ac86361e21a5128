"""The typed values that the flags of both scripts become. Calls nothing and reads no file.

Whatever is wrong with a flag ends in UsageError.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from glacier_mpu.cli import values
from glacier_mpu.cli.parser import FlagError, Parser
from glacier_mpu.cli.quoting import pasteable
from glacier_mpu.cli.times import ClockTime
from glacier_mpu.errors import BadInput
from glacier_mpu.source.pipe import STANDARD_INPUT
from glacier_mpu.transfer.bandwidth import Timetable

# The flags whose value is a path, which means something else in another folder.
PATH_FLAGS = ("--source-path", "--spool", "--rehearse", "--receipts", "--ledger", "--status-file")


@dataclass(eq=False)
class UsageError(BadInput):
    """A flag, or what a flag names, cannot be used as asked."""

    next_step: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for. Sizes in bytes, block numbers 0-based and inclusive.

    Times are in seconds where no other unit is named, and by the local clock.

    command  the words that begin this script again, before any flag
    folder   where relative paths begin
    words    the flags of the command line, with each value joined to its flag: `--vault=photos`
    argv     the program whose output is uploaded, and its arguments: what stands behind `--`
    threads  blocks sent at once, or AUTO; None in the script that sends one after another
    ledger   a folder, or NO_LEDGER; None is the usual one

    is_named_pipe   source_path names one, which is known once it was looked at
    """

    command: tuple[str, ...]
    folder: str
    words: tuple[str, ...]
    argv: tuple[str, ...]
    source_path: str | None
    source_command: str | None
    vault: str
    comment: str | None
    upload_id: str | None
    resume: bool
    block_size: int | None
    first: int | None
    last: int | None
    threads: int | None
    finish: bool
    ledger: str | None
    recheck: bool
    expected_size: int | None
    spool: str | None
    overwrite: bool
    profile: str | None
    region: str | None
    endpoint_url: str | None
    account_id: str
    retry_minutes: float
    max_bandwidth: Timetable | None
    stop_at: ClockTime | None
    stop_after: float | None
    rehearse: str | None
    dry_run: bool
    output: str
    receipts: str | None
    status_file: str | None
    quiet: bool
    verbose: bool
    is_named_pipe: bool = False

    @property
    def file_path(self) -> str | None:
        """The source path, where it names something; None of standard input and a command."""
        return None if self.source_path == STANDARD_INPUT else self.source_path

    @property
    def full_source_path(self) -> str | None:
        """The source path with the folder in which it was given; None of a command."""
        path = self.file_path
        return self.source_path if path is None else os.path.join(self.folder, path)

    @property
    def runs_command(self) -> bool:
        """Whether it is the output of a command that is uploaded."""
        return self.source_path is None

    @property
    def is_stream(self) -> bool:
        """Whether the source is read once, in order."""
        return self.file_path is None or self.is_named_pipe

    @property
    def shown_command(self) -> str | None:
        """The command whose output is uploaded, as one line for a shell; None where there is none.

        A command behind `--` is quoted to be one line.
        """
        return pasteable(self.argv) if self.argv else self.source_command

    @property
    def description(self) -> str:
        """The archive description: the comment, or one that names the file."""
        if self.comment is not None:
            return self.comment
        if self.file_path is None or self.is_stream:
            return values.STREAM_DESCRIPTION
        return values.default_description(self.file_path)

    def words_without(self, *flags: str) -> list[str]:
        """Return the flags of the command line less these, to build the next command from."""
        return [word for word in self.words if word.partition("=")[0] not in flags]

    def from_anywhere(self) -> Options:
        """Return the same with absolute paths, for a command that is given in another folder.

        The description, by which --resume finds the upload, stays what this run made of its path.
        """
        again = replace(
            self,
            command=tuple(_absolute(word, self.folder) for word in self.command),
            source_path=_absolute_source(self.source_path, self.folder),
            words=tuple(_with_absolute_path(word, self.folder) for word in self.words),
        )
        if again.description == self.description:
            return again
        words = (*again.words, f"--comment={self.description}")
        return replace(again, words=words, comment=self.description)


def parse(parser: Parser, arguments: Sequence[str], *, command: Sequence[str]) -> Options:
    """Return what the arguments ask for. Raises UsageError; exits for --help and --version."""
    words, argv = parser.joined(arguments)
    try:
        given = {"threads": None} | parser.read(words)
    except FlagError as error:
        raise UsageError(str(error), next_step="--help explains every flag") from error
    options = Options(
        command=tuple(command),
        folder=os.getcwd(),
        words=tuple(words),
        argv=tuple(argv or ()),
        **given,
    )
    _check_source(options, has_command=argv is not None)
    _check_rehearsal(options)
    return options


def asks_for_json(parser: Parser, arguments: Sequence[str]) -> bool:
    """Tell whether the arguments ask for JSON; they may be wrong in any other way."""
    words, _ = parser.joined(arguments)
    return "--output=json" in words or ("--output", "json") in pairwise(words)


def _check_source(options: Options, *, has_command: bool) -> None:
    """Raise UsageError unless exactly one source is given; `has_command` is for a bare `--`."""
    given = [
        name
        for name, is_given in (
            ("--source-path", options.source_path is not None),
            ("--source-command", options.source_command is not None),
            ("a command after --", has_command),
        )
        if is_given
    ]
    if len(given) == 1 and (options.argv or not has_command):
        return
    fact = "there is no source"
    if len(given) > 1:
        fact = f"{' and '.join(given)} are more than one source"
    elif has_command:
        fact = "there is nothing after --"
    raise UsageError(f"{fact}: give one of --source-path, --source-command or a command after --")


def _check_rehearsal(options: Options) -> None:
    if options.rehearse is None:
        return
    for flag, value in (("--endpoint-url", options.endpoint_url), ("--profile", options.profile)):
        if value is not None:
            raise UsageError(
                f"--rehearse and {flag} contradict each other: a rehearsal calls no service",
                next_step="leave one of them out",
            )


def _with_absolute_path(word: str, folder: str) -> str:
    flag, _, value = word.partition("=")
    if flag not in PATH_FLAGS or word in ("--ledger=none", f"--source-path={STANDARD_INPUT}"):
        return word
    return f"{flag}={_absolute(value, folder)}"


def _absolute_source(path: str | None, folder: str) -> str | None:
    return path if path is None or path == STANDARD_INPUT else _absolute(path, folder)


def _absolute(path: str, folder: str) -> str:
    joined = os.path.join(folder, path)
    if os.name == "nt":  # which takes `..` out itself, and has a current folder for each drive
        return os.path.abspath(joined)
    if os.path.isabs(path):
        return path
    # Behind a link to a folder, `..` leads elsewhere than the text says.
    return joined if ".." in path.split("/") else os.path.normpath(joined)
