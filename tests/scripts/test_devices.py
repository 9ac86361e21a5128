"""A whole block device through the scripts: uploaded, killed, resumed, and what is kept of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.devices import loop_device
from tests.support.faults import Fault, do, faulty
from tests.support.scripts import ROOT, VAULT, run, started

MIB = 1 << 20
MakeFile = Callable[..., Path]


@pytest.mark.parametrize(
    ("script", "more"), [("GlacierMPU.py", []), ("GlacierMPUP.py", ["--threads", "1"])]
)
def test_a_device_is_uploaded_and_after_a_kill_resumed_by_reading_it(
    make_file: MakeFile, tmp_path: Path, own_cache_folder: Path, script: str, more: list[str]
) -> None:
    image = make_file(4 * MIB + 512)
    receipts = tmp_path / "receipts"
    processes: list[subprocess.Popen[str]] = []
    kill = Fault("UploadMultipartPart", do(lambda: processes[0].kill()), after=2)
    with (
        loop_device(image) as device,
        RehearsalServer(tmp_path / "g", handler=faulty(kill)) as server,
    ):
        server.store.create_vault(VAULT)
        words = ["--source-path", device, "--vault", VAULT, "--resume", "--blocksize", "1"]
        words += ["--receipts", str(receipts), "--endpoint-url", server.endpoint_url, *more]
        processes.append(started([sys.executable, str(ROOT / script), *words], server))
        _, err = processes[0].communicate(timeout=60)
        assert processes[0].returncode == -signal.SIGKILL, err
        ended = run(script, *words, server=server)
        assert ended.code == 0, ended.err
        assert "resuming upload" in ended.err
        archives = list((server.folder / "archives").iterdir())
        assert [path.read_bytes() for path in archives] == [image.read_bytes()]
    receipt = json.loads(receipts.read_text())
    assert (receipt["sourceModified"], receipt["size"]) == (None, 4 * MIB + 512)
    assert receipt["bytesSkipped"] >= 2 * MIB
    assert not (own_cache_folder / "glacier_mpu/ledger").exists()
