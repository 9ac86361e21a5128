"""What the tests share: a stand-in per test, files of every size, scripts as subprocesses."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.loaders
import botocore.session
import pytest

from glacier_mpu.rehearsal.server import ACCESS_KEY, REGION, SECRET_KEY, RehearsalServer
from glacier_mpu.vault.client import Address, connect
from glacier_mpu.waits import Waits

if TYPE_CHECKING:
    from mypy_boto3_glacier import GlacierClient

ROOT = Path(__file__).resolve().parent.parent
VAULT = "photos"


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
    usual = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    for name, handler in usual.items():
        number = getattr(signal, name, None)  # Windows knows no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


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


def address_of(server: RehearsalServer, *, vault: str = VAULT) -> Address:
    return Address(
        vault=vault,
        region=REGION,
        endpoint_url=server.endpoint_url,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
    )


def client_of(server: RehearsalServer) -> GlacierClient:
    client, _ = connect(address_of(server), connections=1, waits=Waits())
    return client


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


@dataclass(frozen=True)
class Ended:
    """A script's end."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, str]:
        """The `key: value` lines of stdout."""
        return dict(line.split(": ", 1) for line in self.out.splitlines())


def assert_nothing_secret(shown: str) -> None:
    """Look through all that a script printed: no credential, no signature, whatever the ending."""
    assert SECRET_KEY not in shown
    assert not re.search(r"Signature=[0-9a-f]|AWS4-HMAC", shown)


def script_environment(server: RehearsalServer | None = None) -> dict[str, str]:
    """Return the environment for a script that talks to this stand-in by `--endpoint-url`."""
    environment = dict(os.environ)
    if server is not None:
        environment |= {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
        }
    return environment


def started(words: Sequence[str], server: RehearsalServer) -> subprocess.Popen[str]:
    """Start a command against this stand-in, with both of its outputs to be read."""
    return subprocess.Popen(
        words,
        env=script_environment(server),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    script: str, *arguments: object, server: RehearsalServer | None = None, cwd: Path | None = None
) -> Ended:
    """Run a script to its end, against this stand-in if one is given."""
    words = [sys.executable, str(ROOT / script), *map(str, arguments)]
    if server is not None:
        words += ["--endpoint-url", server.endpoint_url]
    done = subprocess.run(
        words,
        env=script_environment(server),
        capture_output=True,
        text=True,
        timeout=100,
        cwd=cwd,
        check=False,
    )
    assert_nothing_secret(done.stdout + done.stderr)
    return Ended(done.returncode, done.stdout, done.stderr)
