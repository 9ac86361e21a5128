"""What all tests share: a stand-in per test, files of every size, no account of this machine."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import botocore.loaders
import botocore.session
import hypothesis
import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.scripts import VAULT

# On a busy machine any example may take long, and a test that looks at the clock is a flaky one.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--live-vault",
        metavar="NAME",
        help="run the vault's contract on this real vault too: AWS bills it",
    )


def pytest_configure() -> None:
    """Give the scripts a Ctrl-C and a hang-up to hear, also in a shell's background or under nohup.

    Such a job has them ignored, and its children would inherit that and, rightly, ignore them too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def one_loader() -> Iterator[None]:
    """Read botocore's models once for all tests: each new session spends 0.1 s of CPU on them."""
    loader = botocore.loaders.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: loader)
        yield


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Keep whatever AWS account this machine has out of the tests."""
    if request.config.getoption("--live-vault"):
        return
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def own_cache_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Keep the cache folder of this machine's user out of the tests, and of what they start."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    if sys.platform == "darwin":
        monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("WIN_PD_OVERRIDE_LOCAL_APPDATA", str(folder))
    return folder


@pytest.fixture(autouse=True)
def nothing_kept_for_ever() -> Iterator[None]:
    """Give back to the garbage collector what a run in this process took from it."""
    yield
    gc.unfreeze()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RehearsalServer]:
    """Yield a stand-in that has the vault already."""
    with RehearsalServer(tmp_path / "rehearsal") as server:
        server.store.create_vault(VAULT)
        yield server


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of files; every MiB of them differs, so that a wrong order shows."""

    def make(size: int, name: str = "source.bin") -> Path:
        path = tmp_path / name
        with path.open("wb") as file:
            for start in range(0, size, 1 << 20):
                stamp = start.to_bytes(8, "big") * (1 << 17)
                file.write(stamp[: min(1 << 20, size - start)])
        return path

    return make


@pytest.fixture
def in_india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine stand where the time is 5:30 hours ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "IST-5:30")
        time.tzset()
        yield
    time.tzset()
