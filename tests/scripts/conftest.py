"""What the tests of whole scripts share: a runner in this process, and certificates."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from glacier_mpu.cli.main import main
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, REGION, SECRET_KEY
from glacier_mpu.stop import Waits
from tests.support.in_process import QUICK, SCRIPTS, End
from tests.support.installed import install, make_environment, ran
from tests.support.scripts import VAULT, assert_nothing_secret, assert_nothing_secret_in_files

_LARGEST = 1 << 18  # of the files that are looked through: larger ones are the tests' sources


@pytest.fixture(autouse=True)
def nothing_secret_gets_out(
    tmp_path: Path, own_cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Look through all that the scripts of every test here print, and all files that they leave.

    A test that gives them secrets in a file puts it into a folder `.aws`, as users have them.
    """
    communicate = subprocess.Popen.communicate

    def watched(process: subprocess.Popen[Any], *arguments: Any, **rest: Any) -> tuple[Any, Any]:
        printed = communicate(process, *arguments, **rest)
        for stream in printed:
            assert_nothing_secret(stream)
        return printed

    monkeypatch.setattr(subprocess.Popen, "communicate", watched)
    yield
    for folder in (tmp_path, own_cache_folder):
        assert_nothing_secret_in_files(folder, largest=_LARGEST)


@pytest.fixture
def aws_folder(tmp_path: Path) -> Path:
    """Return a folder for files with secrets that a test gives to a script."""
    (tmp_path / ".aws").mkdir()
    return tmp_path / ".aws"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., End]:
    """Return a runner of both scripts; the stand-in is the last that was opened."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)

    def run(
        script: str, server: RehearsalServer, source: Path, *arguments: object, waits: Waits = QUICK
    ) -> End:
        words = ["--source-path", source, "--vault", VAULT, "--output", "json"]
        words += ["--endpoint-url", server.endpoint_url, *arguments]
        capsys.readouterr()
        given = [str(word) for word in words]
        code = main(SCRIPTS[script](), given, command=(script,), waits=waits)
        shown = capsys.readouterr()
        assert_nothing_secret(shown.out + shown.err)
        return End(code, json.loads(shown.out), shown.err)

    return run


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Return an authority that the scripts trust."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    return authority


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    ran(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Return an environment with the wheel. There is a space in its path, as in pipx's on macOS."""
    folder = tmp_path_factory.mktemp("installed") / "Application Support"
    make_environment(folder)
    install(wheel, folder)
    return folder
