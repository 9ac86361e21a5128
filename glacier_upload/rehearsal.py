"""A strict stand-in for Amazon Glacier's vault service (API 2012-06-01) on 127.0.0.1.

By hand: `python -m glacier_upload.rehearsal --dir DIR --port PORT`. In a process:

    with RehearsalServer(folder) as server:
        server.store.create_vault("photos")
        client = boto3.client("glacier", endpoint_url=server.endpoint_url, ...)

It refuses what the service refuses, in its order and its words; where those are not known it
is strict, and the wording is ours. Nothing leaves the machine.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType, TracebackType

from glacier_upload.standin.auth import Keys
from glacier_upload.standin.http import IDLE_TIMEOUT_SECONDS, Handler, Listener, Service
from glacier_upload.standin.operations import Operations
from glacier_upload.standin.records import utc_now
from glacier_upload.standin.store import Store
from glacier_upload.standin.wire import (
    ACCESS_KEY,
    ACCOUNT_ID,
    REGION,
    SECRET_KEY,
    Answer,
    Call,
    Refusal,
)

__all__ = [
    "ACCESS_KEY",
    "ACCOUNT_ID",
    "REGION",
    "SECRET_KEY",
    "Answer",
    "Call",
    "Handler",
    "Refusal",
    "RehearsalServer",
    "Store",
    "utc_now",
]

_KEYS = Keys()
_POLL_SECONDS = 0.02


class RehearsalServer:
    """A strict Glacier on 127.0.0.1 whose vaults live in a folder.

    port 0 takes a free one; endpoint_url is known before start(). now is the clock for signatures,
    expiry and dates; handler may add faults; a body that pauses for idle_timeout_seconds gets a
    408. Raises OSError if the port is taken or the folder unusable.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        now: Callable[[], datetime] = utc_now,
        handler: type[Handler] = Handler,
        keys: Keys = _KEYS,
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
    ) -> None:
        self.folder = folder
        self.store = Store(folder, now=now)
        service = Service(Operations(self.store), now, keys, idle_timeout_seconds)
        try:
            self._listener = Listener(port, handler, service)
        except BaseException:
            self.store.close()
            raise
        self.endpoint_url = f"http://127.0.0.1:{self._listener.server_address[1]}"
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve, in threads of its own that do not keep the process alive."""
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            args=(_POLL_SECONDS,),
            name="rehearsal",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving, hang up, and let go of port and folder. Safe to call twice."""
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM. Exit 0, or 2 if the port or the folder cannot be had."""
    options = _parser().parse_args(arguments)
    try:
        server = RehearsalServer(options.dir, port=options.port)
    except OSError as error:
        sys.stderr.write(f"rehearsal: cannot serve {options.dir} on port {options.port}: {error}\n")
        return 2
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    with server:
        sys.stdout.write(_greeting(server))
        sys.stdout.flush()
        while not stop.wait(0.5):  # a wait without end cannot be interrupted on Windows
            pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m glacier_upload.rehearsal",
        description="A strict stand-in for Amazon Glacier on this machine. Nothing leaves it.",
    )
    parser.add_argument("--dir", type=Path, required=True, help="folder that keeps the vaults")
    parser.add_argument("--port", type=_port, default=0, help="default: any free one")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _greeting(server: RehearsalServer) -> str:
    """Lines for a person, which are also lines for a shell."""
    return "\n".join(
        [
            f"# endpoint: {server.endpoint_url}",
            f"# account:  {ACCOUNT_ID}",
            f"# region:   {REGION}",
            f"# vaults:   {server.folder}",
            f"export AWS_ACCESS_KEY_ID={ACCESS_KEY}",
            f"export AWS_SECRET_ACCESS_KEY={SECRET_KEY}",
            f"export AWS_DEFAULT_REGION={REGION}",
            f"export AWS_ENDPOINT_URL_GLACIER={server.endpoint_url}",
            "# Ctrl-C ends the rehearsal; what is stored stays for the next one.",
            "",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
