"""What goes into an upload and what comes out of it: the values that cross its door."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from glacier_mpu.errors import BadInput, UploadError
from glacier_mpu.source.blocks import Block, Plan, as_ranges, choose_block_size
from glacier_mpu.source.file import Source
from glacier_mpu.vault.archive import Archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be uploaded, and how.

    block_size   in bytes; None is the open upload's own, or the best for a new one
    first, last  block numbers, both included; None is the file's own end
    slots        blocks sent at once
    keep_going   a failed block does not end the run, unless every other would fail alike
    abort        give the upload up when a block fails for good
    resume       go on with the open upload of this description, if the vault has one
    """

    source: Source
    description: str
    upload_id: str | None = None
    block_size: int | None = None
    first: int | None = None
    last: int | None = None
    finish: bool = True
    slots: int = 1
    keep_going: bool = False
    abort: bool = False
    resume: bool = False

    def plan(self) -> Plan:
        """Return the plan of a new upload. Raises BadInput if it could never end as asked."""
        plan = Plan(self.source.size, self.block_size or choose_block_size(self.source.size))
        asked = plan.selection(self.first, self.last)
        if self.finish and self.upload_id is None and len(asked) < plan.count:
            raise BadInput(
                f"blocks {as_ranges(asked)} alone are not the whole file, which has blocks "
                f"{as_ranges(plan.numbers)}: no archive can be finished",
                next_step="add --finish-upload False to leave the upload open for the other blocks",
            )
        return plan


class Meter:
    """Bytes gone by. Safe to add to from any thread."""

    def __init__(self) -> None:
        self.size = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        """Count so many more bytes, or fewer."""
        with self._lock:
            self.size += size


class Watcher(Protocol):
    """Whoever wants to know what happens while it happens. `moved` is called from any thread."""

    def opened(self, upload_id: str, plan: Plan) -> None:
        """The upload is open, and its id is what continuing it takes."""

    def begins(self, phase: str, *, blocks: int, size: int) -> None:
        """So many blocks, `size` bytes in all, are about to be sent or checked."""

    def moved(self, size: int) -> None:
        """So many bytes went by; a negative number takes back what has to be sent again."""

    def finished(self, block: Block, what: str) -> None:
        """This block is done, and what was done with it."""

    def failed(self, block: Block, error: UploadError) -> None:
        """This block failed for good."""

    def note(self, text: str) -> None:
        """Something that the user should know."""

    def tick(self) -> None:
        """A moment has passed."""


class Status(Enum):
    """How a run ended. STORED: all asked blocks are stored, and completion was not asked for."""

    COMPLETED = "completed"
    STORED = "stored"
    OPEN = "open"
    ABORTED = "aborted"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a run.

    wanted         the file's blocks that the vault is not known to hold
    description    of the open upload and so of the archive
    bytes_sent     all that was sent, what had to be sent again included
    bytes_skipped  what was found to be stored already
    """

    status: Status
    upload_id: str = ""
    plan: Plan | None = None
    archive: Archive | None = None
    tree_hash: str = ""
    description: str = ""
    failed: Sequence[int] = ()
    wanted: Sequence[int] = ()
    error: UploadError | None = None
    bytes_sent: int = 0
    bytes_skipped: int = 0
