"""What an upload is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Archive:
    """A stored archive; `tree_hash` in hex, `size` in bytes."""

    archive_id: str
    location: str
    tree_hash: str
    size: int
