"""Streams for an upload in this process: a pipe, and a thread that writes to it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MOST_BLOCKS
from glacier_mpu.source.pipe import StreamSource
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.context import Context, utc_now
from glacier_mpu.transfer.events import BlockMatches, BlockSent, Event
from glacier_mpu.transfer.request import Outcome, StreamRequest
from glacier_mpu.transfer.upload import BlockWorkers, upload
from tests.support.engine import Notes
from tests.support.scripts import address_of


class Heard(Notes):
    """Notes that whoever writes to the stream can wait for, and that follow the spool.

    most_in_spool  bytes that were read and not yet acknowledged, at most
    """

    def __init__(self) -> None:
        super().__init__()
        self.most_in_spool = 0
        self._done = 0
        self._changed = threading.Condition()

    def hear(self, event: Event, /) -> None:
        with self._changed:
            super().hear(event)
            if isinstance(event, BlockSent | BlockMatches):
                self._done += event.block.size
            self._changed.notify_all()

    def hashed(self, size: int, /) -> None:
        super().hashed(size)
        self.most_in_spool = max(self.most_in_spool, self.bytes["hashed"] - self._done)

    def await_events(self, kind: type[Event] | tuple[type[Event], ...], count: int = 1) -> None:
        """Wait until so many events of a kind were heard."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: sum(isinstance(event, kind) for event in self.events) >= count, timeout=60
            )


@contextmanager
def piped(chunks: Iterable[bytes], *, most_blocks: int = MOST_BLOCKS) -> Iterator[StreamSource]:
    """Yield a stream of these chunks, each of which is a write of its own."""
    reading, writing = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=0) as pipe:
            for chunk in chunks:
                pipe.write(chunk)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield StreamSource(path=f"/dev/fd/{reading}", most_blocks=most_blocks)
    finally:
        os.close(reading)
        writer.join()


def carry_out_stream(
    server: RehearsalServer,
    source: StreamSource,
    *,
    watcher: Notes | None = None,
    workers: Callable[[Context], BlockWorkers] | None = None,
    description: str = "test",
    stop: Stop | None = None,
    clock: Callable[[], datetime] = utc_now,
    waits: Waits = Waits(),
    **wishes: Any,
) -> Outcome:
    """Upload the stream; `wishes` are members of the StreamRequest."""
    return upload(
        StreamRequest(source=source, description=description, **wishes),
        address_of(server),
        watcher=watcher or Notes(),
        stop=stop or Stop(),
        workers=workers,
        clock=clock,
        waits=waits,
    )
