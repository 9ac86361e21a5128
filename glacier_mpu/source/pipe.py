"""A stream as the source: read once, in order, its size unknown until its end."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from typing import Any

from glacier_mpu.errors import StreamBroken, StreamEmpty, quoted
from glacier_mpu.source import stdin
from glacier_mpu.source.blocks import MOST_BLOCKS
from glacier_mpu.source.body import reason
from glacier_mpu.source.command import Command, Producer, enlarge_pipe
from glacier_mpu.source.treehash import LEAF_SIZE
from glacier_mpu.stop import Stop

STANDARD_INPUT = "-"
_MILLISECONDS_BETWEEN_LOOKS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSource:
    """A stream as it is asked for; nothing of it is open.

    path         of a named pipe, or STANDARD_INPUT; None is the output of `command`
    most_blocks  Glacier's limit
    """

    path: str | None = None
    command: Command | None = None
    most_blocks: int = MOST_BLOCKS

    @property
    def name(self) -> str:
        """What messages call it."""
        if self.command is not None:
            return f"the output of {quoted(self.command.name)}"
        return "standard input" if self.path == STANDARD_INPUT else quoted(self.path or "")


class Stream:
    """A stream that is being read. Belongs to one thread.

    `end` is for any other. `hear` is told each line that a command writes to its stderr.
    """

    def __init__(
        self,
        source: StreamSource,
        *,
        stop: Stop,
        on_read: Callable[[int], None],
        hear: Callable[[str], None],
    ) -> None:
        self._source = source
        self._stop = stop.child()
        self._on_read = on_read
        self._hear = hear
        self._producer: Producer | None = None
        self._file: FileIO | None = None
        self._head = memoryview(b"")
        self._poll: Any = None
        self._untold = 0
        self._has_ended = False

    def refuse_if_empty(self) -> None:
        """Raise StreamEmpty if it ends before its first byte; else read no more than LEAF_SIZE.

        Raises what `fill` raises, too.
        """
        head = memoryview(bytearray(LEAF_SIZE))
        self._head = head[: self.fill(head)]
        if not self._head:
            raise StreamEmpty(
                f"{self._source.name} is empty, and Glacier does not take empty archives"
            )

    def fill(self, room: memoryview) -> int:
        """Read until the room is full or the stream ends, and return how much was read.

        However the stream is chopped. A named pipe is opened now, which waits for whoever writes to
        it. Raises StreamBroken, CommandUnusable, CommandFailed, Stopped.
        """
        filled = min(len(room), len(self._head))
        room[:filled] = self._head[:filled]
        self._head = self._head[filled:]
        while filled < len(room) and not self._has_ended:
            count = self._read_into(room[filled:])
            if not count:
                self._note_end()
            filled += count
        self._tell()
        return filled

    def end(self) -> None:
        """Read no more, and end the command if there is one that still runs. Safe to repeat."""
        self._stop.ask()
        if self._producer is not None:
            self._producer.end()

    def close(self) -> None:
        """Close what was read. Safe to repeat."""
        if self._file is not None:
            self._file.close()

    def _read_into(self, room: memoryview) -> int:
        self._stop.check()
        try:
            if self._file is None:
                self._file = self._open()
                enlarge_pipe(self._file.fileno())
                self._poll = _poll_of(self._file)
            self._await_data()
            count = self._file.readinto(room) or 0
        except OSError as error:
            raise StreamBroken(f"cannot read {self._source.name}: {reason(error)}") from error
        self._untold += count
        return count

    def _await_data(self) -> None:
        """Wait for data; tell of what was read before where that takes long.

        Raises Stopped, CommandFailed.
        """
        if self._poll is None:
            return
        while not self._poll.poll(_MILLISECONDS_BETWEEN_LOOKS):
            self._tell()
            self._stop.check()
            if self._producer is not None:
                self._producer.check()

    def _tell(self) -> None:
        """Tell how much was read since the last time: for each read it would cost too much."""
        if self._untold:
            self._on_read(self._untold)
            self._untold = 0

    def _open(self) -> FileIO:
        source = self._source
        if source.command is not None:
            self._producer = Producer(source.command, hear=self._hear)
            if self._stop.asked:  # `end` may have looked for it too early
                self._producer.end()
            return self._producer.stdout
        if source.path == STANDARD_INPUT:
            # Python has set it to binary on Windows, too.
            return FileIO(stdin.DESCRIPTOR or 0, closefd=False)
        return FileIO(source.path or "")

    def _note_end(self) -> None:
        """Note the end; of a command it is none unless that ended well."""
        if self._producer is not None:
            self._producer.wait(stop=self._stop)
        self._has_ended = True


def _poll_of(file: FileIO) -> Any:  # select.poll is no type on Windows
    """Return what waits for data of the file, or None where the system has nothing for a pipe.

    On Windows the read itself waits, and a stop leaves it behind.
    """
    if sys.platform == "win32":
        return None
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return poll
