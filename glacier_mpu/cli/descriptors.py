"""Open files and connections: as many as a run needs, or a refusal before it begins."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from glacier_mpu.cli.figures import counted
from glacier_mpu.errors import TooManySlots
from glacier_mpu.transfer.pacing import MOST_SLOTS
from glacier_mpu.transfer.workers import cores

# Measured in /proc/self/fd with up to 200 slots, all of them sending. A slot has its connection and
# the source; while it begins, it also looks up a name or reads the trusted authorities. In a
# rehearsal the other end is in this process, too: connection, part, database and its log.
_OF_A_SLOT = 3
_OF_A_SLOT_IN_A_REHEARSAL = 6
# The file of its block in the spool, and a duplicate of that to read it from its beginning.
_OF_A_SLOT_THAT_SPOOLS = 2
# Lists, completion, receipts, the lock, a rehearsal's folder. Each core that hashes has a source.
_BESIDES = 20


def make_room(slots: int | None, *, rehearses: bool, spools: bool = False) -> None:
    """Let this process open what so many slots need; None is as many as `auto` may come to.

    What `spools` is a stream, whose blocks lie in files until they are stored. Raises TooManySlots
    if the system does not allow it. Windows has no such limit.
    """
    if sys.platform == "win32":
        return
    import resource

    wanted = MOST_SLOTS if slots is None else slots
    of_a_slot = _OF_A_SLOT_IN_A_REHEARSAL if rehearses else _OF_A_SLOT
    if spools:
        of_a_slot += _OF_A_SLOT_THAT_SPOOLS
    besides = _open_now() + _BESIDES + cores()
    needed = besides + wanted * of_a_slot
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _allows(soft, needed):
        return
    if _allows(hard, needed):
        # macOS has one more limit, which may be below the hard one.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
            return
        hard = soft
    most = max(0, (hard - besides) // of_a_slot)
    raise TooManySlots(
        f"{counted(wanted)} at once need {needed:,} open files and connections, and this process "
        f"may have {hard:,}",
        most=most,
    )


def _allows(limit: int, needed: int) -> bool:
    """Tell whether a limit leaves room; one without end is negative."""
    return limit < 0 or limit >= needed


def _open_now() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(os.listdir(folder))
    return _BESIDES
