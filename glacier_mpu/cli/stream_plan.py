"""What a dry run tells of a stream: its blocks, and the room that they take in the spool.

Where a size is expected, it is an upper bound, and so is what follows from it.
"""

from __future__ import annotations

import tempfile
from datetime import datetime

from glacier_mpu.cli.aws_cli import AwsCli
from glacier_mpu.cli.figures import as_size, counted
from glacier_mpu.cli.next_step import error_lines
from glacier_mpu.cli.options import Options
from glacier_mpu.cli.plan import PRICES, estimate_lines, plan_record
from glacier_mpu.cli.stream_words import MORE_IS_ALLOWED
from glacier_mpu.errors import SpoolUnusable
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.source.spool import find_spool
from glacier_mpu.transfer.pacing import MOST_SLOTS
from glacier_mpu.transfer.request import StreamRequest

_UNKNOWN = ("size", "lastBlock", "lastBlockSize", "blocksToSend")
_UNBOUNDED = ("blocks", "bytesToSend", "requests")


def stream_record(options: Options, request: StreamRequest, *, now: datetime) -> dict[str, object]:
    """Return what a dry run tells, with the members that it has for a file."""
    record = plan_record(options, _largest(request), now=now)
    record |= dict.fromkeys(_UNKNOWN)
    if request.expected_size is None:
        record |= {**dict.fromkeys(_UNBOUNDED), "estimates": [], "suggestedBlockSize": None}
    return record | {
        "mostSize": request.new_block_size * request.source.most_blocks,
        "spool": _spool(request),
        "spoolSize": _spool_size(request),
    }


def stream_lines(options: Options, request: StreamRequest, *, now: datetime) -> list[str]:
    """Return the same for people."""
    record = stream_record(options, request, now=now)
    block_size, most = request.new_block_size, request.new_block_size * request.source.most_blocks
    unless = "; an open upload keeps its own" if request.resumes and not request.block_size else ""
    more = "" if request.expected_size else f"; {MORE_IS_ALLOWED}"
    return [
        f"size: {_size(request)}",
        f"block-size: {block_size} ({block_size // MIB} MiB{unless})",
        f"largest-stream: {most} ({as_size(most)}{more})",
        *_bounds(options, request, record, now=now),
        f"prices: {PRICES}",
        f"spool: {_spool(request)}",
        _spool_line(request),
    ]


def _size(request: StreamRequest) -> str:
    if request.expected_size is None:
        return "not known before the stream ends"
    return f"at most {request.expected_size} ({as_size(request.expected_size)}), as expected"


def _bounds(
    options: Options, request: StreamRequest, record: dict[str, object], *, now: datetime
) -> list[str]:
    """Return what follows from the expected size, if there is one."""
    if request.expected_size is None:
        more = int(options.upload_id is None) + options.finish
        return [f"requests: one for each block, and {more} more (billed by AWS; retries are extra)"]
    return [
        f"blocks: at most {record['blocks']}",
        f"requests: at most {record['requests']} (billed by AWS; retries and listings are extra)",
        *(
            line.replace(": ", ": at most ", 1)
            for line in estimate_lines(options, _largest(request), now=now)
        ),
    ]


def _largest(request: StreamRequest) -> Plan:
    """Return the plan of the largest stream that is expected, or else possible."""
    block_size = request.new_block_size
    return Plan(request.expected_size or block_size * request.source.most_blocks, block_size)


def stream_warnings(options: Options, request: StreamRequest) -> list[str]:
    """Return why the run itself would be refused, if the spool lacks the room."""
    try:
        find_spool(request.spool, needed=_spool_size(request))
    except SpoolUnusable as error:
        return ["; ".join(error_lines(error, AwsCli.of(options)))]
    return []


def _spool(request: StreamRequest) -> str:
    """Return the folder that the run itself would use, or be refused for."""
    try:
        return find_spool(request.spool, needed=_spool_size(request))
    except SpoolUnusable:
        return request.spool if request.spool is not None else tempfile.gettempdir()


def _spool_line(request: StreamRequest) -> str:
    """Say how much room the spool needs: the blocks that are sent, and one that is being read."""
    size = _spool_size(request)
    blocks = counted(-(-size // request.new_block_size))
    if request.slots is None:
        blocks += f"; as many as there is room for are used, up to {MOST_SLOTS + 1}"
    return f"spool-size: {size} ({as_size(size)}: {blocks})"


def _spool_size(request: StreamRequest) -> int:
    """Return how many bytes the spool needs, where `auto` begins with the fewest."""
    size = ((request.slots or 1) + 1) * request.new_block_size
    return size if request.expected_size is None else min(size, request.expected_size)
