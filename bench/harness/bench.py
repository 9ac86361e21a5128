"""One run of the bench: its options, its scratch files, its servers, and how a command is run."""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from harness import environments
from harness.certificates import Certificates
from harness.servers import Server

MIB = 1 << 20
GIB = 1 << 30
ROOT = environments.BENCH.parent
VAULT = "bench"


class CommandFailed(Exception):
    """A measured command ended otherwise than it should have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for; sizes in bytes."""

    size: int
    block_size: int
    rounds: int
    only: tuple[str, ...]
    quick: bool
    deep: bool
    scratch: Path


@dataclass(slots=True)
class Bench:
    """What the sections work with. `missing` says why a peer's environment is not there."""

    options: Options
    certificates: Certificates
    missing: dict[str, str]
    results: dict[str, Any]
    python: str = field(default_factory=lambda: sys.executable)

    def say(self, text: str) -> None:
        """Tell the user what goes on."""
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        sys.stderr.flush()

    def path(self, name: str) -> Path:
        """Return the path of a scratch file."""
        return self.options.scratch / name

    def environment(self, server: Server | None = None, *, tls: bool = True) -> dict[str, str]:
        """Return the environment of a client: its only service, keys and trust are the bench's."""
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
        values = {name: os.environ[name] for name in kept if name in os.environ}
        values |= {
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_PAGER": "",
            "AWS_CA_BUNDLE": str(self.certificates.authority),
            "BOTO_CONFIG": str(self.certificates.boto_config),
            "NO_PROXY": "127.0.0.1",
        }
        if server is not None:
            values["AWS_ENDPOINT_URL"] = server.url(tls=tls)
        return values

    @contextmanager
    def server(self, *, line: bool = False) -> Iterator[Server]:
        """Yield a server of its own process; `line` keeps its socket buffers small, for pacing."""
        server = Server(self.python, self.certificates, line=line)
        try:
            yield server
        finally:
            server.close()

    def ours(self, script: str, *words: object) -> list[str]:
        """Return the command line of one of this project's two scripts."""
        command = [self.python, ROOT / f"{script}.py", "--vault", VAULT, "--quiet", *words]
        return [str(word) for word in command]

    def knows(self, *words: str) -> bool:
        """Tell whether our parallel script takes these flags."""
        tiny = sparse(self.path("tiny"), 1)
        command = self.ours("GlacierMPUP", "--dry-run", "--source-path", tiny, *words)
        done = subprocess.run(command, capture_output=True, env=self.environment(), check=False)
        return done.returncode == 0

    def measure(
        self,
        command: Sequence[str | Path],
        *,
        env: dict[str, str],
        stop_after: float = 0,
        codes: Sequence[int] = (0,),
        timeout: float = 900,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        on_line: Callable[[float, str], None] | None = None,
    ) -> dict[str, float]:
        """Run a command and return what it cost. Raises CommandFailed with the end of its stderr.

        `on_line` hears the lines of its stderr, with the seconds since its start, as they come.
        """
        record_path = self.path("measured.json")
        record_path.unlink(missing_ok=True)
        waiter = Path(__file__).with_name("waiter.py")
        words = [self.python, "-I", "-S", waiter, record_path, stop_after, *command]
        began = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in words],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=self.options.scratch,
        )
        tail = _follow(process, began, timeout, on_line)
        if not record_path.exists():
            raise CommandFailed(f"{Path(command[0]).name} took over {timeout:.0f} s: {tail}")
        record: dict[str, float] = json.loads(record_path.read_text())
        if record["code"] not in codes:
            raise CommandFailed(f"{_name(command)} ended with {record['code']:.0f}: {tail}")
        return record


def _follow(
    process: subprocess.Popen[bytes],
    began: float,
    timeout: float,
    on_line: Callable[[float, str], None] | None,
) -> str:
    """Read the process's stderr to its end, kill it when its time is over, return the tail."""
    previous = signal.signal(signal.SIGALRM, lambda *_: _kill(process))
    signal.setitimer(signal.ITIMER_REAL, timeout)
    tail: list[str] = []
    try:
        for raw in process.stderr or ():
            line = raw.decode(errors="replace").rstrip()
            tail = [*tail[-4:], line]
            if on_line is not None:
                on_line(time.monotonic() - began, line)
        process.wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if process.poll() is None:
            _kill(process)
            process.wait()
        if process.stderr:
            process.stderr.close()
    return " | ".join(tail)[-600:]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all that it started: it leads a session of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def _name(command: Sequence[str | Path]) -> str:
    return " ".join(Path(word).name for word in command[:2])


def sparse(path: Path, size: int) -> Path:
    """Make a file of so many zeros that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def filled(path: Path, size: int) -> Path:
    """Make a file of random bytes, on the disk to the last one; one of that size is kept."""
    if path.exists() and path.stat().st_size == size:
        return path
    with path.open("wb") as file:
        for start in range(0, size, 8 * MIB):
            file.write(os.urandom(min(8 * MIB, size - start)))
        file.flush()
        os.fsync(file.fileno())
    return path


def warm(path: Path) -> None:
    """Read the file into the page cache: the client before may have put it out."""
    buffer = bytearray(MIB)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the median of each number that all the runs have."""
    names = set(runs[0]).intersection(*runs)
    return {name: statistics.median(run[name] for run in runs) for name in sorted(names)}


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on, without the machine's name."""
    model = ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        model = platform.processor()
    return {
        "processor": model or platform.machine(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_bytes": memory,
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }
