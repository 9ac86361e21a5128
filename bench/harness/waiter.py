"""Runs one command and writes down what it cost: wait4 of a small process, so that the peak memory
is the command's and not its parent's (Linux hands a parent's peak on to a child that it spawns).

    python -I -S waiter.py RESULT.json STOP_AFTER_SECONDS COMMAND...

STOP_AFTER_SECONDS above 0 sends SIGTERM then. CPU counts all descendants that were waited for; peak
memory is that of the largest one.
"""

import json
import os
import signal
import sys
import time


def main() -> int:
    target, stop_after, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    began = time.monotonic()
    child = os.fork()
    if not child:
        try:
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGTERM))
    if stop_after > 0:
        signal.setitimer(signal.ITIMER_REAL, stop_after)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    wall = time.monotonic() - began
    signal.setitimer(signal.ITIMER_REAL, 0)
    storage = _io(child)  # it is there until the child is waited for
    _, status, usage = os.wait4(child, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    record = {
        "code": os.waitstatus_to_exitcode(status),
        "wall_seconds": wall,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "user_seconds": usage.ru_utime,
        "system_seconds": usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * unit,
        **storage,
    }
    with open(target, "w") as file:
        json.dump(record, file)
    return 0


def _io(process: int) -> dict[str, int]:
    """Return what the kernel counted of the process's reads; nothing where it counts none."""
    try:
        with open(f"/proc/{process}/io") as file:
            counts = dict(line.split(": ") for line in file.read().splitlines())
    except OSError:
        return {}
    return {
        "storage_read_bytes": int(counts["read_bytes"]),
        "read_bytes": int(counts["rchar"]),
        "read_calls": int(counts["syscr"]),
    }


if __name__ == "__main__":
    sys.exit(main())
