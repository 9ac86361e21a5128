"""The blocks of a stream that are in hand: a file for each, which is gone once it is stored.

A pipe can be read only once, and a block may have to be sent more than once.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from io import FileIO

from glacier_mpu.errors import (
    SourceUnreadable,
    SpoolDamaged,
    SpoolFull,
    SpoolUnusable,
    quoted,
)
from glacier_mpu.source.blocks import MIB, Block
from glacier_mpu.source.body import BlockBody, leaves, reason, unreadable
from glacier_mpu.source.mounts import memory_kind
from glacier_mpu.source.treehash import Digest, digest
from glacier_mpu.stop import Stop, Stopped

PREFIX = "glacier-mpu-spool-"
# In memory a spool may take about as much as the rest of a run does.
_MOST_IN_MEMORY = 64 * MIB
# Where systems keep large temporary files, on a disk. Source:
# https://refspecs.linuxfoundation.org/FHS_3.0/fhs/ch05s15.html, https://systemd.io/TEMPORARY_DIRECTORIES/
_FOR_LARGE_FILES = "/var/tmp"  # noqa: S108 - a file that is made there has no name
_NO_ROOM = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_SECONDS_BETWEEN_LOOKS = 0.2


def find_spool(folder: str | None, *, needed: int) -> str:
    """Return the folder, or else a temporary one, if `needed` bytes have room there.

    Raises SpoolUnusable.
    """
    if folder is not None:
        _check_room(folder, needed)
        return folder
    usual = tempfile.gettempdir()
    try:
        _check_room(usual, needed)
    except SpoolUnusable as error:
        if not os.path.isdir(_FOR_LARGE_FILES):
            raise
        try:
            _check_room(_FOR_LARGE_FILES, needed)
        except SpoolUnusable:
            raise error from None
        return _FOR_LARGE_FILES
    return usual


def room_in(folder: str) -> int:
    """Return how many bytes a spool may take in a folder that `find_spool` has found."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return 0
    return free if memory_kind(folder) is None else min(free, _MOST_IN_MEMORY)


def _check_room(folder: str, needed: int) -> None:
    """Raise SpoolUnusable unless blocks can be kept there, `needed` bytes in all."""
    sizes = f"{needed:,} bytes ({needed / MIB:,.0f} MiB)"
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SpoolUnusable(
            f"cannot keep blocks in the spool folder {quoted(folder)}: {reason(error)}",
            needed=needed,
        ) from error
    kind = memory_kind(folder)
    if kind is not None and needed > _MOST_IN_MEMORY:
        raise SpoolUnusable(
            f"the spool folder {quoted(folder)} is in memory ({kind}), and the blocks in hand need "
            f"{sizes}",
            needed=needed,
        )
    if free < needed:
        raise SpoolUnusable(
            f"the spool folder {quoted(folder)} has room for {free:,} bytes, and the blocks in "
            f"hand need {sizes}",
            needed=needed,
        )


@dataclass(slots=True, eq=False)
class _File:
    """An open file that only this user may read; `path` is None where it has no name any more."""

    file: FileIO
    path: str | None

    def close(self) -> None:
        with suppress(OSError):
            self.file.close()
        if self.path is not None:
            with suppress(OSError):
                os.unlink(self.path)


class Spool:
    """The blocks in hand, by number. It is the Source of their tasks, in this process only.

    Blocks are written in one thread; the rest is safe to call from any, but only one body of a
    block may be open at a time.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._files: dict[int, _File] = {}
        self._kept: set[int] = set()
        self._closed = False
        self._gone = self._gone_before_write = 0
        self._changed = threading.Condition()
        self._sweep()

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"spool in {self._folder}"

    def write(self, number: int, data: memoryview) -> int:
        """Append to this block, and return how many of the bytes were taken.

        Raises SpoolFull, SourceUnreadable for any other trouble of the disk, and Stopped once it is
        closed: a file that was made then would stay where it cannot be without a name.
        """
        try:
            with self._changed:
                if self._closed:
                    raise Stopped
                self._gone_before_write = self._gone
                if number not in self._files:
                    self._files[number] = _created(self._folder)
                file = self._files[number].file
            return file.write(data) or 0
        except OSError as error:
            kind = SpoolFull if error.errno in _NO_ROOM else SourceUnreadable
            raise kind(
                f"cannot write block {number} to the spool folder {quoted(self._folder)}: "
                f"{reason(error)}"
            ) from error

    def await_room(self, number: int, *, stop: Stop) -> bool:
        """Wait until a block is gone that was there at the last write. Return False if none may go.

        Those on their way go sooner or later, this one aside. Raises Stopped.
        """
        with self._changed:
            while self._gone == self._gone_before_write:
                if not set(self._files) - self._kept - {number}:
                    return False
                self._changed.wait(_SECONDS_BETWEEN_LOOKS)
                stop.check()
            return True

    def keep(self, number: int) -> None:
        """Expect no more that this block is gone soon: it failed, and is sent again at the end."""
        with self._changed:
            self._kept.add(number)
            self._changed.notify_all()

    def digest(self, block: Block, *, stop: Stop, on_read: Callable[[int], None]) -> Digest:
        """Read the block once more. Raises SourceUnreadable, Stopped."""
        part = replace(block, offset=0)
        try:
            with self._opened(block) as file:
                file.seek(0)
                return digest(leaves(file, part, name=self.name, stop=stop, on_read=on_read))
        except OSError as error:
            raise unreadable(self.name, part, error) from error

    def open(
        self,
        block: Block,
        *,
        linear_hash: str,
        stop: Stop,
        on_move: Callable[[int], None],
        allow: Callable[[int], int],
    ) -> BlockBody:
        """Return the block as a request body. Raises SourceUnreadable."""
        return BlockBody(
            self._opened(block),
            replace(block, offset=0),
            name=self.name,
            linear_hash=linear_hash,
            stop=stop,
            on_move=on_move,
            allow=allow,
        )

    def release(self, block: Block) -> None:
        """Delete the block: it is stored, or nobody sends it any more."""
        with self._changed:
            spooled = self._files.get(block.number)
        if spooled is not None:
            spooled.close()  # first: whoever is told that it is gone writes in its place
        with self._changed:
            self._files.pop(block.number, None)
            self._kept.discard(block.number)
            self._gone += 1
            self._changed.notify_all()

    def is_at_rest(self) -> bool:
        """Tell that its hashes are of no use to later runs, which read the stream again."""
        return False

    def reads_besides(self, block: Block) -> bool:
        """Tell that nothing is known of other places."""
        return False

    def check_unchanged(self) -> None:
        """Do nothing: nobody else can change it."""

    def other_bytes(self, block: Block) -> SpoolDamaged:
        """Return the error for a block that was other bytes when it was read again."""
        return SpoolDamaged(
            f"block {block.number} was not read from the spool folder {quoted(self._folder)} as it "
            "was written: that disk or this machine's memory is faulty"
        )

    def close(self) -> None:
        """Delete every block, and take none any more. Safe to repeat."""
        with self._changed:
            self._closed = True
            files = list(self._files.values())
            self._files.clear()
            self._changed.notify_all()
        for file in files:
            file.close()

    def _opened(self, block: Block) -> FileIO:
        """Return a handle of its own, which shares its position with the others of the block."""
        try:
            return FileIO(os.dup(self._files[block.number].file.fileno()))
        except (OSError, ValueError, KeyError) as error:  # the last two once the run has ended
            raise unreadable(self.name, replace(block, offset=0), error) from error

    def _sweep(self) -> None:
        """Delete what a killed run left where open files keep their names.

        A file that another run has open there cannot be deleted; elsewhere it has no name.
        """
        with suppress(OSError):
            for name in os.listdir(self._folder):
                if name.startswith(PREFIX):
                    with suppress(OSError):
                        os.unlink(os.path.join(self._folder, name))


def _created(folder: str) -> _File:
    """Make a file without a name, so that whatever ends the process deletes it.

    It never has one where the system can do that; where it loses it at once, a kill in between
    leaves an empty file. Windows and some network drives keep the name of an open file.
    """
    with suppress(OSError):
        return _File(FileIO(_without_a_name(folder), "r+"), None)
    descriptor, path = tempfile.mkstemp(prefix=PREFIX, dir=folder)
    file = FileIO(descriptor, "r+")
    try:
        os.unlink(path)
    except OSError:
        return _File(file, path)
    return _File(file, None)


def _without_a_name(folder: str) -> int:
    """Open a new file that is in no folder. Raises OSError where system or drive cannot.

    Source: https://man7.org/linux/man-pages/man2/open.2.html (O_TMPFILE)
    """
    if sys.platform == "win32" or not hasattr(os, "O_TMPFILE"):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
