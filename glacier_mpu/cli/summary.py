"""The first line of a run, and how much it did, in one line at its end. Pure."""

from __future__ import annotations

from glacier_mpu.cli.figures import as_duration, as_plan, as_rate, as_size, counted
from glacier_mpu.cli.snapshot import Snapshot
from glacier_mpu.errors import quoted
from glacier_mpu.transfer.request import FileRequest, Outcome, Status, StreamRequest


def first_line(request: FileRequest | StreamRequest, *, vault: str) -> str:
    """Say what the run is about: the source, what it is cut into, and where it goes.

    The blocks of an upload that is resumed are not known yet, nor is the size of a stream.
    """
    if isinstance(request, StreamRequest):
        return f"uploading {request.source.name} to vault {vault}"
    size = as_size(request.source.size)
    blocks = "" if request.resumes else f", {as_plan(request.plan())}"
    return f"uploading {quoted(request.source.path)} ({size}{blocks}) to vault {vault}"


def summary_line(outcome: Outcome, snapshot: Snapshot) -> str:
    """Say how much the run did; empty where there is nothing to say."""
    if outcome.status in (Status.COMPLETED, Status.STORED):
        return _done(snapshot, outcome.bytes_skipped)
    if outcome.status is not Status.OPEN:
        return ""
    if snapshot.is_open_ended:
        return _left_open_in_mid_stream(snapshot) if snapshot.upload_id else ""
    return _left_open(snapshot) if snapshot.size else ""


def _done(snapshot: Snapshot, skipped: int) -> str:
    seconds, sent = snapshot.elapsed_seconds, snapshot.bytes_stored
    text = f"stored {as_size(sent + skipped)} in {as_duration(seconds)}"
    if skipped:
        before = f"{as_size(sent)} sent, {as_size(skipped)} stored before"
        text += f" ({before if sent else 'all of it stored before'})"
    if sent:
        text += f", {as_rate(sent / max(seconds, 1e-3))}"
    return f"{text}, {_retries(snapshot.retries)}"


def _left_open(snapshot: Snapshot) -> str:
    blocks = f"{snapshot.blocks_done:,} of {snapshot.blocks:,} blocks"
    stored = as_size(snapshot.bytes_done - snapshot.bytes_on_the_way)
    text = f"stored so far: {blocks}, {stored} of {as_size(snapshot.size or 0)}"
    if snapshot.compared < snapshot.to_compare:
        text += f", {snapshot.compared:,} of {snapshot.to_compare:,} compared"
    if snapshot.bytes_on_the_way:
        text += f"; {as_size(snapshot.bytes_on_the_way)} on the way were dropped"
    return text


def _left_open_in_mid_stream(snapshot: Snapshot) -> str:
    """Say the same of a stream that was not read to its end."""
    stored = as_size(snapshot.bytes_done - snapshot.bytes_on_the_way)
    text = f"read and stored so far: {counted(snapshot.blocks_done)}, {stored}"
    if snapshot.bytes_spooled:
        text += f"; {as_size(snapshot.bytes_spooled)} more were read and dropped"
    return text


def _retries(count: int) -> str:
    return f"{count:,} retr{'y' if count == 1 else 'ies'}" if count else "no retries"
