"""Runs a script, the first argument, with waits of a second and a disk that fails once.

For tests of whole processes, which cannot hand the script its waits. No disk fails on demand, so
the source's `open` is replaced by one whose read number EIO_AT (environment) fails.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

from glacier_mpu.cli.main import main
from glacier_mpu.source import file as source_file
from glacier_mpu.stop import Waits
from tests.support.flaky_file import Flaky
from tests.support.in_process import SCRIPTS

FAST = Waits(longest=0.05, connect=0.8, read=0.8, complete=0.8)


def run() -> int:
    script, *arguments = sys.argv[1:]
    opens: Any = Flaky(code=errno.EIO, after=int(os.environ["EIO_AT"]), times=1)
    source_file.open = opens  # type: ignore[attr-defined]
    return main(SCRIPTS[script](), arguments, command=(script,), waits=FAST)


if __name__ == "__main__":
    code = run()
    sys.stdout.flush()
    os._exit(code)
