"""A strict stand-in for Amazon Glacier's vault service (API 2012-06-01) on 127.0.0.1.

By hand: `python -m glacier_mpu.rehearsal --dir DIR --port PORT`. In a process:

    with RehearsalServer(folder) as server:
        server.store.create_vault("photos")
        client = boto3.client("glacier", endpoint_url=server.endpoint_url, ...)

It refuses what the service refuses, in the same order and words. Where those are not known it
is strict, and the wording is ours. Nothing leaves the machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

from glacier_mpu.rehearsal.auth import Keys
from glacier_mpu.rehearsal.faults import Fault, with_faults
from glacier_mpu.rehearsal.http import Handler
from glacier_mpu.rehearsal.listener import IDLE_TIMEOUT_SECONDS, Listener, Service
from glacier_mpu.rehearsal.operations import Operations
from glacier_mpu.rehearsal.records import utc_now
from glacier_mpu.rehearsal.store import Store

_KEYS = Keys()
_POLL_SECONDS = 0.02


class RehearsalServer:
    """A strict Glacier on 127.0.0.1 whose vaults live in a folder.

    port 0 takes a free one; endpoint_url is known before start(). now is the clock for
    signatures, expiry and dates. faults happen on purpose; they take the place of handler, which
    may be a subclass that does other things. A body that pauses for idle_timeout_seconds gets a
    408. Raises OSError if the port is taken or the folder is unusable.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        now: Callable[[], datetime] = utc_now,
        faults: Sequence[Fault] = (),
        handler: type[Handler] = Handler,
        keys: Keys = _KEYS,
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
    ) -> None:
        self.folder = folder
        self.store = Store(folder, now=now)
        service = Service(Operations(self.store), now, keys, idle_timeout_seconds)
        try:
            self._listener = Listener(port, with_faults(faults) if faults else handler, service)
        except BaseException:
            self.store.close()
            raise
        self.endpoint_url = f"http://127.0.0.1:{self._listener.server_address[1]}"
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve in threads that do not keep the process alive."""
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            args=(_POLL_SECONDS,),
            name="rehearsal",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving, end all connections, free the port. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._listener.shutdown()
            thread.join()
        self._listener.server_close()
        self._listener.hang_up()
        self.store.close()

    def __enter__(self) -> RehearsalServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
