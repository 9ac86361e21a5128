"""docs/cron.sh finishes one upload over many nights, from the bare environment that cron gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, REGION, SECRET_KEY, Call
from tests.support import faults
from tests.support.faults import Fault, FaultyHandler
from tests.support.in_process import MIB, MakeFile, assert_one_intact_archive, glacier, handler_of
from tests.support.scripts import ROOT, VAULT

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="needs flock")
NOT_ALLOWED = faults.refuse(403, "AccessDeniedException", "not allowed tonight")


class Machine:
    """A machine whose cron calls the script, with the project in one folder and all else beside."""

    def __init__(self, folder: Path, source: Path, python: str) -> None:
        self.state = folder / "state"
        self.state.mkdir()
        project = folder / "project"
        python_there = project / ".venv" / "bin" / "python"
        python_there.parent.mkdir(parents=True)
        python_there.write_text(f"#!/bin/sh\n{python}\n")
        python_there.chmod(0o755)
        (project / "GlacierMPUP.py").symlink_to(ROOT / "GlacierMPUP.py")
        keys = folder / ".aws" / "credentials"
        keys.parent.mkdir()
        keys.write_text(
            f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
        )
        self.environment = {
            "HOME": str(folder),
            "PATH": "/usr/bin:/bin",
            "SOURCE": str(source),
            "VAULT": VAULT,
            "REGION": REGION,
            "PROJECT": str(project),
            "STATE": str(self.state),
        }

    def night(
        self, server: RehearsalServer | None = None, *flags: str
    ) -> subprocess.CompletedProcess[str]:
        there = ["--endpoint-url", server.endpoint_url] if server else []
        return self.run(ROOT / "docs" / "cron.sh", "--blocksize", "1", *there, *flags)

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def files(self) -> set[str]:
        return set(os.listdir(self.state))


@pytest.fixture
def machine(tmp_path: Path, make_file: MakeFile) -> Machine:
    return Machine(tmp_path, make_file(3 * MIB), f'exec {sys.executable} "$@"')


def test_a_night_that_ends_in_trouble_is_followed_by_one_that_finishes_and_then_by_quiet_ones(
    machine: Machine, tmp_path: Path
) -> None:
    trouble = Fault("UploadMultipartPart", NOT_ALLOWED)
    with glacier(tmp_path / "vaults", trouble) as server:
        first = machine.night(server)
        assert first.returncode == 3
        assert "not allowed tonight" in first.stderr
        assert "source.bin.done" not in machine.files

        second = machine.night(server)
        receipt = machine.state / "source.bin.receipt"
        assert (second.returncode, second.stderr) == (0, "")
        assert f"is stored. Keep a copy of {receipt} elsewhere" in second.stdout
        assert_one_intact_archive(server, Path(machine.environment["SOURCE"]))
        assert handler_of(server).calls.count("InitiateMultipartUpload") == 1
        assert len(receipt.read_text().splitlines()) == 1
        assert "archive-id: " in (machine.state / "source.bin.log").read_text()

        calls = len(handler_of(server).calls)
        third = machine.night(server)
        assert (third.returncode, third.stdout, third.stderr) == (0, "", "")
        assert len(handler_of(server).calls) == calls


def test_a_command_from_the_mail_that_finishes_the_upload_ends_the_nights_too(
    machine: Machine, tmp_path: Path
) -> None:
    trouble = Fault("UploadMultipartPart", NOT_ALLOWED)
    with glacier(tmp_path / "vaults", trouble) as server:
        command = machine.night(server).stderr.splitlines()[-1]
        assert machine.run("sh", "-c", command).returncode == 0
        calls = len(handler_of(server).calls)
        assert machine.night(server).returncode == 0
        assert len(handler_of(server).calls) == calls
        assert_one_intact_archive(server, Path(machine.environment["SOURCE"]))


@pytest.mark.parametrize("spelling", [["--rehearse", "it"], ["--rehearse=it"]], ids=" ".join)
def test_a_rehearsal_of_the_nights_leaves_the_real_ones_to_be_done(
    machine: Machine, tmp_path: Path, spelling: list[str]
) -> None:
    flags = [flag.replace("it", str(tmp_path / "rehearsal")) for flag in spelling]
    assert machine.night(None, *flags).returncode == 0
    assert all(name.startswith("rehearsal-source.bin.") for name in machine.files)
    with glacier(tmp_path / "vaults") as server:
        assert machine.night(server).returncode == 0
        assert_one_intact_archive(server, Path(machine.environment["SOURCE"]))


def test_a_second_run_leaves_one_that_is_still_busy_alone(machine: Machine, tmp_path: Path) -> None:
    seconds: list[tuple[int, str]] = []

    def begin_another_run(handler: FaultyHandler, call: Call) -> None:
        second = machine.night(server)
        seconds.append((second.returncode, second.stdout + second.stderr))

    with glacier(tmp_path / "vaults", Fault("UploadMultipartPart", begin_another_run)) as server:
        assert machine.night(server).returncode == 0
        assert seconds == [(75, "")]
        assert handler_of(server).calls.count("InitiateMultipartUpload") == 1


@pytest.mark.parametrize(
    ("code", "over"), [(0, True), (1, False), (2, False), (3, False), (4, True)]
)
def test_only_what_must_not_be_repeated_ends_it_and_the_exit_code_is_kept(
    tmp_path: Path, make_file: Callable[..., Path], code: int, over: bool
) -> None:
    machine = Machine(tmp_path, make_file(1), f"echo called; exit {code}")
    nights = [machine.night().returncode for _ in range(2)]
    assert nights == [code, 0 if over else code]
    log = (machine.state / "source.bin.log").read_text()
    assert log == ("called\n" if over else "called\ncalled\n")
