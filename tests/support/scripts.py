"""Running the scripts as users do: as processes, against a stand-in of this test's own."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from glacier_mpu.cli.parser import Parser
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, REGION, SECRET_KEY
from glacier_mpu.stop import Waits
from glacier_mpu.vault.client import Address, connect

if TYPE_CHECKING:
    from mypy_boto3_glacier import GlacierClient

ROOT = Path(__file__).resolve().parents[2]
VAULT = "photos"
# What tests give to the scripts, and what must be in nothing that these print or write.
SESSION_TOKEN = "FwoGZXIvYXdzEAsecret/session+token=="
PROXY_PASSWORD = "secret-of-the-proxy"
_SECRETS = [
    form
    for secret in (SECRET_KEY, SESSION_TOKEN, PROXY_PASSWORD)
    for form in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
] + [base64.b64encode(f"me:{PROXY_PASSWORD}".encode()).decode()]


def address_of(server: RehearsalServer, *, vault: str = VAULT) -> Address:
    return Address(
        vault=vault,
        region=REGION,
        endpoint_url=server.endpoint_url,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
    )


def client_of(server: RehearsalServer) -> GlacierClient:
    return connect(address_of(server), connections=1, waits=Waits()).calls


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


def assert_nothing_secret(shown: str | bytes | None) -> None:
    """Look through what a script printed or wrote: no credential, no signature in any ending."""
    text = shown.decode(errors="replace") if isinstance(shown, bytes) else shown or ""
    assert [secret for secret in _SECRETS if secret in text] == []
    assert not re.search(r"Signature=[0-9a-f]|AWS4-HMAC", text)


def assert_nothing_secret_in_files(folder: Path, *, largest: int) -> None:
    """Look through the files below the folder of up to this size, less those in an .aws."""
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != ".aws" and path.stat().st_size <= largest:
            assert_nothing_secret(path.read_bytes())


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


def program_ended(program: str, *, ignoring: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program of Python's; a signal may be ignored, as nohup does with SIGHUP."""

    def ignore() -> None:
        if ignoring is not None:
            signal.signal(ignoring, signal.SIG_IGN)

    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        preexec_fn=ignore,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def run(*words: object, server: RehearsalServer | None = None, cwd: Path | None = None) -> Ended:
    """Run a script, the first of the words, against this stand-in if one is given."""
    script, *arguments = map(str, words)
    command = [sys.executable, str(ROOT / script), *arguments]
    if server is not None:
        command += ["--endpoint-url", server.endpoint_url]
    done = subprocess.run(
        command,
        env=script_environment(server),
        capture_output=True,
        text=True,
        timeout=100,
        cwd=cwd,
        check=False,
    )
    assert_nothing_secret(done.stdout + done.stderr)
    return Ended(done.returncode, done.stdout, done.stderr)


def script_parser(script: str) -> Parser:
    """Return the parser of one of the scripts, without running it."""
    spec = importlib.util.spec_from_file_location(Path(script).stem, ROOT / script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parser = module.build_parser()
    assert isinstance(parser, Parser)
    return parser
