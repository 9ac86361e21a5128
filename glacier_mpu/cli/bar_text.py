"""What stands on both sides of the bar, as far as the terminal's width goes. Pure."""

from __future__ import annotations

from glacier_mpu.cli.figures import as_duration, as_size
from glacier_mpu.cli.progress_line import done_of_all, pace, percent
from glacier_mpu.cli.snapshot import Phase, Snapshot

_SHORTEST_BAR = 8
# By what a line that is too long becomes shorter: each time a field takes its next shorter form.
# With all that stands in the first row, it fits into 60 columns.
_GIVEN_UP = (
    *("elapsed", "phase", "size", "left", "blocks", "compared", "compared", "failed"),
    *("blocks", "left", "rate"),
)


def bar_text(snapshot: Snapshot, *, columns: int) -> str:
    """Return the line for tqdm, in which `{bar}` takes the room that is left."""
    fields = _fields(snapshot)
    for field in _GIVEN_UP:
        if len(_line(fields, snapshot)) + _SHORTEST_BAR <= columns:
            break
        fields[field] = fields[field][1:]
    return _line(fields, snapshot, bar="{bar}")


def _line(fields: dict[str, list[str]], snapshot: Snapshot, *, bar: str = "") -> str:
    texts = {name: forms[0] for name, forms in fields.items() if forms}
    phase = texts.pop("phase", "")
    return f"{phase}{percent(snapshot):3}%|{bar}| {', '.join(filter(None, texts.values()))}"


def _fields(snapshot: Snapshot) -> dict[str, list[str]]:
    """Return each field in its forms, the longest first; in the order in which they are shown."""
    rate, *left = pace(snapshot) or [""]
    return {
        "phase": [f"{snapshot.phase.value} "] if snapshot.phase is not Phase.ENDED else [],
        "size": [_sizes(*done_of_all(snapshot))],
        "rate": [rate],
        "left": [form for text in left for form in (text, text.removesuffix(" left"))],
        "blocks": _blocks(snapshot),
        "compared": _compared_beside(snapshot),
        "failed": [f"{snapshot.blocks_failed:,} failed"] if snapshot.blocks_failed else [],
        "elapsed": [f"{as_duration(snapshot.elapsed_seconds)} so far"],
    }


def _blocks(snapshot: Snapshot) -> list[str]:
    if snapshot.phase is Phase.COMPARING:
        return [f"{snapshot.compared:,}/{snapshot.to_compare:,} compared"]
    blocks = f"{snapshot.blocks_done:,}/{snapshot.blocks or 0:,}"
    return [f"{blocks} blocks", blocks]


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
