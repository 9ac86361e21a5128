"""A shell in a real terminal (tmux), with the script installed, and a stand-in in place of AWS."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from glacier_mpu.rehearsal.faults import Fault  # noqa: E402
from glacier_mpu.rehearsal.server import RehearsalServer  # noqa: E402
from glacier_mpu.rehearsal.wire import ACCESS_KEY, REGION, SECRET_KEY  # noqa: E402

# It is shown, in the command that resumes.
FOLDER = Path(tempfile.gettempdir()) / "album"
SOURCE, SIZE = "album.zip", 200 << 20
COMMAND = (
    f"glacier-mpup --resume --source-path {SOURCE} --vault photos --blocksize 8"
    " --max-bandwidth 20MB"
)
AT_THE_PROMPT = r"\$$"
_PROMPT = "\\[\\e[1;32m\\]$\\[\\e[0m\\] "
_PATIENCE_SECONDS = 60
# As pip would install it.
_INSTALLED = f"""\
#!{sys.executable}
import sys
sys.path.insert(0, {str(PROJECT)!r})
from GlacierMPUP import main
main()
"""
# The ledger keeps nothing of a file that has just changed.
_SECONDS_UNTIL_AT_REST = 3


class Terminal:
    """A shell in a terminal of tmux, on a socket of its own."""

    def __init__(self, environment: dict[str, str], *, columns: int, lines: int) -> None:
        self._socket = FOLDER / f"tmux-{secrets.token_hex(4)}"
        self._tmux(
            *("-f", os.devnull, "new-session", "-d", "-x", str(columns), "-y", str(lines)),
            *("-c", str(FOLDER), "env", "-i", *(f"{k}={v}" for k, v in environment.items())),
            *("TERM=screen-256color", "bash", "--norc", "--noprofile"),
        )
        self.wait_for(AT_THE_PROMPT)

    def _tmux(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-S", self._socket, *words], check=True, capture_output=True, text=True
        ).stdout

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def enter(self, command: str) -> None:
        self._tmux("send-keys", "-l", command)
        self.press("Enter")

    def shown(self, *, colours: bool = False) -> str:
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else [])).rstrip()

    def wait_for(self, pattern: str) -> str:
        """Wait until the screen matches, and return it.

        Raises TimeoutError with what it shows instead.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not re.search(pattern, shown := self.shown(), re.DOTALL):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{pattern!r} never came:\n{shown}")
            time.sleep(0.1)
        return shown

    def close(self) -> None:
        self._tmux("kill-server")


@contextmanager
def stage(*, faults: Sequence[Fault] = ()) -> Iterator[dict[str, str]]:
    """Make FOLDER, with the command and a file to upload, and remove it.

    Yields the environment in which a stand-in takes the place of AWS.
    """
    FOLDER.mkdir()  # of somebody else's nothing is removed
    try:
        command = FOLDER / "glacier-mpup"
        command.write_text(_INSTALLED, encoding="utf-8")
        command.chmod(0o755)
        with (FOLDER / SOURCE).open("wb") as file:
            file.truncate(SIZE)
        time.sleep(_SECONDS_UNTIL_AT_REST)
        with RehearsalServer(FOLDER / "stand-in", faults=faults) as server:
            server.store.create_vault("photos")
            yield _environment(server)
    finally:
        shutil.rmtree(FOLDER)


@contextmanager
def terminal(environment: dict[str, str], *, columns: int, lines: int) -> Iterator[Terminal]:
    """Yield a terminal of this width, and end it."""
    made = Terminal(environment, columns=columns, lines=lines)
    try:
        yield made
    finally:
        made.close()


def _environment(server: RehearsalServer) -> dict[str, str]:
    return {
        "HOME": str(FOLDER),
        "PATH": f"{FOLDER}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "PS1": _PROMPT,
        "HISTFILE": os.devnull,
        "XDG_CACHE_HOME": str(FOLDER / "cache"),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_GLACIER": server.endpoint_url,
    }
