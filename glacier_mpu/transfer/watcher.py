"""The Watcher that hears what an upload tells, and the Meter that counts its bytes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol

from glacier_mpu.transfer.events import Event
from glacier_mpu.vault.retry import Retry


class Watcher(Protocol):
    """Whoever wants to know what happens while it happens.

    `tick` is called from the caller's thread, the others from any.
    """

    def hear(self, event: Event, /) -> None:
        """Something happened."""

    def moved(self, size: int, /) -> None:
        """So many bytes were sent; a negative number takes back what has to be sent again."""

    def compared(self, size: int, /) -> None:
        """So many bytes of stored blocks were read; a negative number takes some back."""

    def hashed(self, size: int, /) -> None:
        """So many bytes of blocks to be sent were read, to be hashed first."""

    def tick(self) -> None:
        """A moment has passed: some five times a second."""


@dataclass(slots=True)
class Meter:
    """Counts bytes and retries of one run, and tells its watcher. Safe to use from any thread.

    bytes_sent  all that was sent, what had to be sent again included
    bytes_read  all that was read to be hashed, for comparing and for sending
    retries     tries that failed and were followed by another
    """

    watcher: Watcher
    bytes_sent: int = 0
    bytes_read: int = 0
    retries: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def moved(self, size: int) -> None:
        """Count bytes sent; a negative number takes back what has to be sent again."""
        with self._lock:
            self.bytes_sent += max(0, size)
        self.watcher.moved(size)

    def read(self, size: int) -> None:
        """Count bytes read to be hashed."""
        with self._lock:
            self.bytes_read += size

    def compared(self, size: int) -> None:
        """Pass on that bytes of a stored block were read."""
        self.watcher.compared(size)

    def hashed(self, size: int) -> None:
        """Pass on that bytes of a block to be sent were read."""
        self.watcher.hashed(size)

    def retried(self, retry: Retry) -> None:
        """Count a retry, and pass it on."""
        with self._lock:
            self.retries += 1
        self.watcher.hear(retry)
