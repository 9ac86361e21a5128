"""How far the upload of a stream is, of which nobody knows how long it is. Pure counting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.cli.tally import STALL_SECONDS, Tally
from glacier_mpu.source.blocks import Block, Plan
from glacier_mpu.transfer.events import BlockFailed, BlockMatches, BlockSent, Event
from glacier_mpu.transfer.stream_events import (
    BlockRead,
    MoreThanExpected,
    StreamEnded,
    StreamOpened,
)


class StreamTally(Tally):
    """Counts what a Watcher hears of a stream. Once that has ended, all is known as of a file.

    A block joins those to be sent when it was read, so that at times none of them is left, and the
    next one is awaited. Stored blocks are compared as they are read, in no pass of their own.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._read = 0
        self._read_at = self._began_at
        self._proven: set[int] = set()
        self._proven_size = 0
        self._expected: int | None = None
        self._plan: Plan | None = None

    @property
    def all_are_sent(self) -> bool:
        return super().all_are_sent and self._plan is not None

    @property
    def all_are_compared(self) -> bool:
        return super().all_are_compared and self._plan is not None

    def hashed(self, size: int) -> None:
        """Count bytes that came from the stream."""
        super().hashed(size)
        with self._lock:
            self._read += size
            self._read_at = self._clock()

    def _hear_of_block(self, event: Event, now: float) -> None:
        match event:
            case StreamOpened():
                self._phase, self._upload_id = Phase.SENDING, event.upload_id
                self._expected = event.expected_size
            case MoreThanExpected():
                self._expected = None
            case StreamEnded():
                self._plan = event.plan
                self._sending.flow.restart(now)  # from now on the line alone counts
            case BlockRead():
                if self._sending.is_over:
                    self._sending.flow.passed_at = now  # it had nothing to move
                self._sending.blocks += 1
                self._sending.size += event.block.size
            case BlockMatches():
                self._prove(event.block)
            case BlockSent():
                self._prove(event.block)
                super()._hear_of_block(event, now)
            case BlockFailed():
                super()._hear_of_block(event, now)

    def _prove(self, block: Block) -> None:
        """Count a block that the vault holds as the stream has it."""
        if block.number not in self._proven:
            self._proven.add(block.number)
            self._proven_size += block.size

    @property
    def _now_phase(self) -> Phase:
        return self._phase

    @property
    def _is_open_ended(self) -> bool:
        """Whether blocks are sent, and more may come."""
        return self._phase is Phase.SENDING and self._plan is None

    @property
    def _size(self) -> int | None:
        """Bytes of the stream, or the most that are expected; None where neither is known."""
        return self._plan.size if self._plan else self._expected

    @property
    def _done(self) -> int:
        return self._proven_size + max(0, self._on_the_way)

    @property
    def _moved_at(self) -> float:
        """When the line last moved: what is to be sent has been read."""
        return self._sending.flow.passed_at

    def _rate(self, now: float) -> float:
        """Return the same also where the line rests, as it does where the stream is slower."""
        if not self._is_open_ended:
            return super()._rate(now)
        return 0.0 if self._stalled_since else self._sending.flow.rate(now)

    def _seconds_left(self, now: float) -> float:
        if not self._is_open_ended:
            return super()._seconds_left(now)
        return max(0, (self._expected or 0) - self._done) / self._rate(now)

    def _is_reading(self, now: float) -> bool:
        rests = self._is_open_ended and self._sending.is_over and not self._stalled_since
        return super()._is_reading(now) or (rests and now - self._read_at < STALL_SECONDS)

    def _seconds_silent(self, now: float) -> float:
        """Return for how long no byte has come while nothing is left to be sent."""
        waits = self._phase is Phase.OPENING or self._is_open_ended
        if not (waits and self._sending.is_over) or self._stalled_since:
            return 0.0
        seconds = now - self._read_at
        return seconds if seconds >= STALL_SECONDS else 0.0

    def _snapshot(self, now: float) -> Snapshot:
        snapshot, size = super()._snapshot(now), self._size
        return replace(
            snapshot,
            size=size,
            blocks=self._plan.count if self._plan else None,
            bytes_done=self._done if size is None else min(self._done, size),
            blocks_done=len(self._proven),
            seconds_left=snapshot.seconds_left if size is not None else None,
            bytes_read=self._read,
            bytes_spooled=max(0, self._read - self._proven_size),
            source_silent_seconds=self._seconds_silent(now),
        )
