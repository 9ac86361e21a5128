"""A block device whose content is a file's: Linux' loop device, which only root may set up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def loop_device(file: Path) -> Iterator[str]:
    """Yield the path of a device with the file's content; skip the test where there can be none."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("losetup"):
        pytest.skip("only root on Linux can set up a loop device")
    made = subprocess.run(
        ["losetup", "--find", "--show", file], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no loop device can be set up: {made.stderr.strip()}")
    try:
        yield made.stdout.strip()
    finally:
        subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)
