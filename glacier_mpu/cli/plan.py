"""What a dry run tells: the blocks, the requests, and how long they take. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from glacier_mpu.cli.figures import as_limit, as_size
from glacier_mpu.cli.options import Options
from glacier_mpu.cli.values import AUTO
from glacier_mpu.source.blocks import LARGEST_BLOCK, MIB, Plan, as_ranges, smallest_block_size
from glacier_mpu.transfer.bandwidth import Timetable
from glacier_mpu.transfer.pacing import FIRST_SLOTS

PRICES = "https://aws.amazon.com/s3/glacier/pricing/"
# What it takes is told for these lines where there are times without a limit.
_LINES_MBIT = (10, 100, 1000)
_BYTES_IN_MBIT = 1e6 / 8
# A block that fails is sent again from its first byte: the longer it takes, the more is lost.
_LONG_BLOCK_SECONDS = 5 * 60
# Beyond some ten years no calendar is of use, and Python's ends in the year 9999.
_FORESEEABLE_SECONDS = 3650 * 86400


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long it takes over a line of `mbit`; None where the limit is all that is known.

    block_seconds  of one block at the slowest rate, with the others on the line
    """

    mbit: int | None
    seconds: float
    block_seconds: float


def plan_record(options: Options, plan: Plan, *, now: datetime) -> dict[str, object]:
    """Return what a dry run tells: sizes in bytes, and the requests that AWS will bill."""
    asked = plan.selection(options.first, options.last)
    last = plan.block(plan.count - 1)
    return {
        "status": "planned",
        "size": plan.size,
        "blockSize": plan.block_size,
        "blocks": plan.count,
        "lastBlock": last.number,
        "lastBlockSize": last.size,
        "blocksToSend": as_ranges(asked),
        "bytesToSend": _size_to_send(options, plan),
        "blocksAtOnce": _at_once(options, plan),
        "requests": len(asked) + (options.upload_id is None) + options.finish,
        "estimates": [
            {
                "lineMbit": estimate.mbit,
                "seconds": round(estimate.seconds, 1),
                "secondsPerBlock": round(estimate.block_seconds, 1),
            }
            for estimate in estimates(options, plan, now=now)
        ],
        "suggestedBlockSize": suggested_block_size(options, plan),
        "mostSize": None,
        "spool": None,
        "spoolSize": None,
    }


def plan_lines(options: Options, plan: Plan, *, now: datetime) -> list[str]:
    """Return the same for people."""
    record = plan_record(options, plan, now=now)
    last = plan.block(plan.count - 1)
    short = "" if last.size == plan.block_size else ", shorter than the others"
    resumes = options.resume or options.upload_id is not None
    unless = "; an open upload keeps its own" if options.block_size is None and resumes else ""
    return [
        f"size: {plan.size} ({as_size(plan.size)})",
        f"block-size: {plan.block_size} ({plan.block_size // MIB} MiB{unless})",
        f"blocks: {plan.count} ({as_ranges(plan.numbers)})",
        f"last-block: {last.number} ({last.size} bytes{short})",
        f"blocks-to-send: {record['blocksToSend']}",
        f"bytes-to-send: {record['bytesToSend']} ({as_size(_size_to_send(options, plan))})",
        f"requests: {record['requests']} (billed by AWS; retries and listings are extra)",
        f"prices: {PRICES}",
        *estimate_lines(options, plan, now=now),
    ]


def plan_warnings(options: Options, plan: Plan) -> list[str]:
    """Return what is unwise in the plan."""
    rate = _slowest_limit(options)
    if rate is None or _is_short(options, plan, rate):
        return []
    text = (
        f"at {as_limit(rate)} a block takes {_as_time(_block_seconds(options, plan, rate))}"
        f"{_together(options, plan)}, and one that fails is sent again from its first byte"
    )
    suggested = suggested_block_size(options, plan)
    if suggested is None:
        return [text]
    seconds = _block_seconds(options, Plan(plan.size, suggested), rate)
    return [f"{text}; with --blocksize {suggested // MIB} it takes {_as_time(seconds)}"]


def estimate_lines(options: Options, plan: Plan, *, now: datetime) -> list[str]:
    """Return how long the asked blocks take: `time: 3.1 hours at 1.0 MB/s; 6.7 minutes a block`."""
    return [_line(options, plan, estimate, now) for estimate in estimates(options, plan, now=now)]


def estimates(options: Options, plan: Plan, *, now: datetime) -> list[Estimate]:
    """Return how long the asked blocks take, begun now: by the limit alone, or for some lines."""
    limits = _limits(options)
    size, slowest = _size_to_send(options, plan), _slowest_limit(options) or float("inf")
    lines = _LINES_MBIT if None in limits.rates else (None,)
    made = []
    for mbit in lines:
        line = float("inf") if mbit is None else mbit * _BYTES_IN_MBIT
        seconds = limits.seconds_for(size, begin=now, line=line)
        made.append(Estimate(mbit, seconds, _block_seconds(options, plan, min(line, slowest))))
    return made


def suggested_block_size(options: Options, plan: Plan) -> int | None:
    """Return the largest block size that suits the limit, where the plan's is too large for it.

    None where the plan's suits, too, or no size does, or an open upload keeps its own.
    """
    rate = _slowest_limit(options)
    if rate is None or options.upload_id is not None or _is_short(options, plan, rate):
        return None
    suits, size = None, smallest_block_size(plan.size)
    while size <= LARGEST_BLOCK:
        if _is_short(options, Plan(plan.size, size), rate):
            suits = size
        size *= 2
    return suits


def _line(options: Options, plan: Plan, estimate: Estimate, now: datetime) -> str:
    """Write an estimate: `time: 3.1 hours at 1.0 MB/s; 6.7 minutes a block, 3 at once`."""
    limits = _limits(options)
    key = "time" if estimate.mbit is None else f"time-at-{estimate.mbit}-Mbit/s"
    text, most = _as_time(estimate.seconds), ""
    if len(limits.rates) > 1:
        text, most = text + _until(estimate, now), "at most "
    elif (rate := _slowest_limit(options)) is not None:
        text = f"{text} at {as_limit(rate)}"
    a_block = f"{most}{_as_time(estimate.block_seconds)} a block"
    return f"{key}: {text}; {a_block}{_together(options, plan)}"


def _until(estimate: Estimate, now: datetime) -> str:
    if estimate.seconds > _FORESEEABLE_SECONDS:
        return ""
    end = now + timedelta(seconds=estimate.seconds)
    return f", until {end:%Y-%m-%d %H:%M} if it begins now"


def _size_to_send(options: Options, plan: Plan) -> int:
    asked = plan.selection(options.first, options.last)
    return sum(block.size for block in plan.blocks(asked))


def _limits(options: Options) -> Timetable:
    return options.max_bandwidth or Timetable.always(None)


def _slowest_limit(options: Options) -> int | None:
    return min((rate for rate in _limits(options).rates if rate is not None), default=None)


def _at_once(options: Options, plan: Plan) -> int:
    """Return how many blocks share the line; `auto` begins with this many, and has to find out."""
    threads = FIRST_SLOTS if options.threads == AUTO else options.threads or 1
    return min(threads, len(plan.selection(options.first, options.last)))


def _together(options: Options, plan: Plan) -> str:
    at_once = _at_once(options, plan)
    return f", {at_once} at once" if at_once > 1 else ""


def _block_seconds(options: Options, plan: Plan, rate: float) -> float:
    """Return how long a block takes at a rate that it shares with the others."""
    return min(plan.block_size, plan.size) * _at_once(options, plan) / rate


def _is_short(options: Options, plan: Plan, rate: float) -> bool:
    return _block_seconds(options, plan, rate) <= _LONG_BLOCK_SECONDS


def _as_time(seconds: float) -> str:
    """Write a rough time: `45 seconds`, `6.7 minutes`, `31.2 hours`, `12.3 days`."""
    if seconds < 1:
        return "under a second"
    for unit, length, enough in (("seconds", 1, 90), ("minutes", 60, 90), ("hours", 3600, 72)):
        if seconds < enough * length:
            return f"{seconds / length:.{0 if length == 1 else 1}f} {unit}"
    return f"{seconds / 86400:.1f} days"
