"""Large things: memory that does not follow the block size, and 10,000 blocks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.faults import faulty
from tests.support.scripts import ROOT, VAULT, run, script_environment

MIB = 1 << 20


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


# The peak that the parent learns of a child counts what the parent had at the fork, too.
TELLS_ITS_PEAK = """
import atexit, runpy, sys
atexit.register(lambda: print(*open("/proc/self/status"), file=sys.stderr))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_memory_does_not_follow_the_size_of_blocks(server: RehearsalServer, tmp_path: Path) -> None:
    source = sparse(tmp_path / "sparse", 600 * MIB)
    words = [sys.executable, "-c", TELLS_ITS_PEAK, str(ROOT / "GlacierMPUP.py")]
    words += ["--source-path", str(source)]
    words += ["--vault", VAULT, "--blocksize", "256", "--endpoint-url", server.endpoint_url]
    done = subprocess.run(
        words, env=script_environment(server), capture_output=True, text=True, check=True
    )
    peak = re.search(r"VmHWM:\s+(\d+) kB", done.stderr)
    assert peak is not None
    assert int(peak[1]) * 1024 < 80 * MIB


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_thousand_blocks_are_uploaded_resumed_from_half_and_listed(tmp_path: Path) -> None:
    source = sparse(tmp_path / "sparse", 10_000 * MIB - 5)
    handler = faulty()
    with RehearsalServer(tmp_path / "g", handler=handler) as server:
        server.store.create_vault(VAULT)
        common = ["--source-path", source, "--vault", VAULT, "--blocksize", 1]
        first = run(
            *("GlacierMPUP.py", *common, "--end", 4999, "--finish-upload", "False"), server=server
        )
        assert first.code == 0, first.err
        assert first.result["blocks-missing"] == "5000-9999"
        last = run("GlacierMPUP.py", *common, "--resume", server=server)
        assert last.code == 0, last.err
        assert handler.calls.count("ListParts") >= 5000 // 50
        archive = server.store.archive_path(last.result["archive-id"])
        same = subprocess.run(["cmp", str(source), str(archive)], check=False)
        assert same.returncode == 0
