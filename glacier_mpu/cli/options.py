"""The flags that both scripts share, and the typed values that they become.

Knows argparse; calls nothing and reads no file. Whatever is wrong with a flag ends in BadInput.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

from glacier_mpu import __version__
from glacier_mpu.cli import values as flags
from glacier_mpu.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for. Sizes in bytes, block numbers 0-based and inclusive.

    `folder` is where paths begin that are not absolute. `words` is the command line itself, with
    each value joined to its flag, as in `--vault=photos`.
    """

    script: str
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
    profile: str | None
    region: str | None
    endpoint_url: str | None
    account_id: str
    retry_minutes: float
    max_bandwidth: int | None
    rehearse: str | None
    dry_run: bool
    output: str
    receipts: str | None
    quiet: bool
    verbose: bool

    @property
    def description(self) -> str:
        """The archive description: the comment, or one that names the source path."""
        return flags.default_description(self.source_path) if self.comment is None else self.comment

    def words_without(self, *flags: str) -> list[str]:
        """Return the words of the command line less these flags, to build the next command from."""
        return [word for word in self.words if word.partition("=")[0] not in flags]


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises BadInput where the stock one prints its usage and exits."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(message, next_step=f"python {self.prog} --help explains every flag")


def shared_parser(*, prog: str, description: str) -> Parser:
    """Return a parser with every flag that both scripts take."""
    parser = Parser(prog=prog, description=description, allow_abbrev=False)
    _add_what(parser.add_argument_group("what goes where"))
    _add_how(parser.add_argument_group("which blocks, and what then"))
    _add_service(parser.add_argument_group("the service"))
    _add_trial(parser.add_argument_group("trying it out"))
    _add_said(parser.add_argument_group("what is said"))
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _add_what(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--source-path", required=True, help="the file to upload, 1 byte to 39 TiB")
    group.add_argument("--vault", required=True, type=flags.vault, help="the vault's name")
    group.add_argument(
        "--comment",
        type=flags.comment,
        help="archive description, up to 1,024 printable ASCII characters "
        "(default: Archive for SOURCE_PATH)",
    )


def _add_how(group: argparse._ArgumentGroup) -> None:
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--upload-id",
        type=flags.upload_id,
        help="go on with this open upload: only blocks that are missing or differ are sent",
    )
    which.add_argument(
        "--resume",
        action="store_true",
        help="go on with the open upload of this description if the vault has one, else begin one; "
        "never abort it",
    )
    group.add_argument(
        "--blocksize",
        type=flags.blocksize,
        dest="block_size",
        metavar="BLOCKSIZE",
        help="size of a block in MB (MiB): 1, 2, 4 ... 4096 (default: the open upload's own; 128, "
        "or the smallest that cuts the file into at most 10,000 blocks)",
    )
    group.add_argument(
        "--start",
        type=flags.block_number,
        dest="first",
        metavar="START",
        help="first block to upload, from 0 (default: the first)",
    )
    group.add_argument(
        "--end",
        type=flags.block_number,
        dest="last",
        metavar="END",
        help="last block to upload, included (default: the last)",
    )
    group.add_argument(
        "--finish-upload",
        type=flags.true_or_false,
        default=True,
        dest="finish",
        metavar="{True,False}",
        help="complete the upload once its blocks are stored (default: True)",
    )


def _add_service(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--profile", help="profile in the AWS configuration files")
    group.add_argument("--region", help="AWS region, such as eu-west-1")
    group.add_argument("--endpoint-url", type=flags.url, help="another address of the service")
    group.add_argument(
        "--account-id",
        type=flags.account_id,
        default="-",
        help="the vault's account (default: your own)",
    )
    group.add_argument(
        "--retry-minutes",
        type=flags.minutes,
        metavar="MINUTES",
        default=15.0,
        help="how long one call is retried through passing trouble (default: 15)",
    )
    group.add_argument(
        "--max-bandwidth",
        type=flags.rate,
        metavar="RATE",
        help="bytes or bits a second for all blocks together, such as 6MB or 50Mbit",
    )


def _add_trial(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--rehearse",
        metavar="DIR",
        help="upload to a Glacier stand-in inside this process that keeps its vaults in DIR: "
        "no account, no charge, nothing leaves the machine",
    )
    group.add_argument("--dry-run", action="store_true", help="print the plan and call nothing")


def _add_said(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--output",
        choices=["text", "json"],
        default="text",
        help="what stdout gets: lines, or one JSON object in every ending (default: text)",
    )
    group.add_argument(
        "--receipts", metavar="FILE", help="append a JSON line for a completed archive to FILE"
    )
    how_much = group.add_mutually_exclusive_group()
    how_much.add_argument("--quiet", action="store_true", help="no progress, only trouble")
    how_much.add_argument("--verbose", action="store_true", help="every block, and tracebacks")


def parse(parser: Parser, arguments: Sequence[str], *, script: str) -> Options:
    """Return the options that the arguments give. Raises BadInput; exits for --help, --version."""
    words = _with_joined_values(parser, arguments)
    values = vars(parser.parse_args(words))
    if [] in values.values():
        # Before 3.13, argparse drops the value -- and passes the empty list on, unread.
        raise BadInput("-- is no value for a flag")
    values.setdefault("threads", None)
    options = Options(script=script, folder=os.getcwd(), words=tuple(words), **values)
    if options.rehearse is not None:
        for flag, value in (
            ("--endpoint-url", options.endpoint_url),
            ("--profile", options.profile),
        ):
            if value is not None:
                raise BadInput(
                    f"--rehearse and {flag} contradict each other: a rehearsal calls no service",
                    next_step="leave one of them out",
                )
    return options


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Tell whether the arguments ask for JSON; they may be wrong in any other way."""
    words = list(arguments)
    return "--output=json" in words or ("--output", "json") in pairwise(words)


def _with_joined_values(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> list[str]:
    """Join each flag to its value: one upload id in 64 begins with a hyphen, as a flag does."""
    takes_value = {
        flag: action.nargs is None
        for action in parser._actions  # noqa: SLF001 - no public way leads to a parser's flags
        for flag in action.option_strings
    }
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        value = next(rest, None) if takes_value.get(word) else None
        if value is None:
            words.append(word)
        elif value in takes_value:
            words += [word, value]
        else:
            words.append(f"{word}={value}")
    return words
