"""How far a run is, in one line: for the log, for the answer to a signal. Pure."""

from __future__ import annotations

from glacier_mpu.cli.figures import as_duration, as_rate, as_size, counted
from glacier_mpu.cli.snapshot import Phase, Snapshot

_PHASES = {
    Phase.OPENING: "opening the upload",
    Phase.SENDING: "sending",
    Phase.COMPARING: "comparing",
    Phase.COMPLETING: "completing the upload",
    Phase.ENDED: "ended",
}


def progress_line(snapshot: Snapshot) -> str:
    """Say what is being done and how far it is: `sending: 4 of 57 blocks, 0.5 GiB of …`."""
    return f"{_PHASES[snapshot.phase]}: {progress_text(snapshot)}"


def progress_text(snapshot: Snapshot) -> str:
    """Say how far it is: `4 of 57 blocks, 0.5 GiB of 7.1 GiB (7 %), 5.2 MiB/s, 0:22:10 left`."""
    parts = [*_amounts(snapshot), *pace(snapshot), *_besides(snapshot)]
    return ", ".join(parts) or f"{as_duration(snapshot.elapsed_seconds)} so far"


def pace(snapshot: Snapshot) -> list[str]:
    """Say how fast it goes and how long that takes, or why it does not go."""
    if snapshot.stalled_seconds:
        return [f"stalled {as_minutes(snapshot.stalled_seconds)}"]
    if snapshot.source_silent_seconds:
        return [f"waiting for the stream {as_minutes(snapshot.source_silent_seconds)}"]
    if snapshot.seconds_left is not None:
        return [as_rate(snapshot.rate), f"{as_duration(snapshot.seconds_left)} left"]
    if snapshot.is_reading:
        return ["reading"]
    return [as_rate(snapshot.rate)] if snapshot.rate else []


def done_of_all(snapshot: Snapshot) -> tuple[int, int]:
    """Return how many bytes are done and how many there are, of what the phase is about."""
    if snapshot.phase is Phase.COMPARING:
        return snapshot.bytes_compared, snapshot.bytes_to_compare
    return snapshot.bytes_done, snapshot.size or 0


def percent(snapshot: Snapshot) -> int:
    """Return the same in whole percent, rounded down; below 100 before the end of a stream."""
    done, size = done_of_all(snapshot)
    whole = 100 * done // size if size else 0
    return min(whole, 99) if snapshot.is_open_ended else whole


def as_minutes(seconds: float) -> str:
    """Write a time of which few hours are expected: `0:58`, `1:05:09`."""
    if seconds >= 3600:
        return as_duration(seconds)
    minute, second = divmod(int(seconds), 60)
    return f"{minute}:{second:02}"


def _amounts(snapshot: Snapshot) -> list[str]:
    if snapshot.phase is Phase.COMPARING:
        blocks = f"{snapshot.compared:,} of {snapshot.to_compare:,} blocks compared"
    elif snapshot.is_open_ended:
        return _amounts_of_stream(snapshot)
    elif snapshot.blocks is None:
        return []
    else:
        blocks = f"{snapshot.blocks_done:,} of {snapshot.blocks:,} blocks"
    done, size = done_of_all(snapshot)
    return [blocks, f"{as_size(done)} of {as_size(size)} ({percent(snapshot)} %)"]


def _amounts_of_stream(snapshot: Snapshot) -> list[str]:
    """Say how far a stream is whose end is not known: `12 blocks stored, 1.5 GiB sent, …`."""
    if not snapshot.upload_id:
        return []
    parts = [
        f"{counted(snapshot.blocks_done)} stored",
        f"{as_size(snapshot.bytes_stored + snapshot.bytes_on_the_way)} sent",
        f"{as_size(snapshot.bytes_read or 0)} read",
        f"{as_size(snapshot.bytes_spooled)} in the spool",
    ]
    if snapshot.size:
        parts.append(f"{percent(snapshot)} % of at most {as_size(snapshot.size)}")
    return parts


def _besides(snapshot: Snapshot) -> list[str]:
    parts = []
    if snapshot.phase is Phase.SENDING and snapshot.to_compare:
        parts.append(f"{snapshot.compared:,} of {snapshot.to_compare:,} compared")
    if snapshot.blocks_failed:
        parts.append(f"{snapshot.blocks_failed:,} failed")
    return parts
