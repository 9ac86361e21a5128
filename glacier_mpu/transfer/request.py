"""What goes into an upload and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from glacier_mpu.errors import BlocksOutsideFile, NotTheWholeFile, UploadError
from glacier_mpu.source.blocks import (
    MIB,
    PREFERRED_BLOCK,
    Plan,
    as_named_ranges,
    as_ranges,
    choose_block_size,
    smallest_block_size,
)
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.pipe import StreamSource
from glacier_mpu.transfer.bandwidth import Timetable
from glacier_mpu.transfer.deadline import StopTime
from glacier_mpu.vault.answers import Archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What any upload is asked for, of whatever source.

    block_size      in bytes; None is the open upload's own, or the best for a new one
    finish          complete the upload once all is stored
    slots           blocks sent at once; None is found out while sending
    max_bandwidth   bytes a second for all blocks together, by the clock; None is no limit
    stop_time       when no block begins any more; None is never
    keep_going      a failed block does not end the run, unless every other would fail alike
    abort           abort the upload when a block fails for good by what the service answered
    resume          resume the open upload of this description, if the vault has one
    """

    description: str
    upload_id: str | None = None
    block_size: int | None = None
    finish: bool = True
    slots: int | None = 1
    max_bandwidth: Timetable | None = None
    stop_time: StopTime | None = None
    keep_going: bool = False
    abort: bool = False
    resume: bool = False

    @property
    def resumes(self) -> bool:
        """Whether the request is to resume what an earlier run began."""
        return self.upload_id is not None or self.resume


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRequest(Request):
    """The upload of a file.

    first, last     block numbers, both included; None is the file's own end
    ledger          folder of the hashes that earlier runs computed; None is none
    recheck         read all blocks again, also those that the ledger knows
    """

    source: FileSource
    first: int | None = None
    last: int | None = None
    ledger: str | None = None
    recheck: bool = False

    def check(self) -> None:
        """Raise BadInput for what can be known to be wrong before any call.

        An open upload has a block size of its own. Where none is asked for, only what is wrong for
        every size is refused here: the smallest blocks are the most.
        """
        if not self.resumes:
            self.plan()
            return
        block_size = self.block_size or smallest_block_size(self.source.size)
        try:
            Plan(self.source.size, block_size).selection(self.first, self.last)
        except BlocksOutsideFile as error:
            if self.block_size is None:
                raise BlocksOutsideFile(
                    f"{error.message} (of {block_size // MIB} MiB; fewer if they are larger)"
                ) from error
            raise

    def plan(self) -> Plan:
        """Return the plan of a new upload. Raises BadInput if it could never end as asked."""
        plan = Plan(self.source.size, self.block_size or choose_block_size(self.source.size))
        asked = plan.selection(self.first, self.last)
        if self.finish and self.upload_id is None and len(asked) < plan.count:
            raise NotTheWholeFile(
                f"with {as_named_ranges(asked)} alone the upload cannot be completed: the file has "
                f"blocks {as_ranges(plan.numbers)}"
            )
        return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest(Request):
    """The upload of a stream, which is read once, in order, and whose size is not known.

    expected_size   the most bytes that are expected, by which blocks are chosen; None is unknown
    spool           folder for the blocks that are in hand; None is the platform's temporary folder
    overwrite       send the stream to the open upload, though what is stored there is another
    """

    source: StreamSource
    expected_size: int | None = None
    spool: str | None = None
    overwrite: bool = False

    @property
    def new_block_size(self) -> int:
        """The block size of a new upload: the smallest that the expected size allows, or 128 MiB.

        Raises BadInput if the block size that is asked for is too small for the expected size.
        """
        if self.expected_size is None:
            return self.block_size or PREFERRED_BLOCK
        return Plan(
            self.expected_size, self.block_size or smallest_block_size(self.expected_size)
        ).block_size


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

    plan           None where the vault was not heard, or a stream has not been read to its end
    missing        the blocks that have still to be sent, as far as is known
    unproven       the blocks that are not known to be stored as the source has them
    description    of the open upload and so of the archive
    region         that the calls went to
    bytes_sent     all that was sent, what had to be sent again included
    bytes_skipped  what was found to be stored already
    retries        tries that failed and were followed by another
    stop_time      that of the request, if it ended the run
    expires        when an open upload may expire; None where it is not open, or that is not known
    """

    status: Status
    upload_id: str = ""
    plan: Plan | None = None
    archive: Archive | None = None
    tree_hash: str = ""
    description: str = ""
    region: str = ""
    failed: Sequence[int] = ()
    missing: Sequence[int] = ()
    unproven: Sequence[int] = ()
    error: UploadError | None = None
    bytes_sent: int = 0
    bytes_skipped: int = 0
    retries: int = 0
    may_have_begun: bool = False
    stop_time: StopTime | None = None
    expires: datetime | None = None
