"""The flags that both scripts share, and the typed values that they become.

Knows argparse; calls nothing and reads no file. Whatever is wrong with a flag ends in BadInput.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote_from_bytes, urlsplit

from glacier_upload import __version__
from glacier_upload.blocks import MIB, is_block_size, nearest_block_sizes
from glacier_upload.errors import BadInput

LONGEST_DESCRIPTION = 1024
_PRINTABLE_ASCII = "".join(map(chr, range(0x20, 0x7F)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for. Sizes in bytes, block numbers 0-based and inclusive.

    `words` is the command line itself with each value joined to its flag, as in `--vault=photos`.
    """

    script: str
    words: tuple[str, ...]
    source_path: str
    vault: str
    comment: str | None
    upload_id: str | None
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
    rehearse: str | None
    dry_run: bool
    quiet: bool
    verbose: bool

    @property
    def description(self) -> str:
        """The archive description: the comment, or one that names the source path."""
        return default_description(self.source_path) if self.comment is None else self.comment

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
    what = parser.add_argument_group("what goes where")
    what.add_argument("--source-path", required=True, help="the file to upload, 1 byte to 39 TiB")
    what.add_argument("--vault", required=True, type=_vault, help="the vault's name")
    what.add_argument(
        "--comment",
        type=_comment,
        help="archive description, up to 1,024 printable ASCII characters "
        "(default: Archive for SOURCE_PATH)",
    )
    how = parser.add_argument_group("which blocks, and what then")
    how.add_argument(
        "--upload-id",
        type=_upload_id,
        help="go on with this open upload: only blocks that are missing or differ are sent",
    )
    how.add_argument(
        "--blocksize",
        type=_blocksize,
        dest="block_size",
        metavar="BLOCKSIZE",
        help="size of a block in MB (MiB): 1, 2, 4 ... 4096 (default: the open upload's own; 128, "
        "or the smallest that cuts the file into at most 10,000 blocks)",
    )
    how.add_argument(
        "--start",
        type=int,
        dest="first",
        metavar="START",
        help="first block to upload, from 0 (default: the first)",
    )
    how.add_argument(
        "--end",
        type=int,
        dest="last",
        metavar="END",
        help="last block to upload, included (default: the last)",
    )
    how.add_argument(
        "--finish-upload",
        type=_true_or_false,
        default=True,
        dest="finish",
        metavar="{True,False}",
        help="complete the upload once its blocks are stored (default: True)",
    )
    service = parser.add_argument_group("the service")
    service.add_argument("--profile", help="profile in the AWS configuration files")
    service.add_argument("--region", help="AWS region, such as eu-west-1")
    service.add_argument("--endpoint-url", type=_url, help="another address of the service")
    service.add_argument(
        "--account-id",
        type=_account_id,
        default="-",
        help="the vault's account (default: your own)",
    )
    service.add_argument(
        "--retry-minutes",
        type=_minutes,
        metavar="MINUTES",
        default=15.0,
        help="how long one call is retried through passing trouble (default: 15)",
    )
    trial = parser.add_argument_group("trying it out")
    trial.add_argument(
        "--rehearse",
        metavar="DIR",
        help="upload to a Glacier stand-in inside this process that keeps its vaults in DIR: "
        "no account, no charge, nothing leaves the machine",
    )
    trial.add_argument("--dry-run", action="store_true", help="print the plan and call nothing")
    said = parser.add_argument_group("what is said").add_mutually_exclusive_group()
    said.add_argument("--quiet", action="store_true", help="no progress, only trouble")
    said.add_argument("--verbose", action="store_true", help="every block, and tracebacks")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def parse(parser: Parser, arguments: Sequence[str], *, script: str) -> Options:
    """Return the options that the arguments give. Raises BadInput; exits for --help, --version."""
    words = _with_joined_values(parser, arguments)
    values = vars(parser.parse_args(words))
    values.setdefault("threads", None)
    options = Options(script=script, words=tuple(words), **values)
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


def default_description(source_path: str) -> str:
    """Return the description of an archive whose owner gave none.

    The path's printable ASCII characters stay as they are, the bytes of all others are
    percent-encoded, and the whole is cut to what Glacier takes.
    """
    path = quote_from_bytes(os.fsencode(source_path), safe=_PRINTABLE_ASCII)
    return f"Archive for {path}"[:LONGEST_DESCRIPTION]


def threads(text: str) -> int:
    """Read a number of threads, as a type of argparse."""
    count = int(text) if re.fullmatch(r"\d+", text, re.ASCII) else 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return count


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


def _vault(text: str) -> str:
    wrong = re.search(r"[^A-Za-z0-9_.-]", text)
    if wrong:
        raise argparse.ArgumentTypeError(
            f"{wrong.group()!r} cannot be in a vault's name; A-Z a-z 0-9 _ . - can"
        )
    if not 1 <= len(text) <= 255:
        raise argparse.ArgumentTypeError(
            f"a vault's name has 1 to 255 characters, and this has {len(text)}"
        )
    return text


def _comment(text: str) -> str:
    for position, character in enumerate(text, start=1):
        if character not in _PRINTABLE_ASCII:
            raise argparse.ArgumentTypeError(
                f"character {position} is {character!r}, and Glacier takes printable ASCII only"
            )
    if len(text) > LONGEST_DESCRIPTION:
        raise argparse.ArgumentTypeError(
            f"{len(text):,} characters are more than the {LONGEST_DESCRIPTION:,} that Glacier takes"
        )
    return text


def _upload_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no upload id; those are of A-Z a-z 0-9 _ -")
    return text


def _blocksize(text: str) -> int:
    if not re.fullmatch(r"-?\d+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of MB, such as 128")
    block_size = int(text) * MIB
    if not is_block_size(block_size):
        below, above = nearest_block_sizes(int(text))
        raise argparse.ArgumentTypeError(
            f"{text} is not a power of two from 1 to 4096; the nearest are {below} and {above}"
        )
    return block_size


def _true_or_false(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")
    return text.lower() == "true"


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is no address such as https://host:port")
    return text


def _account_id(text: str) -> str:
    if not re.fullmatch(r"-|\d{12}", text, re.ASCII):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither 12 digits nor - for your own account"
        )
    return text


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes, 0 or more")
    return minutes
