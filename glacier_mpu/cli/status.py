"""What a monitor is told of one run: a JSON object in the file of `--status-file`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone

from glacier_mpu.cli.options import Options
from glacier_mpu.cli.snapshot import Phase, Snapshot
from glacier_mpu.cli.status_file import StatusFile
from glacier_mpu.errors import quoted

SECONDS_BETWEEN_WRITES = 5.0
# A network drive takes longer only when it is in trouble.
_SECONDS_FOR_THE_LAST = 1.0


def utc_now() -> datetime:
    """Return the time, with its offset."""
    return datetime.now(timezone.utc)


class StatusReport:
    """Keeps the status file up to date, if the options ask for one; else it does nothing.

    Of these calls only the last, `end`, waits for the disk, and for a second at most. If the file
    cannot be written, `warn` is told why, once; at the beginning that raises UsageError.
    """

    def __init__(
        self,
        options: Options,
        *,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        make_file: Callable[..., StatusFile] = StatusFile,
    ) -> None:
        self._options = options
        self._warn = warn
        self._clock = clock
        self._now = now
        self._began = now()
        self._snapshot = Snapshot(phase=Phase.OPENING)
        self._put_at = clock()
        self._has_warned = False
        self._file = self._opened(make_file)

    def see(self, snapshot: Snapshot) -> None:
        """Have the file replaced if that is due: some seconds after the last, or in a new phase."""
        if self._file is None:
            return
        is_new_phase = snapshot.phase is not self._snapshot.phase
        self._snapshot = snapshot
        if is_new_phase or self._clock() - self._put_at >= SECONDS_BETWEEN_WRITES:
            self._put_at = self._clock()
            self._file.put(self._record())
        self._warn_once(self._file.trouble)

    def end(self, ended: Mapping[str, object], *, exit_code: int) -> None:
        """Write how the run ended: `ended` is what `--output json` prints of it."""
        if self._file is None:
            return
        self._snapshot = _at_the_end(self._snapshot)
        last = self._record(ended, exit_code=exit_code)
        self._warn_once(self._file.end(last, seconds=_SECONDS_FOR_THE_LAST))

    def _opened(self, make_file: Callable[..., StatusFile]) -> StatusFile | None:
        options = self._options
        if options.status_file is None:
            return None
        others = {}
        if options.file_path is not None:
            others["the file that is to be uploaded"] = options.file_path
        if options.receipts is not None:
            others["the file of the receipts"] = options.receipts
        return make_file(options.status_file, self._record(), others=others)

    def _warn_once(self, trouble: str) -> None:
        if trouble and not self._has_warned:
            self._has_warned = True
            path = quoted(self._options.status_file or "")
            self._warn(f"the status file {path} cannot be written: {trouble}")

    def _record(
        self, ended: Mapping[str, object] | None = None, *, exit_code: int | None = None
    ) -> dict[str, object]:
        """Return the same members at all times, null where unknown."""
        snapshot, options, now = self._snapshot, self._options, self._now()
        left = snapshot.seconds_left
        return {
            "phase": snapshot.phase.value,
            "status": ended["status"] if ended else None,
            "exitCode": exit_code,
            "error": ended["error"] if ended else None,
            "sourcePath": options.full_source_path,
            "sourceCommand": options.shown_command,
            "vault": options.vault,
            "uploadId": snapshot.upload_id or None,
            "bytes": snapshot.bytes_done,
            "size": snapshot.size,
            "blocksDone": snapshot.blocks_done,
            "blocks": snapshot.blocks,
            "blocksFailed": snapshot.blocks_failed,
            "blocksCompared": snapshot.compared,
            "blocksToCompare": snapshot.to_compare,
            "rate": round(snapshot.rate),
            "secondsLeft": None if left is None else round(left),
            "secondsStalled": round(snapshot.stalled_seconds),
            "bytesRead": snapshot.bytes_read,
            "bytesSpooled": None if snapshot.bytes_read is None else snapshot.bytes_spooled,
            "secondsSilent": round(snapshot.source_silent_seconds),
            "retries": snapshot.retries,
            "pid": os.getpid(),
            "began": _iso(self._began),
            "beganUnix": int(self._began.timestamp()),
            "updated": _iso(now),
            "updatedUnix": int(now.timestamp()),
        }


def _at_the_end(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot of a run that has ended: nothing is on its way any more."""
    return replace(
        snapshot,
        phase=Phase.ENDED,
        bytes_done=max(0, snapshot.bytes_done - snapshot.bytes_on_the_way),
        bytes_on_the_way=0,
        rate=0.0,
        seconds_left=None,
        stalled_seconds=0.0,
        bytes_spooled=0,
        source_silent_seconds=0.0,
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
