"""How far an upload is: what it is asked for, and what of it is done. Pure counting."""

from __future__ import annotations

import threading
from collections.abc import Callable

from glacier_mpu.cli.flow import Progress
from glacier_mpu.cli.held import Held
from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.errors import SourceUnreadable
from glacier_mpu.source.blocks import Block
from glacier_mpu.transfer.events import (
    Amount,
    BlockDiffers,
    BlockFailed,
    BlockMatches,
    BlocksBegin,
    BlockSent,
    Completing,
    Event,
    TryingAgain,
    UploadOpened,
)
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.retry import Retry

# The answer to a block takes a few seconds, and so does emptying this machine's buffers.
STALL_SECONDS = 10.0


class Tally:
    """Counts what a Watcher hears. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began_at = now = clock()
        self._upload_id = ""
        self._held: Held | None = None
        self._sending = Progress(Amount(), now=now)
        self._comparing = Progress(Amount(), now=now)
        self._hashed_at = float("-inf")
        self._failed: set[int] = set()
        self._on_the_way = 0
        self._stored = 0
        self._retries = 0
        self._stalled_since: dict[bool, float] = {}
        self._phase = Phase.OPENING

    @property
    def all_are_sent(self) -> bool:
        """Whether no block is left to be sent."""
        return self._sending.is_over

    @property
    def all_are_compared(self) -> bool:
        """Whether no block is left to be compared."""
        return self._comparing.is_over

    def hear(self, event: Event) -> None:
        """Count what happened."""
        with self._lock:
            self._hear(event, self._clock())

    def moved(self, size: int) -> None:
        """Count bytes sent; a negative number takes some back."""
        with self._lock:
            self._on_the_way += size
            self._sending.moves(size, self._clock())

    def compared(self, size: int) -> None:
        """Count bytes compared; a negative number takes some back."""
        with self._lock:
            self._comparing.moves(size, self._clock())

    def hashed(self, size: int) -> None:
        """Note that blocks are being read to be hashed, before they are sent."""
        self._hashed_at = self._clock()

    def sample(self) -> None:
        """Note how far it is, for the rates. To be called now and then."""
        with self._lock:
            now = self._clock()
            self._sending.flow.sample(now)
            self._comparing.flow.sample(now)

    def end(self) -> None:
        """Note that the run has ended."""
        with self._lock:
            self._phase = Phase.ENDED
            self._stalled_since.clear()

    def snapshot(self) -> Snapshot:
        """Return how far it is now."""
        with self._lock:
            return self._snapshot(self._clock())

    def _hear(self, event: Event, now: float) -> None:
        match event:
            case UploadOpened():
                self._upload_id, self._held = event.upload_id, Held(event)
            case BlocksBegin():
                self._begin(event, now)
            case TryingAgain():
                self._failed.difference_update(event.numbers)
            case Completing():
                self._phase = Phase.COMPLETING
            case Retry():
                self._retries += 1
            case Outage() | OutageOver():
                self._hear_of_outage(event, now)
            case _:
                self._hear_of_block(event, now)

    def _hear_of_block(self, event: Event, now: float) -> None:
        match event:
            case BlockSent():
                self._sent(event.block)
            case BlockMatches():
                self._comparing.done += 1
            case BlockDiffers():
                self._differs(event, now)
            case BlockFailed():
                self._failed.add(event.block.number)
                (self._comparing if event.compared else self._sending).failed += 1

    def _hear_of_outage(self, event: Outage | OutageOver, now: float) -> None:
        """Note since when nothing moves, until something gets through again.

        An outage of the file and one of the line may last at the same time.
        """
        of_source = isinstance(event.error, SourceUnreadable)
        if isinstance(event, Outage):
            self._stalled_since.setdefault(of_source, self._moved_at)
        else:
            self._stalled_since.pop(of_source, None)
            self._sending.flow.restart(now)
            self._comparing.flow.restart(now)

    def _begin(self, event: BlocksBegin, now: float) -> None:
        self._phase = Phase.SENDING
        self._stalled_since.clear()  # an outage that the run has given up is told no end of
        self._sending = Progress(event.to_send, now=now)
        self._comparing = Progress(event.to_compare, now=now)

    def _sent(self, block: Block) -> None:
        self._sending.done += 1
        self._on_the_way -= block.size
        self._stored += block.size
        if self._held is not None:
            self._held.add(block.number)

    def _differs(self, event: BlockDiffers, now: float) -> None:
        """Move the block from what is compared to what is sent.

        One whose size differs, or whose hashes were known, is not compared, and counts as one to be
        sent from the beginning.
        """
        if self._held is not None:
            self._held.drop(event.block.number)
        if event.tree_hash is not None and event.read:
            self._comparing.done += 1
            if event.sends:
                self._sending.grow(event.block, now)

    @property
    def _now_phase(self) -> Phase:
        only_compares = not (self._comparing.is_over and self._sending.blocks)
        if self._phase is Phase.SENDING and self._sending.is_over and only_compares:
            return Phase.COMPARING
        return self._phase

    @property
    def _current(self) -> Progress | None:
        """What is being done just now, if anything is left to do."""
        passes = {Phase.SENDING: self._sending, Phase.COMPARING: self._comparing}
        current = passes.get(self._now_phase)
        return None if current is None or current.is_over else current

    @property
    def _moved_at(self) -> float:
        """When something last moved that is expected to move now."""
        moved_at = max(self._sending.flow.passed_at, self._hashed_at)
        if self._now_phase is Phase.COMPARING:
            return max(moved_at, self._comparing.flow.passed_at)
        return moved_at

    def _seconds_stalled(self, now: float) -> float:
        """Return for how long nothing has moved; 0 where that may be only a short pause.

        In an outage the bytes of a try in vain fill this machine's buffers, and are no move.
        """
        if self._stalled_since:
            return now - min(self._stalled_since.values())
        seconds = now - self._moved_at
        return seconds if self._current is not None and seconds >= STALL_SECONDS else 0.0

    def _rate(self, now: float) -> float:
        current = self._current
        if current is None or self._stalled_since:
            return 0.0
        return 0.0 if now - current.flow.passed_at >= STALL_SECONDS else current.rate(now)

    def _is_reading(self, now: float) -> bool:
        flow = self._sending.flow
        pauses = not flow.passed or now - flow.passed_at >= STALL_SECONDS
        reads = now - self._hashed_at < STALL_SECONDS and not self._stalled_since
        return self._current is self._sending and pauses and reads

    def _seconds_left(self, now: float) -> float:
        """Return how long it will take to send the rest, and to compare the rest beside it.

        Where both share a slow disk, comparing gives way, and gets the disk once all is sent.
        """
        sending, comparing = self._sending, self._comparing
        send_rate, compare_rate = sending.rate(now), comparing.rate(now)
        to_send = sending.left / send_rate if send_rate else 0.0
        return max(to_send, (sending.left + comparing.left) / (send_rate + compare_rate))

    def _snapshot(self, now: float) -> Snapshot:
        held, comparing, on_the_way = self._held, self._comparing, max(0, self._on_the_way)
        rate, stalled = self._rate(now), self._seconds_stalled(now)
        asked_size = held.asked_size if held else 0
        return Snapshot(
            phase=self._now_phase,
            upload_id=self._upload_id,
            size=asked_size if held else None,
            blocks=len(held.asked) if held else None,
            bytes_done=min(held.size + on_the_way, asked_size) if held else 0,
            blocks_done=len(held.numbers) if held else 0,
            blocks_failed=len(self._failed),
            to_compare=comparing.blocks,
            compared=comparing.done,
            bytes_to_compare=comparing.size,
            bytes_compared=min(max(0, comparing.moved), comparing.size),
            bytes_stored=self._stored,
            bytes_on_the_way=on_the_way,
            rate=rate,
            seconds_left=self._seconds_left(now) if rate else None,
            stalled_seconds=stalled,
            is_reading=self._is_reading(now),
            retries=self._retries,
            elapsed_seconds=now - self._began_at,
        )
