"""What an upload tells while it runs: frozen values with facts and no words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from glacier_mpu.errors import BadInput, UploadError
from glacier_mpu.source.blocks import Block, Plan
from glacier_mpu.transfer.bandwidth import BandwidthChanged
from glacier_mpu.transfer.deadline import WindingDown
from glacier_mpu.transfer.pacing import Measured, Settled, SlowedDown
from glacier_mpu.transfer.stream_events import (
    BlockRead,
    BlocksRunningOut,
    CommandSaid,
    MoreThanExpected,
    SourceSilent,
    StreamEnded,
    StreamOpened,
)
from glacier_mpu.vault.answers import OpenUpload, StoredPart
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.regions import UnknownRegion
from glacier_mpu.vault.retry import Retry


@dataclass(frozen=True, slots=True)
class Connected:
    """Calls go to this address."""

    endpoint_url: str


@dataclass(frozen=True, slots=True)
class BlockSizeRaised:
    """The file has too many blocks of the default size, so they have `block_size` bytes."""

    block_size: int


@dataclass(frozen=True, slots=True)
class CandidateRejected:
    """An open upload of the same description is not resumed.

    The request does not fit it (`error`), or none of `compared` blocks is the file's.
    """

    upload_id: str
    error: BadInput | None = None
    compared: int = 0


@dataclass(frozen=True, slots=True)
class NothingToResume:
    """The vault has no open upload of this description that fits; a new one is begun."""

    description: str


@dataclass(frozen=True, slots=True)
class OtherUpload:
    """An open upload of another description holds blocks of this file, and is not resumed.

    stored  so many of the file's `count` blocks; of those one was compared, and is the file's
    more    there are so many further ones, which are not told of
    """

    upload: OpenUpload
    stored: int
    count: int
    more: int = 0


@dataclass(frozen=True, slots=True)
class Resuming:
    """This upload is resumed; `stored` of the file's `count` blocks are in the vault.

    Of several (`among`) it holds most of the file: `matching` of `compared` blocks are the file's.
    """

    upload: OpenUpload
    stored: int
    count: int
    among: int = 1
    compared: int = 0
    matching: int = 0


@dataclass(frozen=True, slots=True)
class DescriptionKept:
    """The archive gets the open upload's description and not the one that was asked for."""

    description: str


@dataclass(frozen=True, slots=True)
class UploadOpened:
    """The upload is open; its id is what resuming it takes. One that is not new was told before.

    asked   the blocks that the run is asked for
    stored  the blocks that the vault lists with the size that they have in the file
    """

    upload_id: str
    plan: Plan
    asked: range
    stored: Collection[int] = ()
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class MissingBlocks:
    """These blocks, of `count` that are asked for, are not stored yet."""

    numbers: Sequence[int]
    count: int


@dataclass(frozen=True, slots=True)
class KnownBlocks:
    """These blocks, `size` bytes in all, are stored as the file has them: so the ledger says.

    Nothing of them is read, and BlocksBegin does not count them.
    """

    numbers: Sequence[int]
    size: int


@dataclass(frozen=True, slots=True)
class LedgerUnusable:
    """The ledger in this folder cannot be used, and is left alone for the rest of the run."""

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class Amount:
    """So many blocks, `size` bytes in all."""

    blocks: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class BlocksBegin:
    """Blocks that are not stored are about to be sent, and beside them stored ones compared."""

    to_send: Amount
    to_compare: Amount


@dataclass(frozen=True, slots=True)
class BlockSent:
    """The vault has acknowledged this block."""

    block: Block


@dataclass(frozen=True, slots=True)
class BlockMatches:
    """This block is stored as the file has it."""

    block: Block


@dataclass(frozen=True, slots=True)
class BlockDiffers:
    """This block is stored, but not as the file has it: its size or its tree hash differs.

    tree_hash  of the file's block, or None where the sizes tell, and nothing had to be compared
    sends      the block is sent now
    read       it was read to tell so; else its hashes were known, and BlocksBegin does not count it
               as one to be compared
    """

    block: Block
    stored: StoredPart
    tree_hash: bytes | None = None
    sends: bool = True
    read: bool = True


@dataclass(frozen=True, slots=True)
class BlockFailed:
    """This block failed for good, while it was `compared` or else while it was sent."""

    block: Block
    error: UploadError
    compared: bool = False


@dataclass(frozen=True, slots=True)
class TryingAgain:
    """These blocks failed while others got through, and are tried once more now."""

    numbers: Sequence[int]


@dataclass(frozen=True, slots=True)
class Completing:
    """All that is needed is stored, and the upload is completed now."""


@dataclass(frozen=True, slots=True)
class AbortFailed:
    """The upload could not be aborted, and stays open."""

    error: UploadError


Event = (
    Connected
    | UnknownRegion
    | BlockSizeRaised
    | CandidateRejected
    | NothingToResume
    | OtherUpload
    | Resuming
    | DescriptionKept
    | UploadOpened
    | StreamOpened
    | BlockRead
    | StreamEnded
    | BlocksRunningOut
    | MoreThanExpected
    | SourceSilent
    | CommandSaid
    | MissingBlocks
    | KnownBlocks
    | LedgerUnusable
    | BlocksBegin
    | BlockSent
    | BlockMatches
    | BlockDiffers
    | BlockFailed
    | Completing
    | AbortFailed
    | Measured
    | Settled
    | SlowedDown
    | BandwidthChanged
    | WindingDown
    | Retry
    | Outage
    | OutageOver
    | TryingAgain
)
