"""What the tasks of one process share: the vault, the gates, the meter, the pace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

from glacier_mpu.errors import SourceUnreadable, UploadError
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.bandwidth import BandwidthChanged, Throttle, Timetable
from glacier_mpu.transfer.deadline import Deadline, WindingDown
from glacier_mpu.transfer.pacing import MOST_SLOTS, Tuner
from glacier_mpu.transfer.readers import Readers
from glacier_mpu.transfer.request import Request
from glacier_mpu.transfer.watcher import Meter, Watcher
from glacier_mpu.transfer.workers import Gate, cores
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.client import Address
from glacier_mpu.vault.errors import VaultError
from glacier_mpu.vault.retry import Retries, Retry, Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Made in the process that uses it, which it never leaves.

    vault       calls the service
    reads       repeats what failed because the source could not be read
    reading     gate for reading a block and hashing it
    readers     chooses how many it lets in
    slots       gate for sending
    most_slots  how many slots there may ever be
    tuner       chooses the number of slots, or None
    meter       counts bytes and retries, and tells the watcher
    throttle    says how many of so many bytes may be sent now
    deadline    says when no block may begin any more
    stop        asked when the run is over or is to end
    keep_going  a failed block does not keep the others from being sent, unless all would fail alike
    clock       tells the time, with its offset
    """

    vault: Vault
    reads: Retries
    reading: Gate
    readers: Readers
    slots: Gate
    most_slots: int
    tuner: Tuner | None
    meter: Meter
    throttle: Throttle
    deadline: Deadline
    stop: Stop
    keep_going: bool
    clock: Callable[[], datetime]

    def ends_run(self, error: UploadError) -> bool:
        """Tell whether this error of a block keeps the others from being sent."""
        return error.every_block_alike or not self.keep_going

    def look(self) -> None:
        """Tell the watcher if calls get through again, or another limit holds.

        To be called now and then.
        """
        self.vault.look()
        self.reads.line.look()
        self.throttle.look()

    def keep_time(self) -> None:
        """Let no block begin once the stop time has come, and later cut what is still on its way.

        To be called now and then while blocks are sent or compared.
        """
        deadline = self.deadline
        if deadline.begins() and deadline.stop_time is not None:
            self.meter.watcher.hear(WindingDown(deadline.stop_time, self.slots.close()))
        if deadline.cuts(line_is_down=self.vault.is_cut_off or self.reads.line.is_down):
            self.stop.ask()

    def tune(self) -> None:
        """Let the tuners look at the rates. Call it several times a second, in one thread."""
        self.tune_reading()
        if self.tuner is not None:
            moved = self.meter.bytes_sent
            self.slots.resize(self.tuner.tick(busy=self.slots.busy, moved=moved))

    def tune_reading(self) -> None:
        """Do the same where nothing is sent."""
        self.readers.tick(self.meter.bytes_read)


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(timezone.utc)


@contextmanager
def opened_context(
    request: Request,
    address: Address,
    *,
    watcher: Watcher,
    stop: Stop,
    waits: Waits,
    clock: Callable[[], datetime] = utc_now,
) -> Iterator[Context]:
    """Yield the context of a run; at the end wake all waiting tasks and close the connections.

    Raises the BadInput that `connect` raises if no client can be made from the address.
    """
    stop = stop.child()
    meter = Meter(watcher)
    tuner = Tuner(most=MOST_SLOTS, hear=watcher.hear) if request.slots is None else None
    most_slots = MOST_SLOTS if request.slots is None else request.slots

    def hear(trouble: Trouble) -> None:
        if not isinstance(trouble, Retry):
            watcher.hear(trouble)
            return
        meter.retried(trouble)
        slows_down = isinstance(trouble.error, VaultError) and trouble.error.slows_down
        if tuner is not None and slows_down:
            tuner.slow_down()

    def local_now() -> datetime:
        return clock().astimezone().replace(tzinfo=None)

    reading = Gate(cores(), stop=stop)
    vault = Vault(address, connections=most_slots + 1, stop=stop, hear=hear, waits=waits)
    context = Context(
        vault=vault,
        reads=Retries.of(SourceUnreadable, waits=waits, stop=stop, hear=hear, one_at_a_time=False),
        reading=reading,
        readers=Readers(reading, most=reading.count),
        slots=Gate(tuner.slots if tuner else most_slots, stop=stop),
        most_slots=most_slots,
        tuner=tuner,
        meter=meter,
        throttle=_throttle(request, stop=stop, hear=watcher.hear, tuner=tuner, now=local_now),
        deadline=Deadline(
            request.stop_time,
            finish_seconds=waits.retry,
            line_seconds=waits.longest,
            now=local_now,
        ),
        stop=stop,
        keep_going=request.keep_going,
        clock=clock,
    )
    with closing(vault):
        try:
            yield context
        finally:
            stop.ask()
            context.reading.close()
            context.slots.close()


def _throttle(
    request: Request,
    *,
    stop: Stop,
    hear: Callable[[BandwidthChanged], None],
    tuner: Tuner | None,
    now: Callable[[], datetime],
) -> Throttle:
    """Return the throttle; where its rate changes, what was measured by the other is void."""

    def changed(event: BandwidthChanged) -> None:
        hear(event)
        if tuner is not None and not event.at_start:
            tuner.start_over()

    timetable = request.max_bandwidth or Timetable.always(None)
    return Throttle(timetable, wait=stop.wait, on_change=changed, now=now)
