"""Runs a command and measures the whole process; and what every measurement needs besides."""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
MIB = 1 << 20
GIB = 1 << 30
TERMINATED = 143


class Failed(Exception):
    """A measured command ended otherwise than it should have."""


class Server:
    """A running server.py; it ends with `close`, and by itself when this process is gone."""

    def __init__(self, python: str, folder: Path, *, narrow: bool) -> None:
        words = [python, str(BENCH / "server.py"), str(folder), *(["--narrow"] if narrow else [])]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
        self.authority = folder / "ca.pem"
        self.boto_config = folder / "boto.cfg"
        self.boto_config.write_text(f"[Boto]\nca_certificates_file = {self.authority}\n")
        try:
            self.port = int(self._process.stdout.readline())
        except ValueError:
            self.close()
            raise Failed("the bench's server did not start") from None

    def reset(self, line: dict[str, float] | None = None) -> dict[str, Any]:
        """Set what the line allows (see server.Line); return what was counted until now."""
        self._process.stdin.write(json.dumps(line or {}) + "\n")
        self._process.stdin.flush()
        counts: dict[str, Any] = json.loads(self._process.stdout.readline())
        return counts

    def close(self) -> None:
        """End the server."""
        self._process.stdin.close()  # that is its sign to leave
        self._process.stdout.close()
        self._process.wait()


@dataclass(slots=True)
class Bench:
    """One run of the bench: its interpreter, its scratch folder, and what went wrong in it."""

    python: str
    scratch: Path
    troubles: list[str] = field(default_factory=list)

    def trouble(self, text: str) -> None:
        """Tell of something that broke, and go on; the exit code will be 1."""
        self.troubles.append(text)
        say(f"FAILED: {text}")

    @contextmanager
    def server(self, *, narrow: bool = False) -> Iterator[Server]:
        """Yield a server in a process of its own; `narrow` keeps little on its way, for pacing."""
        server = Server(self.python, self.scratch, narrow=narrow)
        try:
            yield server
        finally:
            server.close()

    def script(self, name: str, *words: object, checkout: Path = ROOT) -> list[object]:
        """Return the command line of one of this project's two scripts.

        No run profits from what an earlier one hashed; another checkout may not know that flag.
        """
        alone = ["--ledger", "none"] if checkout == ROOT else []
        return [self.python, checkout / name, "--vault", "bench", "--quiet", *alone, *words]

    def measure(
        self,
        command: Sequence[object],
        server: Server,
        *,
        stop_after: float = 0,
        timeout: float = 900,
    ) -> dict[str, float]:
        """Run a command and return what it cost. Raises Failed with the end of its stderr.

        `stop_after` above 0 sends SIGTERM then. CPU and bytes read are those of all processes that
        were waited for; peak memory is that of the largest one. Linux hands the peak of this
        process on to those that it starts: it must stay smaller than all that it measures, so it
        imports nothing large.
        """
        words = [str(word) for word in command]
        with tempfile.TemporaryFile() as errors:
            began = time.monotonic()
            process = subprocess.Popen(
                words,
                env=_environment(server),
                cwd=self.scratch,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
            alarms = [threading.Timer(timeout, _kill, (process,))]
            if stop_after:
                alarms.append(threading.Timer(stop_after, os.kill, (process.pid, signal.SIGTERM)))
            try:
                for alarm in alarms:
                    alarm.start()
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
                wall = time.monotonic() - began
            finally:
                for alarm in alarms:
                    alarm.cancel()
                _kill(process)  # what is left of it: something, when this was interrupted
                read = _bytes_read(process.pid)  # known until the process is waited for
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = code = os.waitstatus_to_exitcode(status)
            if code not in ((0, TERMINATED) if stop_after else (0,)):
                errors.seek(0)
                tail = " | ".join(errors.read().decode(errors="replace").split("\n")[-6:])
                name = " ".join(Path(word).name for word in words[:2])
                raise Failed(f"{name} ended with {code}: {tail[-600:]}")
        return {
            "wall_seconds": wall,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            "read_bytes": read,
        }


def _environment(server: Server) -> dict[str, str]:
    """Return the environment of a client: its only service, keys and trust are the bench's."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_PAGER": "",
        "AWS_CA_BUNDLE": str(server.authority),
        "AWS_ENDPOINT_URL": f"https://127.0.0.1:{server.port}",
        "BOTO_CONFIG": str(server.boto_config),
        "XDG_CACHE_HOME": str(server.boto_config.parent / "cache"),
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all that it started; it leads a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _bytes_read(process: int) -> int:
    """Return how many bytes the process has read; 0 where the kernel does not count them."""
    with suppress(OSError), open(f"/proc/{process}/io") as file:
        return int(next(line for line in file if line.startswith("rchar")).split()[1])
    return 0


def medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the median of each number; seconds to the millisecond, bytes to the byte."""
    found = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return {
        name: round(value, 3) if name.endswith("seconds") else int(value)
        for name, value in found.items()
    }


def say(text: str) -> None:
    """Tell the user what goes on."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@contextmanager
def scratch_file(folder: Path, size: int, *, sparse: bool = False) -> Iterator[Path]:
    """Yield a file of random bytes; or of zeros, sparse, that takes no room on the disk."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.truncate(size)
        for start in range(0, 0 if sparse else size, MIB):
            file.write(os.urandom(min(MIB, size - start)))
        file.flush()
        os.fsync(file.fileno())
        yield Path(file.name)


def warm(path: Path) -> None:
    """Read the file into the page cache: the client before may have put it out."""
    with path.open("rb", buffering=0) as file:
        while file.read(MIB):
            pass


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on, without the machine's name."""
    model = platform.processor()
    with suppress(OSError, StopIteration), open("/proc/cpuinfo") as file:
        model = next(line.split(":", 1)[1].strip() for line in file if "model name" in line)
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }
