"""The typed values that the flags of both scripts become. Calls nothing and reads no file.

Whatever is wrong with a flag ends in UsageError.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from glacier_mpu.cli import values
from glacier_mpu.cli.flags import FlagError, Parser
from glacier_mpu.cli.times import ClockTime
from glacier_mpu.errors import BadInput
from glacier_mpu.transfer.bandwidth import Timetable

# The flags whose value is a path, which means something else in another folder.
PATH_FLAGS = ("--source-path", "--rehearse", "--receipts", "--ledger", "--status-file")


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
    words    the command line itself, with each value joined to its flag, as in `--vault=photos`
    threads  blocks sent at once, or AUTO; None in the script that sends one after another
    ledger   a folder, or NO_LEDGER; None is the usual one
    """

    command: tuple[str, ...]
    folder: str
    words: tuple[str, ...]
    source_path: str
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

    @property
    def full_source_path(self) -> str:
        """The source path with the folder in which it was given."""
        return os.path.join(self.folder, self.source_path)

    @property
    def description(self) -> str:
        """The archive description: the comment, or one that names the source path."""
        if self.comment is None:
            return values.default_description(self.source_path)
        return self.comment

    def words_without(self, *flags: str) -> list[str]:
        """Return the words of the command line less these flags, to build the next command from."""
        return [word for word in self.words if word.partition("=")[0] not in flags]

    def from_anywhere(self) -> Options:
        """Return the same with absolute paths, for a command that is given in another folder.

        The description, by which --resume finds the upload, stays what this run made of its path.
        """
        again = replace(
            self,
            command=tuple(_absolute(word, self.folder) for word in self.command),
            source_path=_absolute(self.source_path, self.folder),
            words=tuple(_with_absolute_path(word, self.folder) for word in self.words),
        )
        if again.description == self.description:
            return again
        words = (*again.words, f"--comment={self.description}")
        return replace(again, words=words, comment=self.description)


def parse(parser: Parser, arguments: Sequence[str], *, command: Sequence[str]) -> Options:
    """Return what the arguments ask for. Raises UsageError; exits for --help and --version."""
    words = parser.joined(arguments)
    try:
        given = {"threads": None} | parser.read(words)
    except FlagError as error:
        raise UsageError(str(error), next_step="--help explains every flag") from error
    options = Options(command=tuple(command), folder=os.getcwd(), words=tuple(words), **given)
    _check_rehearsal(options)
    return options


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Tell whether the arguments ask for JSON; they may be wrong in any other way."""
    words = list(arguments)
    return "--output=json" in words or ("--output", "json") in pairwise(words)


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
    if flag not in PATH_FLAGS or word == "--ledger=none":
        return word
    return f"{flag}={_absolute(value, folder)}"


def _absolute(path: str, folder: str) -> str:
    joined = os.path.join(folder, path)
    if os.name == "nt":  # which takes `..` out itself, and has a current folder for each drive
        return os.path.abspath(joined)
    if os.path.isabs(path):
        return path
    # Behind a link to a folder, `..` leads elsewhere than the text says.
    return joined if ".." in path.split("/") else os.path.normpath(joined)
