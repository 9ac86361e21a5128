"""The shell by which a command's line is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

_PIPEFAIL = ("-o", "pipefail")

Which = Callable[[str], "str | None"]


@dataclass(frozen=True, slots=True)
class Shell:
    """How a line is run.

    words          in front of the line
    sees_pipeline  a pipeline fails if any of its programs does, and not only if the last one does
    """

    words: tuple[str, ...]
    sees_pipeline: bool

    def invocation(self, line: str) -> list[str] | str:
        """Return what subprocess.Popen takes to run the line."""
        if self.words[-1] != "/c":
            return [*self.words, line]
        # cmd takes the line as it stands between the outermost quotes, where Popen would put
        # backslashes in front of those within.
        return f'{subprocess.list2cmdline(self.words)} "{line}"'


def find_shell(*, which: Which = shutil.which, platform: str = sys.platform) -> Shell:
    """Return the shell of this system: bash where there is one, else sh; on Windows cmd."""
    if platform == "win32":  # where a bash is another system's (WSL), with other names of files
        cmd = os.environ.get("COMSPEC") or "cmd.exe"
        return Shell((cmd, "/d", "/s", "/c"), sees_pipeline=False)
    bash = which("bash")
    if bash is not None:
        return Shell((bash, *_PIPEFAIL, "-c"), sees_pipeline=True)
    sh = which("sh") or "/bin/sh"
    if _knows_pipefail(sh):
        return Shell((sh, *_PIPEFAIL, "-c"), sees_pipeline=True)
    return Shell((sh, "-c"), sees_pipeline=False)


def _knows_pipefail(sh: str) -> bool:
    """Ask the shell itself: POSIX has the option only since 2024."""
    try:
        asked = subprocess.run(  # noqa: S603 - a fixed line for the system's own shell
            [sh, "-c", "set -o pipefail"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return False
    return asked.returncode == 0
