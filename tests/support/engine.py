"""Carrying out an upload in this process, without a script around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import Block
from glacier_mpu.source.body import BlockBody
from glacier_mpu.source.file import FileSource, inspect
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.context import Context, utc_now
from glacier_mpu.transfer.events import BlockMatches, BlocksBegin, BlockSent, Event
from glacier_mpu.transfer.request import FileRequest, Outcome
from glacier_mpu.transfer.upload import BlockWorkers, upload
from tests.support.scripts import address_of

E = TypeVar("E")


class Notes:
    """A watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.bytes: Counter[str] = Counter()

    def hear(self, event: Event, /) -> None:
        self.events.append(event)

    def moved(self, size: int, /) -> None:
        self.bytes["sent"] += size

    def compared(self, size: int, /) -> None:
        self.bytes["compared"] += size

    def hashed(self, size: int, /) -> None:
        self.bytes["hashed"] += size

    def tick(self) -> None:
        pass

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def amounts(self) -> list[tuple[int, int, int, int]]:
        """Blocks and bytes to send, and blocks and bytes to compare, of each pass."""
        return [
            (e.to_send.blocks, e.to_send.size, e.to_compare.blocks, e.to_compare.size)
            for e in self.of(BlocksBegin)
        ]

    @property
    def sent(self) -> list[int]:
        return sorted(event.block.number for event in self.of(BlockSent))

    @property
    def matching(self) -> list[int]:
        return sorted(event.block.number for event in self.of(BlockMatches))


class Readings:
    """What was read of the file: for hashing, and for sending. Numbers in the order of hashing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hashed: list[int] = []
        self.bytes_hashed = self.bytes_sent = 0
        real_digest, real_read = FileSource.digest, BlockBody.read

        def digest(
            source: FileSource, block: Block, *, stop: Stop, on_read: Callable[[int], None]
        ) -> Digest:
            def count(size: int) -> None:
                self.bytes_hashed += size
                on_read(size)

            self.hashed.append(block.number)
            return real_digest(source, block, stop=stop, on_read=count)

        def read(body: BlockBody, size: int | None = -1) -> bytes:
            data = real_read(body, size)
            self.bytes_sent += len(data)
            return data

        monkeypatch.setattr(FileSource, "digest", digest)
        monkeypatch.setattr(BlockBody, "read", read)


def carry_out(
    server: RehearsalServer,
    path: Path | FileSource,
    *,
    watcher: Notes | None = None,
    workers: Callable[[Context], BlockWorkers] | None = None,
    description: str = "test",
    stop: Stop | None = None,
    clock: Callable[[], datetime] = utc_now,
    waits: Waits = Waits(),
    **wishes: Any,
) -> Outcome:
    """Upload the file; `wishes` are members of the FileRequest."""
    source = path if isinstance(path, FileSource) else inspect(str(path))
    return upload(
        FileRequest(source=source, description=description, **wishes),
        address_of(server),
        watcher=watcher or Notes(),
        stop=stop or Stop(),
        workers=workers,
        clock=clock,
        waits=waits,
    )
