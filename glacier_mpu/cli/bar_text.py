"""What stands on both sides of the bar, as far as the terminal's width goes. Pure."""

from __future__ import annotations

from glacier_mpu.cli.figures import as_duration, as_rate, as_size
from glacier_mpu.cli.progress_line import as_minutes, done_of_all, percent
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
    rate, left = _pace(snapshot)
    return {
        "phase": [f"{snapshot.phase.value} "] if snapshot.phase is not Phase.ENDED else [],
        "size": [_sizes(*done_of_all(snapshot))],
        "rate": rate,
        "left": left,
        "blocks": _blocks(snapshot),
        "compared": _compared_beside(snapshot),
        "failed": [f"{snapshot.blocks_failed:,} failed"] if snapshot.blocks_failed else [],
        "elapsed": [f"{as_duration(snapshot.elapsed_seconds)} so far"],
    }


def _pace(snapshot: Snapshot) -> tuple[list[str], list[str]]:
    if snapshot.stalled_seconds:
        return [f"stalled {as_minutes(snapshot.stalled_seconds)}"], []
    if snapshot.seconds_left is not None:
        left = as_duration(snapshot.seconds_left)
        return [as_rate(snapshot.rate)], [f"{left} left", left]
    return (["reading"] if snapshot.is_reading else []), []


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
    share = done / size if size else 0.0
    return f"{done if unit == 'B' else _scaled(share, number)}/{number} {unit}"


def _scaled(share: float, number: str) -> str:
    return f"{share * float(number):.1f}"
