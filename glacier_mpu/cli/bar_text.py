"""What stands on both sides of the bar, as far as the terminal's width goes. Pure."""

from __future__ import annotations

from glacier_mpu.cli.figures import as_duration, as_size, counted
from glacier_mpu.cli.progress_line import done_of_all, pace, percent
from glacier_mpu.cli.snapshot import Phase, Snapshot

_SHORTEST_BAR = 8
_WAITING = "waiting for the stream"
# By what a line that is too long becomes shorter: each time a field takes its next shorter form.
# With all that stands in the first row, it fits into 60 columns.
_GIVEN_UP = (
    *("elapsed", "spooled", "spooled", "phase", "size", "left", "blocks"),
    *("compared", "compared", "failed", "blocks", "left", "rate", "rate"),
)
_GIVEN_UP_WITHOUT_BAR = (
    *("elapsed", "spooled", "phase", "spooled", "blocks", "read", "failed", "rate"),
    *("sent", "blocks", "rate"),
)


def bar_text(snapshot: Snapshot, *, columns: int) -> str:
    """Return the line for tqdm, in which `{bar}` takes the room that is left.

    A stream of which nobody knows how long it may be has no bar.
    """
    if not _has_bar(snapshot):
        return _without_bar(snapshot, columns=columns)
    fields = _fields(snapshot)
    for field in _GIVEN_UP:
        if len(_line(fields, snapshot)) + _SHORTEST_BAR <= columns:
            break
        fields[field] = fields[field][1:]
    return _line(fields, snapshot, bar="{bar}")


def _has_bar(snapshot: Snapshot) -> bool:
    return bool(snapshot.size) or not snapshot.is_open_ended


def _without_bar(snapshot: Snapshot, *, columns: int) -> str:
    fields = _fields(snapshot)
    for field in _GIVEN_UP_WITHOUT_BAR:
        if len("".join(_phase_and_rest(fields))) <= columns:
            break
        fields[field] = fields[field][1:]
    return "".join(_phase_and_rest(fields))[:columns]


def _line(fields: dict[str, list[str]], snapshot: Snapshot, *, bar: str = "") -> str:
    phase, texts = _phase_and_rest(fields)
    return f"{phase}{percent(snapshot):3}%|{bar}| {texts}"


def _phase_and_rest(fields: dict[str, list[str]]) -> tuple[str, str]:
    texts = {name: forms[0] for name, forms in fields.items() if forms}
    phase = texts.pop("phase", "")
    return phase, ", ".join(filter(None, texts.values()))


def _fields(snapshot: Snapshot) -> dict[str, list[str]]:
    """Return each field in its forms, the longest first; in the order in which they are shown."""
    rate, *left = pace(snapshot) or [""]
    return {
        "phase": [f"{snapshot.phase.value} "] if snapshot.phase is not Phase.ENDED else [],
        "size": [_sizes(*done_of_all(snapshot))] if _has_bar(snapshot) else [],
        "sent": _sent(snapshot),
        "read": _read(snapshot),
        "rate": [rate, rate.replace(_WAITING, "waiting")] if _WAITING in rate else [rate],
        "left": [form for text in left for form in (text, text.removesuffix(" left"))],
        "blocks": _blocks(snapshot),
        "spooled": _spooled(snapshot),
        "compared": _compared_beside(snapshot),
        "failed": [f"{snapshot.blocks_failed:,} failed"] if snapshot.blocks_failed else [],
        "elapsed": [f"{as_duration(snapshot.elapsed_seconds)} so far"],
    }


def _blocks(snapshot: Snapshot) -> list[str]:
    if snapshot.phase is Phase.COMPARING:
        return [f"{snapshot.compared:,}/{snapshot.to_compare:,} compared"]
    if snapshot.is_open_ended and not snapshot.upload_id:
        return []
    if snapshot.is_open_ended:
        return [f"{counted(snapshot.blocks_done)} stored", counted(snapshot.blocks_done)]
    blocks = f"{snapshot.blocks_done:,}/{snapshot.blocks or 0:,}"
    return [f"{blocks} blocks", blocks]


def _sent(snapshot: Snapshot) -> list[str]:
    """Say what was sent of a stream that has no bar to show it."""
    sent = snapshot.bytes_stored + snapshot.bytes_on_the_way
    return [] if _has_bar(snapshot) or not sent else [f"{as_size(sent)} sent"]


def _read(snapshot: Snapshot) -> list[str]:
    if _has_bar(snapshot) or not snapshot.bytes_read:
        return []
    return [f"{as_size(snapshot.bytes_read)} read"]


def _spooled(snapshot: Snapshot) -> list[str]:
    if not (snapshot.is_open_ended and snapshot.bytes_spooled):
        return []
    size = as_size(snapshot.bytes_spooled)
    return [f"{size} in the spool", f"{size} spooled"]


def _compared_beside(snapshot: Snapshot) -> list[str]:
    """Say how far comparing is beside sending: in blocks, or else in percent of them."""
    if snapshot.phase is not Phase.SENDING or not snapshot.to_compare:
        return []
    blocks = f"{snapshot.compared:,}/{snapshot.to_compare:,}"
    return [f"{blocks} compared", f"{100 * snapshot.compared // snapshot.to_compare}% compared"]


def _sizes(done: int, size: int) -> str:
    """Write both in the unit of the larger: `20.4/60.0 GiB`."""
    number, unit = as_size(size).split()
    if unit == "B":
        return f"{done}/{size} B"
    return f"{done / size * float(number):.1f}/{number} {unit}"
