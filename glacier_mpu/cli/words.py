"""The words for what happens while an upload runs, and figures written for people. Pure."""

from __future__ import annotations

from functools import singledispatch
from urllib.parse import urlsplit

from glacier_mpu.cli.next_step import renewal
from glacier_mpu.errors import SourceUnreadable, quoted, redacted
from glacier_mpu.source.blocks import MIB, PREFERRED_BLOCK, Plan, as_named_ranges
from glacier_mpu.transfer.events import (
    AbortFailed,
    BlockDiffers,
    BlockFailed,
    BlockMatches,
    BlocksBegin,
    BlockSent,
    BlockSizeRaised,
    CandidateRejected,
    Completing,
    Connected,
    DescriptionKept,
    Event,
    KnownBlocks,
    LedgerUnusable,
    MissingBlocks,
    NothingToResume,
    Resuming,
    TryingAgain,
    UploadOpened,
)
from glacier_mpu.transfer.pacing import Measured, Settled, SlowedDown
from glacier_mpu.vault.errors import CredentialsExpired, TransientError
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.proxies import is_on_this_machine
from glacier_mpu.vault.regions import UnknownRegion
from glacier_mpu.vault.retry import Retry

# By Retry.call, the name of the Vault's method; a block's number is added.
_CALLS = {
    "initiate": "start the upload",
    "send_block": "send block",
    "list_parts": "list the stored blocks",
    "list_uploads": "list the open uploads",
    "complete": "complete the upload",
    "abort": "abort the upload",
}


@singledispatch
def as_text(event: Event) -> str:
    """Return the line that says what happened; empty where there is nothing to say."""
    return ""


@as_text.register
def _(event: Connected) -> str:
    if not _is_unencrypted(event.endpoint_url):
        return ""
    return f"warning: the data is sent unencrypted to {redacted(event.endpoint_url)}"


@as_text.register
def _(event: UnknownRegion) -> str:
    nearest = f" (the nearest is {event.nearest})" if event.nearest else ""
    return (
        f"warning: no Glacier is known in the region {event.region}{nearest}; it is tried all the "
        "same"
    )


@as_text.register
def _(event: BlockSizeRaised) -> str:
    return (
        f"the file has more than 10,000 blocks of {PREFERRED_BLOCK // MIB} MB; using blocks of "
        f"{event.block_size // MIB} MB"
    )


@as_text.register
def _(event: CandidateRejected) -> str:
    if event.error is not None:
        reason = event.error.message
    else:
        reason = f"none of {event.compared} compared blocks is this file's"
    return f"not resuming upload {event.upload_id}: {reason}"


@as_text.register
def _(event: NothingToResume) -> str:
    return (
        f"no open upload to resume with the description {quoted(event.description)}; starting a "
        "new one"
    )


@as_text.register
def _(event: Resuming) -> str:
    text = (
        f"resuming upload {event.upload.upload_id}, started "
        f"{event.upload.created:%Y-%m-%d %H:%M:%S %Z}: {event.stored:,} of {event.count:,} blocks "
        "are stored"
    )
    if event.among > 1:
        text += (
            f"; of {event.among} open uploads with this description it holds most of this file "
            f"({event.matching} of {event.compared} compared blocks are the file's)"
        )
    return text


@as_text.register
def _(event: DescriptionKept) -> str:
    return f"the archive keeps the open upload's description: {quoted(event.description)}"


@as_text.register
def _(event: UploadOpened) -> str:
    return f"upload-id: {event.upload_id}"


@as_text.register
def _(event: MissingBlocks) -> str:
    return f"not stored yet, to be sent: {as_named_ranges(event.numbers)}"


@as_text.register
def _(event: KnownBlocks) -> str:
    return (
        f"already stored, according to the ledger: {as_named_ranges(event.numbers)}, "
        f"{as_size(event.size)}; not read again"
    )


@as_text.register
def _(event: LedgerUnusable) -> str:
    return (
        f"warning: the ledger in {quoted(event.folder)} cannot be used ({event.reason}): the next "
        "run may have to read again what this one reads"
    )


@as_text.register
def _(event: BlockSent) -> str:
    return f"block {event.block.number} is stored"


@as_text.register
def _(event: BlockMatches) -> str:
    return f"block {event.block.number} is already stored"


@as_text.register
def _(event: BlockDiffers) -> str:
    stored = event.stored
    if event.tree_hash is None:
        reason = f"{stored.size:,} bytes are stored, the file's block has {event.block.size:,}"
    else:
        reason = (
            f"its stored tree hash is {stored.tree_hash.hex()}, the file's {event.tree_hash.hex()}"
        )
    return f"block {event.block.number} differs: {reason}"


@as_text.register
def _(event: BlockFailed) -> str:
    return f"block {event.block.number} failed: {event.error.message}"


@as_text.register
def _(event: Completing) -> str:
    return "completing the upload"


@as_text.register
def _(event: AbortFailed) -> str:
    return f"the upload could not be aborted, and stays open: {event.error.message}"


@as_text.register
def _(event: Measured) -> str:
    return f"slots: {event.slots} ({_as_rate(event.rate)})"


@as_text.register
def _(event: Settled) -> str:
    return f"auto: {_blocks(event.slots)} at once, {_as_rate(event.rate)}"


@as_text.register
def _(event: SlowedDown) -> str:
    return f"auto: too many at once ({event.met}); {event.slots} from now on"


@as_text.register
def _(event: Retry) -> str:
    when = f"in {event.wait_seconds:.0f} s" if event.wait_seconds >= 1 else "in under a second"
    if isinstance(event.error, SourceUnreadable):  # which says itself what cannot be read
        return f"{event.error.message}; retrying {when}"
    call = _CALLS.get(event.call, event.call) + (
        f" {event.block}" if event.block is not None else ""
    )
    return f"could not {call}: {event.error.message}; retrying {when}"


@as_text.register
def _(event: Outage) -> str:
    error, reason = event.error, event.error.message
    until = f"until {event.until:%H:%M}"
    if event.lasted_seconds:
        until += f" ({as_duration(event.lasted_seconds)} so far)"
    if isinstance(error, CredentialsExpired):
        return f"{reason}; {renewal(error)}; waiting for new ones {until}"
    # An answer that cannot be read has neither a status nor a code.
    if isinstance(error, TransientError) and error.code and not error.status:
        reason = f"no connection ({reason})"
    return f"{reason}; retrying {until}"


@as_text.register
def _(event: OutageOver) -> str:
    what = "calls get through again"
    if isinstance(event.error, SourceUnreadable):
        what = "the file can be read again"
    elif isinstance(event.error, CredentialsExpired):
        what = "the credentials are accepted again"
    return f"{what}, after {as_duration(event.seconds)}"


@as_text.register
def _(event: TryingAgain) -> str:
    return f"trying {as_named_ranges(event.numbers)} once more"


def begin_lines(event: BlocksBegin) -> list[str]:
    """Return a line for what is about to be sent, and one for what is about to be compared."""
    lines = []
    if event.to_send.blocks:
        lines.append(f"sending {_blocks(event.to_send.blocks)}, {as_size(event.to_send.size)}")
    if event.to_compare.blocks:
        blocks = _blocks(event.to_compare.blocks, kind="stored ")
        lines.append(f"comparing {blocks} with the file, {as_size(event.to_compare.size)}")
    return lines


def as_size(size: int) -> str:
    """Write a number of bytes for people: `60.1 MiB`."""
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.1f} {unit}" if unit != "B" else f"{size} B"
        number /= 1024
    return f"{number:.1f} TiB"


def as_duration(seconds: float) -> str:
    """Write a time for people: `3:05:09`, with days in front where there are any."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hour}:{minute:02}:{second:02}"


def as_plan(plan: Plan) -> str:
    """Say what a file is cut into: `480 blocks of 128 MiB`."""
    return (
        "1 block" if plan.count == 1 else f"{plan.count:,} blocks of {plan.block_size // MIB} MiB"
    )


def _blocks(count: int, *, kind: str = "") -> str:
    return f"{count:,} {kind}block{'s' * (count != 1)}"


def _as_rate(rate: float) -> str:
    return f"{rate / MIB:.1f} MiB/s"


def _is_unencrypted(endpoint_url: str) -> bool:
    """Tell whether the data crosses a network where others could read it."""
    return urlsplit(endpoint_url).scheme == "http" and not is_on_this_machine(endpoint_url)
