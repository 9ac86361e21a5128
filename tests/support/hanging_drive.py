"""A script whose drive hangs while the file is read, until somebody writes to a pipe."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glacier_mpu.source.file import FileSource


def with_hanging_drive(command: Sequence[str], pipe: Path) -> list[str]:
    """Return a script's command so that each block, before it is read, says `hangs` and does."""
    python, script, *arguments = command
    return [python, "-m", __name__, str(pipe), script, *arguments]


def _main(pipe: str, script: str) -> None:
    digest = FileSource.digest

    def hang(*given: Any, **rest: Any) -> Any:
        os.write(2, b"hangs\n")
        with open(pipe):
            return digest(*given, **rest)

    FileSource.digest = hang  # type: ignore[method-assign]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    _, pipe, *sys.argv = sys.argv
    _main(pipe, sys.argv[0])
