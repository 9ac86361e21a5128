"""What only the upload of a stream tells while it runs: frozen values with facts and no words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from glacier_mpu.source.blocks import Block, Plan


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The upload of a stream is open; its end, and so its number of blocks, is not known.

    stored         so many blocks are stored
    most_size      the largest stream that fits, in bytes
    expected_size  the most that is expected, in bytes, or None
    """

    upload_id: str
    block_size: int
    most_size: int
    expected_size: int | None = None
    stored: int = 0
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class BlockRead:
    """This block was read from the stream, lies in the spool, and is sent from there."""

    block: Block


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The stream has come to its end, and this is what it was cut into."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class BlocksRunningOut:
    """The stream has taken `used` of the `most` blocks that Glacier allows; `left` bytes fit."""

    used: int
    most: int
    left: int


@dataclass(frozen=True, slots=True)
class MoreThanExpected:
    """The stream is longer than `expected_size` bytes; `most_size` bytes fit."""

    expected_size: int
    most_size: int


@dataclass(frozen=True, slots=True)
class SourceSilent:
    """All that was read is stored, and the stream has given no whole block for so long.

    expires  when the upload may expire, unless a block is stored before
    """

    seconds: float
    expires: datetime


@dataclass(frozen=True, slots=True)
class CommandSaid:
    """A line that the command whose output is uploaded wrote to its stderr."""

    program: str
    text: str
