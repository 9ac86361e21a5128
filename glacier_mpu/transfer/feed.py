"""The blocks of a stream as tasks: the next one is read while those before it are sent."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future

from glacier_mpu.errors import UploadError
from glacier_mpu.source.blocks import Block
from glacier_mpu.source.treehash import Digest
from glacier_mpu.transfer.block import BlockTask

Read = tuple[Block, Digest]


class Feed:
    """A Lane of the blocks of a stream, in order. Belongs to one thread.

    `read` gives the next block, in the executor, or None at the end; it is called only while fewer
    than `window()` blocks are in hand, so that no more than that are ever kept. `task_of` gives
    what is to be done for a block, or None for nothing. Once `stops()`, nothing more is read.

    has_ended  the stream has come to its end
    error      why it cannot be read on, or may not be sent on
    """

    def __init__(
        self,
        read: Callable[[], Read | None],
        *,
        executor: Executor,
        task_of: Callable[[Block, Digest], BlockTask | None],
        window: Callable[[], int],
        stops: Callable[[], bool],
    ) -> None:
        self.window = window
        self.has_ended = False
        self.error: UploadError | None = None
        self._read = read
        self._executor = executor
        self._task_of = task_of
        self._stops = stops
        self._reading: Future[Read | None] | None = None

    @property
    def awaited(self) -> Future[Read | None] | None:
        """The block that is being read, if any is."""
        reading = self._reading
        return None if reading is None or reading.done() or self._stops() else reading

    def next(self) -> BlockTask | None:
        """Return the next task once its block was read, and have the one behind it read."""
        try:
            while not (self.has_ended or self.error or self._stops()):
                if self._reading is None:
                    self._reading = self._executor.submit(self._read)
                if not self._reading.done():
                    return None
                task = self._take(self._reading)
                if task is not None:
                    return task
        except UploadError as error:
            self.error = error
        return None

    def _take(self, reading: Future[Read | None]) -> BlockTask | None:
        self._reading = None
        read = reading.result()
        if read is None:
            self.has_ended = True
            return None
        return self._task_of(*read)
