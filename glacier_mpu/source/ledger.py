"""The hashes that earlier runs computed of a file's blocks, so that no later run reads them again.

The ledger is a folder with a file of JSON lines for each run: a head, which says of which file, and
a line for each block. Nothing is locked and no file is changed by two, so that several runs and
machines may share the folder. It is a cache: whatever is wrong with it costs time and no more.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from queue import SimpleQueue

from glacier_mpu.source.body import reason
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.treehash import Digest

DAYS_KEPT = 90
_FILE = re.compile(r"[0-9a-f]{32}-\d{20}-\d+-[0-9a-f]{8}\.jsonl")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, eq=False)
class Remembered(Digest):
    """Hashes that the ledger knows. It equals no other Digest: this run has not read the block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Of which file's blocks a file of the ledger tells, and how large they are."""

    inode: int
    size: int
    mtime_ns: int | None
    ctime_ns: int | None
    block_size: int

    @property
    def digest(self) -> str:
        """What the names of its files begin with, so that no others need to be opened."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:32]


class Ledger:
    """What is known of one file's blocks. Without a `folder` nothing is read or written.

    Raises nothing: `on_trouble` is told once why the folder cannot be used, and nothing is written
    from then on. With `recheck` nothing is recalled. Belongs to one thread at a time: each call may
    hang with the folder.
    """

    def __init__(
        self,
        folder: str | None,
        source: FileSource,
        *,
        on_trouble: Callable[[str], None],
        recheck: bool = False,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        # A file system that does not number its files cannot tell two of one size apart.
        self._folder = folder if source.inode else None
        self._source = source
        self._recheck = recheck
        self._on_trouble = on_trouble
        self._clock = clock
        self._recalled: dict[int, dict[int, Digest]] = {}
        self._head: Head | None = None
        self._upload_id = ""
        self._descriptor: int | None = None
        self._in_trouble = False

    def recall(self, block_size: int) -> Mapping[int, Digest]:
        """Return the hashes of blocks of this size that earlier runs computed, by number."""
        if self._recheck:
            return {}
        if block_size not in self._recalled:
            known = self._recalled[block_size] = {}
            head = self._head_of(block_size)
            for path in self._paths(head.digest):
                known.update(_lines(path, head))  # where two disagree, the newer one counts
                with suppress(OSError):
                    os.utime(path)  # it is in use, and not to be swept
        return self._recalled[block_size]

    def begin(self, block_size: int, upload_id: str) -> None:
        """Say of what `note` will tell, and sweep what nobody has used for DAYS_KEPT days."""
        self._head = self._head_of(block_size)
        self._upload_id = upload_id
        oldest = self._clock() / 10**9 - DAYS_KEPT * 24 * 3600
        for path in self._paths():
            with suppress(OSError):
                if os.stat(path).st_mtime < oldest:
                    os.unlink(path)

    def note(self, number: int, digest: Digest) -> None:
        """Keep the hashes of a block. Once this returns a kill does not lose them any more."""
        if self._folder is None or self._head is None or self._in_trouble:
            return
        try:
            if self._descriptor is None:
                self._descriptor = _created(self._folder, self._head, self._clock())
                _append(self._descriptor, self._head_record(self._head))
            line = {"block": number, "linear": digest.linear, "tree": digest.tree.hex()}
            _append(self._descriptor, line)
        except (OSError, ValueError) as error:
            self._tell(error)

    def forget(self) -> None:
        """Remove what was kept for this upload, which is completed; others keep what is theirs."""
        self.close()
        if self._head is None:
            return
        for path in self._paths(self._head.digest):
            with suppress(OSError):
                with open(path, "rb") as file:
                    upload_id = _record(file.readline()).get("upload_id")
                if upload_id == self._upload_id:
                    os.unlink(path)

    def close(self) -> None:
        """Close the file. Safe to repeat."""
        if self._descriptor is not None:
            with suppress(OSError):  # a network drive may find only now that it is full
                os.close(self._descriptor)
            self._descriptor = None

    def _head_of(self, block_size: int) -> Head:
        source = self._source
        return Head(
            inode=source.inode,
            size=source.size,
            mtime_ns=source.mtime_ns,
            ctime_ns=source.ctime_ns,
            block_size=block_size,
        )

    def _head_record(self, head: Head) -> dict[str, object]:
        """Return the head's line; the path and the machine are for people, and not compared."""
        where = {"path": os.path.abspath(self._source.path), "host": platform.node()}
        return {**asdict(head), "upload_id": self._upload_id, **where}

    def _paths(self, beginning: str = "") -> list[str]:
        """Return the ledger's files whose names begin so, oldest first."""
        if self._folder is None:
            return []
        try:
            names = sorted(os.listdir(self._folder))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            self._tell(error)
            return []
        mine = [name for name in names if name.startswith(beginning) and _FILE.fullmatch(name)]
        return [os.path.join(self._folder, name) for name in mine]

    def _tell(self, error: OSError | ValueError) -> None:
        if not self._in_trouble:
            self._in_trouble = True
            self._on_trouble(reason(error))


class LedgerWriter:
    """Writes a ledger in a thread of its own, for which nobody waits: its folder may hang.

    `begin`, `note` and `forget` are those of Ledger, and return at once. What is not written by the
    end costs the next run time and no more.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True, name="ledger")

    def begin(self, block_size: int, upload_id: str) -> None:
        """Begin, once; the others count from then on."""
        self._thread.start()
        self._work.put(lambda: self._ledger.begin(block_size, upload_id))

    def note(self, number: int, digest: Digest) -> None:
        """Keep the hashes of a block soon."""
        self._work.put(lambda: self._ledger.note(number, digest))

    def forget(self) -> None:
        """Remove what was kept for this upload."""
        self._work.put(self._ledger.forget)

    def close(self, *, seconds: float) -> None:
        """Write what is left, and wait for that for so many seconds at most."""
        self._work.put(self._ledger.close)
        self._work.put(None)
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _write(self) -> None:
        for work in iter(self._work.get, None):
            work()


def _created(folder: str, head: Head, now: int) -> int:
    """Make a file that no other run or machine can make, too, and return its descriptor."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    name = f"{head.digest}-{now:020}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(os.path.join(folder, name), flags, 0o600)


def _append(descriptor: int, record: Mapping[str, object]) -> None:
    line = json.dumps(record).encode() + b"\n"
    if os.write(descriptor, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _lines(path: str, head: Head) -> Iterator[tuple[int, Digest]]:
    """Yield what a file tells, if its head is this one; a line that is torn is passed over."""
    with suppress(OSError), open(path, "rb") as file:
        if not asdict(head).items() <= _record(file.readline()).items():
            return
        for line in file:
            match _record(line):
                case {"block": int(number), "linear": str(linear), "tree": str(tree)}:
                    if _SHA256.fullmatch(linear) and _SHA256.fullmatch(tree):
                        yield number, Remembered(linear, bytes.fromhex(tree))


def _record(line: bytes) -> dict[str, object]:
    """Return the JSON object in the line, or an empty one."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
