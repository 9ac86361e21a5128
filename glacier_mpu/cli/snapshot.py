"""How far a run is at one moment: what the bar, the log, a status line and a status file show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """What a run is doing. COMPARING: there is nothing to send, as far as is known."""

    OPENING = "opening"
    SENDING = "sending"
    COMPARING = "comparing"
    COMPLETING = "completing"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How far a run is at one moment. Sizes in bytes, times in seconds, blocks counted.

    upload_id         empty until the upload is open
    size, blocks      what the run is asked for: the file, or the range that was given; None until
                      the upload is open. Of a stream they are known at its end; until then size is
                      the most that is expected, or None
    bytes_done        of `size`: what the vault holds, as far as is known, and what is on its way
    blocks_done       of `blocks`: what the vault holds, as far as is known
    blocks_failed     blocks that failed, and are not being tried again
    to_compare        stored blocks that are compared with the file, in this pass over it
    compared          those of them that have been compared
    bytes_to_compare  bytes of `to_compare`
    bytes_compared    bytes of those that have been read
    bytes_stored      of blocks that the vault acknowledged in this run
    bytes_on_the_way  sent, of blocks that the vault has not acknowledged
    rate              bytes a second over the last minute, of sending, or where nothing is sent, of
                      comparing; 0 on a stalled line
    seconds_left      until all is sent and compared, at these rates; None where the rate is 0
    stalled_seconds   since the last byte moved, where that is long enough to be told; else 0
    is_reading        nothing is sent just now, because blocks are being read to be hashed first
    bytes_read        that came from a stream; None of a file
    bytes_spooled     of those, what the vault does not hold yet
    source_silent_seconds  since a byte came from the stream, where nothing is left to be sent and
                      that is long enough to be told; else 0
    retries           tries that failed and were followed by another
    elapsed_seconds   since the run began
    """

    phase: Phase
    upload_id: str = ""
    size: int | None = None
    blocks: int | None = None
    bytes_done: int = 0
    blocks_done: int = 0
    blocks_failed: int = 0
    to_compare: int = 0
    compared: int = 0
    bytes_to_compare: int = 0
    bytes_compared: int = 0
    bytes_stored: int = 0
    bytes_on_the_way: int = 0
    rate: float = 0.0
    seconds_left: float | None = None
    stalled_seconds: float = 0.0
    is_reading: bool = False
    bytes_read: int | None = None
    bytes_spooled: int = 0
    source_silent_seconds: float = 0.0
    retries: int = 0
    elapsed_seconds: float = 0.0

    @property
    def is_open_ended(self) -> bool:
        """Whether it is a stream whose end is not known."""
        return self.bytes_read is not None and self.blocks is None
