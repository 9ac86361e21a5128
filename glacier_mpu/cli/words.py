"""The words for what happens while an upload runs. Pure."""

from __future__ import annotations

from functools import singledispatch
from urllib.parse import urlsplit

from glacier_mpu.cli.figures import (
    as_duration,
    as_limit,
    as_minute,
    as_rate,
    as_size,
    as_stop_time,
    blocks_left,
    counted,
)
from glacier_mpu.cli.next_step import PROXY_STEP, is_of_the_proxy, renewal
from glacier_mpu.cli.stream_words import stream_text
from glacier_mpu.cli.times import DAYS
from glacier_mpu.errors import SourceUnreadable, SpoolFull, quoted, redacted
from glacier_mpu.source.blocks import MIB, MOST_BLOCKS, PREFERRED_BLOCK, as_named_ranges
from glacier_mpu.transfer.bandwidth import MINUTES_A_DAY, BandwidthChanged
from glacier_mpu.transfer.deadline import WindingDown
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
    OtherUpload,
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
    return stream_text(event)


@as_text.register
def _(event: Connected) -> str:
    if not _is_unencrypted(event.endpoint_url):
        return ""
    return f"warning: the data is sent unencrypted to {redacted(event.endpoint_url)}"


@as_text.register
def _(event: UnknownRegion) -> str:
    nearest = f" (the nearest is {event.nearest})" if event.nearest else ""
    return (
        f"warning: Glacier is not known to be in the region {event.region}{nearest}; trying it "
        "anyway"
    )


@as_text.register
def _(event: BlockSizeRaised) -> str:
    return (
        f"the file has more than {MOST_BLOCKS:,} blocks of {PREFERRED_BLOCK // MIB} MiB; using "
        f"blocks of {event.block_size // MIB} MiB"
    )


@as_text.register
def _(event: CandidateRejected) -> str:
    if event.error is not None:
        reason = event.error.message
    elif event.compared == 1:
        reason = "the block that was compared is not this file's"
    else:
        reason = f"none of the {event.compared} blocks that were compared is this file's"
    return f"not resuming upload {event.upload_id}: {reason}"


@as_text.register
def _(event: NothingToResume) -> str:
    return (
        f"no open upload to resume with the description {quoted(event.description)}; starting a "
        "new one"
    )


@as_text.register
def _(event: OtherUpload) -> str:
    upload = event.upload
    text = (
        f"warning: an open upload with the description {quoted(upload.description)}, begun "
        f"{as_minute(upload.created)}, seems to be of this file, and holds {event.stored:,} of "
        f"{counted(event.count)}; to resume that one, stop this run and give "
        f"--upload-id={upload.upload_id} instead of --resume"
    )
    return text + (f" ({event.more} more like it)" if event.more else "")


@as_text.register
def _(event: Resuming) -> str:
    text = (
        f"resuming upload {event.upload.upload_id}, begun {as_minute(event.upload.created)}: "
        f"{event.stored:,} of {counted(event.count)} stored"
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
    return f"upload-id: {event.upload_id}" if event.is_new else ""


@as_text.register
def _(event: MissingBlocks) -> str:
    return blocks_left(event.numbers, event.count)


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
        "run may have to read again what this one has read"
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
        reason = f"{stored.size:,} bytes of it are stored, and the file has {event.block.size:,}"
    else:
        reason = (
            f"its stored tree hash is {stored.tree_hash.hex()}, now it is {event.tree_hash.hex()}"
        )
    return f"block {event.block.number} differs: {reason}"


@as_text.register
def _(event: BlockFailed) -> str:
    return f"warning: block {event.block.number} failed: {event.error.message}"


@as_text.register
def _(event: Completing) -> str:
    return "completing the upload"


@as_text.register
def _(event: AbortFailed) -> str:
    return f"warning: the upload could not be aborted, and stays open: {event.error.message}"


@as_text.register
def _(event: Measured) -> str:
    return f"auto: measured {as_rate(event.rate)} with {counted(event.slots)} at once"


@as_text.register
def _(event: Settled) -> str:
    return f"auto: settled on {counted(event.slots)} at once, {as_rate(event.rate)}"


@as_text.register
def _(event: SlowedDown) -> str:
    return f"auto: too many blocks at once ({event.met}); going on with {event.slots}"


@as_text.register
def _(event: BandwidthChanged) -> str:
    day, minute = divmod(event.entry.minute, MINUTES_A_DAY)
    time = f"{minute // 60:02}:{minute % 60:02}"
    since = f"since {DAYS[day][:3]} {time}" if event.at_start else f"from {time}"
    return f"bandwidth: {as_limit(event.entry.rate)} {since}"


@as_text.register
def _(event: WindingDown) -> str:
    text = f"stopping {as_stop_time(event.stop_time)}"
    if not event.sending:
        return text
    finished = "its way is" if event.sending == 1 else "their way are"
    return f"{text}: {counted(event.sending)} on {finished} finished first"


@as_text.register
def _(event: Retry) -> str:
    when = f"in {event.wait_seconds:.0f} s" if event.wait_seconds >= 1 else "now"
    if isinstance(event.error, SourceUnreadable):  # which says itself what cannot be read
        return f"warning: {event.error.message}; retrying {when}"
    call = _CALLS.get(event.call, event.call) + (
        f" {event.block}" if event.block is not None else ""
    )
    return f"warning: could not {call}: {event.error.message}; retrying {when}"


@as_text.register
def _(event: Outage) -> str:
    error, reason = event.error, event.error.message
    until = f"until {event.until:%H:%M}"
    if event.lasted_seconds:
        until += f" ({as_duration(event.lasted_seconds)} so far)"
    if isinstance(error, CredentialsExpired):
        return f"warning: {reason}; {renewal(error)}; waiting for new ones {until}"
    # An answer that cannot be read has neither a status nor a code.
    if isinstance(error, TransientError) and error.code and not error.status:
        reason = f"no connection ({reason})"
    if is_of_the_proxy(error):
        reason += f"; {PROXY_STEP}"
    return f"warning: {reason}; retrying {until}"


@as_text.register
def _(event: OutageOver) -> str:
    what = "calls get through again"
    if isinstance(event.error, SpoolFull):
        what = "there is room in the spool again"
    elif isinstance(event.error, SourceUnreadable):
        what = "the file can be read again"
    elif isinstance(event.error, CredentialsExpired):
        what = "the credentials are accepted again"
    return f"{what} after {as_duration(event.seconds)}"


@as_text.register
def _(event: TryingAgain) -> str:
    return f"trying {as_named_ranges(event.numbers)} once more"


def begin_lines(event: BlocksBegin) -> list[str]:
    """Return a line for what is about to be sent, and one for what is about to be compared."""
    lines = []
    if event.to_send.blocks:
        lines.append(f"sending {counted(event.to_send.blocks)}, {as_size(event.to_send.size)}")
    if event.to_compare.blocks:
        blocks = counted(event.to_compare.blocks, kind="stored ")
        lines.append(f"comparing {blocks} with the file, {as_size(event.to_compare.size)}")
    return lines


def _is_unencrypted(endpoint_url: str) -> bool:
    """Tell whether the data crosses a network where others could read it."""
    return urlsplit(endpoint_url).scheme == "http" and not is_on_this_machine(endpoint_url)
