"""SECURITY.md keeps its word: no secret in anything printed or written, and who may read what."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import SECRET_KEY
from tests.support import faults
from tests.support.documents import rows, section
from tests.support.faults import Fault
from tests.support.in_process import MIB, MakeFile, glacier
from tests.support.proxy import connect_proxy
from tests.support.scripts import (
    PROXY_PASSWORD,
    SESSION_TOKEN,
    VAULT,
    Ended,
    assert_nothing_secret_in_files,
    run,
)

# What the service says to a call that is signed in another way: it repeats what was signed.
ECHO = faults.refuse(
    403,
    "InvalidSignatureException",
    f"The canonical string should have been 'host:h\nx-amz-security-token:{SESSION_TOKEN}\n' "
    "Credential=REHEARSALONLYKEY0000/20261124/us-east-1, Signature=0a1b2c3d",
)
PART = "UploadMultipartPart"


@pytest.fixture
def upload(
    make_file: MakeFile, tmp_path: Path, own_cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Return a run with temporary credentials that shows and writes as much as a run can.

    It is looked through: both streams, the receipts, the status file, the ledger, the locks, the
    stand-in's folder.
    """
    # The stand-in's keys are permanent, and it refuses sessions' tokens; here they are its own.
    monkeypatch.setattr("glacier_mpu.rehearsal.auth._check_signed_headers", lambda *_: None)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SESSION_TOKEN)
    source = make_file(3 * MIB + 1)
    os.utime(source, (1, 1))

    def upload(*flags: object, server: RehearsalServer | None) -> Ended:
        words = ["--source-path", source, "--vault", VAULT, "--blocksize", 1, "--verbose"]
        words += ["--receipts", tmp_path / "receipts.jsonl", "--retry-minutes", 0.01]
        words += ["--status-file", tmp_path / "status.json"]
        ended = run("GlacierMPUP.py", *words, *flags, server=server)
        for folder in (tmp_path, own_cache_folder):
            assert_nothing_secret_in_files(folder, largest=4 * MIB)
        return ended

    return upload


@contextmanager
def proxied(monkeypatch: pytest.MonkeyPatch, address: str) -> Iterator[None]:
    """Have calls go by this proxy, which is told the password."""
    for name in ("no_proxy", "NO_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", address)
    yield


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_whole_upload_prints_and_writes_no_secret(
    upload: Callable[..., Ended], tmp_path: Path, output: str
) -> None:
    with glacier(tmp_path / "g") as server:
        ended = upload("--output", output, server=server)
    assert ended.code == 0, ended.err
    assert (tmp_path / "receipts.jsonl").stat().st_size


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_refusal_that_repeats_the_call_and_its_traceback_print_no_secret(
    upload: Callable[..., Ended], tmp_path: Path, output: str
) -> None:
    with glacier(tmp_path / "g", Fault(PART, ECHO, times=faults.FOREVER)) as server:
        ended = upload("--output", output, server=server)
    assert ended.code == 3, ended.err
    assert "Traceback" in ended.err
    assert "x-amz-security-token:(hidden)" in ended.err


def test_a_proxy_that_refuses_its_password_does_not_have_it_printed(
    upload: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with connect_proxy(answer=refusal) as proxy:
        address = proxy.url.replace("//", f"//me:{PROXY_PASSWORD}@")
        with proxied(monkeypatch, address):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            ended = upload("--region", "eu-west-1", server=None)
    assert proxy.asked
    assert ended.code == 1, ended.err
    assert "HTTPS_PROXY" in ended.err


@pytest.mark.parametrize("cut", ["/", "?", "#"])
def test_a_password_that_makes_the_proxys_address_senseless_is_not_printed(
    upload: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """Not encoded, these letters end the host, so that the password is taken for its port."""
    with proxied(monkeypatch, f"http://me:{PROXY_PASSWORD}{cut}more@proxy:3128"):
        ended = upload("--region", "eu-west-1", server=None)
    assert ended.code == 2, ended.err
    assert "HTTPS_PROXY" in ended.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_files_are_made_with_the_permissions_that_are_told(
    upload: Callable[..., Ended], tmp_path: Path, own_cache_folder: Path
) -> None:
    before = os.umask(0o022)
    try:
        ended = upload("--resume", "--rehearse", tmp_path / "g", server=None)
    finally:
        os.umask(before)
    assert ended.code == 0, ended.err

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    (lock,) = (own_cache_folder / "glacier_mpu" / "locks").iterdir()
    found = {
        "`locks`": [mode(lock), mode(lock.parent)],
        "`--receipts FILE`": [mode(tmp_path / "receipts.jsonl")],
        "`--status-file FILE`": [mode(tmp_path / "status.json")],
        "`--rehearse DIR`": [mode(tmp_path / "g")],
    }
    told = {
        name: [int(octal, 8) for octal in re.findall(r"\b0\d{3}\b", who)]
        for cell, _, who in rows(section("SECURITY.md", "Files"))
        for name in found
        if cell.startswith(name)
    }
    assert found == told
