"""A helper that is to hand out credentials, and hangs."""

from __future__ import annotations

import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_HELPER = """import socket
socket.create_connection(("127.0.0.1", {port})).recv(1)
"""


@dataclass(frozen=True)
class HangingHelper:
    """`profile` is the text of a profile that asks it."""

    profile: str
    listener: socket.socket

    def await_call(self) -> socket.socket:
        """Return once it was asked; it ends when the connection is closed that is returned."""
        connection, _ = self.listener.accept()
        return connection


@contextmanager
def hanging_helper(folder: Path) -> Iterator[HangingHelper]:
    """Yield a helper that hangs until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        path = folder / "hanging_helper.py"
        path.write_text(_HELPER.format(port=listener.getsockname()[1]))
        command = shlex.join([sys.executable, "-S", str(path)])
        yield HangingHelper(f"[default]\ncredential_process = {command}\n", listener)
