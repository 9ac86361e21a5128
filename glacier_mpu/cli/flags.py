"""The flags of both scripts, in the words of --help."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from glacier_mpu import __version__
from glacier_mpu.cli import times, values
from glacier_mpu.cli.completion import PrintCompletion
from glacier_mpu.cli.parser import Help, Parser

T = TypeVar("T")

_SOURCES = (
    "The source is one of --source-path, --source-command, or a program and its arguments after "
    "all flags and --, which needs no shell."
)
_STREAMS = (
    "Standard input, a named pipe and the output of a command are streams: they are read once, in "
    "order, and one that is resumed is read from its beginning again. A failed block never aborts "
    "the upload of a stream."
)


def shared_parser(*, prog: str, description: str) -> Parser:
    """Return a parser with every flag that both scripts take."""
    parser = Parser(prog=prog, description=description, allow_abbrev=False, formatter_class=Help)
    _add_what(parser.add_argument_group("source and vault", _SOURCES))
    _add_how(parser.add_argument_group("upload"))
    _add_streams(parser.add_argument_group("streams", _STREAMS))
    _add_when(parser.add_argument_group("time"))
    _add_service(parser.add_argument_group("connection"))
    _add_trial(parser.add_argument_group("testing"))
    _add_output(parser.add_argument_group("output"))
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        help="print a script by which this shell completes the flags, and exit",
    )
    return parser


def add_threads(parser: Parser) -> None:
    """Add the flag of the script that sends several blocks at once."""
    parser.add_argument(
        "--threads",
        type=_checked(values.threads),
        metavar="N|auto",
        default=3,
        help="blocks sent at once, or auto to find the best number while sending (default: 3)",
    )


def _add_what(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--source-path",
        metavar="FILE|-",
        help="the file or block device to upload, 1 byte to 39 TiB, or a named pipe; - is standard "
        "input, of which nobody can tell whether the program that writes it failed",
    )
    group.add_argument(
        "--source-command",
        type=_checked(values.command),
        metavar="COMMAND",
        help="upload what this line for the shell writes to its standard output; if it fails, the "
        "archive is not completed",
    )
    group.add_argument(
        "--vault", required=True, type=_checked(values.vault), help="the vault's name"
    )
    group.add_argument(
        "--comment",
        type=_checked(values.comment),
        help="archive description, up to 1,024 printable ASCII characters "
        "(default: Archive for FILE, or Archive from a stream)",
    )


def _add_how(group: argparse._ArgumentGroup) -> None:
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--upload-id",
        type=_checked(values.upload_id),
        help="resume this open upload: only blocks that are missing or differ are sent",
    )
    which.add_argument(
        "--resume",
        action="store_true",
        help="resume the open upload with this description if the vault has one, else start one; "
        "never abort it",
    )
    group.add_argument(
        "--blocksize",
        type=_checked(values.blocksize),
        dest="block_size",
        metavar="MIB",
        help="size of a block in MiB: 1, 2, 4 ... 4096 (default: the open upload's own, else "
        "128, or the smallest that gives at most 10,000 blocks)",
    )
    group.add_argument(
        "--start",
        type=_checked(values.block_number),
        dest="first",
        metavar="START",
        help="first block to upload, counted from 0 (default: the first)",
    )
    group.add_argument(
        "--end",
        type=_checked(values.block_number),
        dest="last",
        metavar="END",
        help="last block to upload, included (default: the last)",
    )
    group.add_argument(
        "--finish-upload",
        type=_checked(values.true_or_false),
        default=True,
        dest="finish",
        choices=[True, False],
        help="complete the upload once its blocks are stored (default: True)",
    )
    group.add_argument(
        "--ledger",
        type=_checked(values.ledger),
        metavar="DIR|none",
        help="folder of the hashes that earlier runs computed, by which a run need not read those "
        "blocks again to hash them (default: in your cache folder)",
    )
    group.add_argument(
        "--recheck",
        action="store_true",
        help="read and hash every block again, also those that the ledger knows",
    )


def _add_streams(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--expected-size",
        type=_checked(values.size),
        metavar="SIZE",
        help="the most that the stream may come to, such as 8TB or 500GiB, by which the smallest "
        "block is chosen of which 10,000 hold it (default: not known, and blocks of 128 MiB hold "
        "1.2 TiB)",
    )
    group.add_argument(
        "--spool",
        metavar="DIR",
        help="folder with room for one block more than are sent at once: each lies there, in the "
        "clear and readable by you alone, until it is stored (default: the system's temporary "
        "folder)",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="with --resume or --upload-id: go on though the stream differs from what is stored of "
        "it from the first block on",
    )


def _add_when(group: argparse._ArgumentGroup) -> None:
    when = group.add_mutually_exclusive_group()
    when.add_argument(
        "--stop-at",
        type=_checked(times.clock_time),
        metavar="[DAY-]HH:MM",
        help="begin no block from this local time on, such as 07:00 or Sat-07:00; those on their "
        "way are finished, for at most --retry-minutes, and the upload stays open (exit code 3)",
    )
    when.add_argument(
        "--stop-after",
        type=_checked(times.duration),
        metavar="DURATION",
        help="the same, once the run has taken so long: 6h, 30min, 90s or 1h30min",
    )


def _add_service(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--profile", help="profile in the AWS configuration files")
    group.add_argument("--region", help="AWS region, such as eu-west-1")
    group.add_argument(
        "--endpoint-url",
        type=_checked(values.url),
        help="URL to use instead of the service's own",
    )
    group.add_argument(
        "--account-id",
        type=_checked(values.account_id),
        default="-",
        help="AWS account that owns the vault, 12 digits (default: your own)",
    )
    group.add_argument(
        "--retry-minutes",
        type=_checked(values.minutes),
        metavar="MINUTES",
        default=15.0,
        help="how long a call that fails temporarily is retried (default: 15)",
    )
    group.add_argument(
        "--max-bandwidth",
        type=_checked(times.bandwidth),
        metavar="RATE",
        help="bytes or bits per second for all blocks together, such as 6MB or 50Mbit (units are "
        "decimal: 1MB is 1,000,000 bytes), or a timetable in local time as rclone takes it, such "
        "as '08:00,1MB 19:00,off' or 'Mon-08:00,512kB Sat-00:00,off' (default: no limit)",
    )


def _add_trial(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--rehearse",
        metavar="DIR",
        help="upload to a Glacier stand-in inside this process that keeps its vaults in DIR: "
        "no account, no charge, nothing leaves the machine",
    )
    group.add_argument("--dry-run", action="store_true", help="print the plan and call nothing")


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--output",
        choices=["text", "json"],
        default="text",
        help="what goes to stdout: lines, or always exactly one JSON object (default: text)",
    )
    group.add_argument(
        "--receipts", metavar="FILE", help="append a JSON line for a completed archive to FILE"
    )
    group.add_argument(
        "--status-file",
        metavar="FILE",
        help="keep a JSON object in FILE that tells how far the run is, replaced as a whole every "
        "5 seconds",
    )
    how_much = group.add_mutually_exclusive_group()
    how_much.add_argument(
        "--quiet",
        action="store_true",
        help="show only problems and the result: nothing on stderr if all goes well",
    )
    how_much.add_argument("--verbose", action="store_true", help="show every block, and tracebacks")


def _checked(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return `read` as a type of argparse, which would replace the message of a ValueError."""

    def checked(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked
