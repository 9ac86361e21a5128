"""The words for what only the upload of a stream tells while it runs. Pure."""

from __future__ import annotations

from functools import singledispatch

from glacier_mpu.cli.figures import as_duration, as_plan, as_size, counted
from glacier_mpu.source.blocks import MIB
from glacier_mpu.transfer.events import Event
from glacier_mpu.transfer.stream_events import (
    BlockRead,
    BlocksRunningOut,
    CommandSaid,
    MoreThanExpected,
    SourceSilent,
    StreamEnded,
    StreamOpened,
)

MORE_IS_ALLOWED = "--expected-size or --blocksize allow more"


@singledispatch
def stream_text(event: Event) -> str:
    """Return the line that says what happened; empty where there is nothing to say."""
    return ""


def opened_lines(event: StreamOpened) -> list[str]:
    """Return a line for the upload, and one for how much it can take."""
    block_size = f"{event.block_size // MIB} MiB"
    fits = f"blocks of {block_size}: the stream may have up to {as_size(event.most_size)}"
    if not event.is_new:
        return [_resumed(event), fits]
    more = "" if event.expected_size is not None else f" ({MORE_IS_ALLOWED})"
    return [f"upload-id: {event.upload_id}", fits + more]


def _resumed(event: StreamOpened) -> str:
    return (
        f"resuming upload {event.upload_id}: {counted(event.stored)} stored; the stream is read "
        "from its beginning, and what is stored alike is not sent again"
    )


@stream_text.register
def _(event: BlockRead) -> str:
    return f"block {event.block.number} was read"


@stream_text.register
def _(event: StreamEnded) -> str:
    return f"the stream has ended: {as_size(event.plan.size)}, {as_plan(event.plan)}"


@stream_text.register
def _(event: BlocksRunningOut) -> str:
    return (
        f"warning: {event.used:,} of the {counted(event.most)} that Glacier allows are used, and "
        f"the stream may have {as_size(event.left)} more; if it is longer, this upload cannot be "
        "completed: then stop this run, and start a new upload with a larger --expected-size or "
        "--blocksize"
    )


@stream_text.register
def _(event: MoreThanExpected) -> str:
    return (
        f"warning: the stream is longer than the {as_size(event.expected_size)} of "
        f"--expected-size; up to {as_size(event.most_size)} fit"
    )


@stream_text.register
def _(event: SourceSilent) -> str:
    expires = event.expires.astimezone()
    return (
        f"warning: the stream has given nothing to send for {as_duration(event.seconds)}; the "
        f"upload may expire on {expires:%Y-%m-%d} at {expires:%H:%M} unless a block is stored "
        "before"
    )


@stream_text.register
def _(event: CommandSaid) -> str:
    return said_text(event.program, event.text)


def said_text(program: str, text: str) -> str:
    """Return a line of a command with its program in front, which most put there themselves."""
    return text if text.startswith(f"{program}:") else f"{program}: {text}"
