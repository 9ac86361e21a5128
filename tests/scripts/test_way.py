"""The way to the service, as whole scripts meet it: proxies, authorities, regions, helpers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.wire import ACCESS_KEY, SECRET_KEY
from tests.support.proxy import ConnectProxy, connect_proxy
from tests.support.scripts import VAULT, Ended, run
from tests.support.tiny_server import Answer, tiny_server

MakeFile = Callable[..., Path]
BOTH = pytest.mark.parametrize("script", ["GlacierMPU.py", "GlacierMPUP.py"])


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectProxy]:
    """Yield the proxy of all that leaves this machine. It wants a password, so nothing does."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    for name in ("no_proxy", "NO_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with connect_proxy(answer=refusal) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        yield proxy


def upload(script: str, source: Path, *more: str, region: str = "eu-west-1") -> Ended:
    return run(script, "--source-path", source, "--vault", VAULT, "--region", region, *more)


@BOTH
def test_a_rehearsal_goes_through_no_proxy(
    make_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    source = make_file(5)
    with tiny_server(Answer(502)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        end = upload(script, source, "--rehearse", str(tmp_path / "r"), "--retry-minutes", "0")
    assert end.code == 0, end.err
    assert proxy.asked == []


@BOTH
def test_a_proxy_that_wants_a_password_ends_the_run_at_once_and_keeps_the_upload(
    make_file: MakeFile, proxy: ConnectProxy, script: str
) -> None:
    source = make_file(5)
    for more, code in (((), 1), (("--upload-id", "an-id"), 3)):
        proxy.asked.clear()
        end = upload(script, source, *more)
        assert end.code == code, end.err
        assert "407 Proxy Authentication Required" in end.err
        assert "HTTPS_PROXY" in end.err
        assert "aborted" not in end.err
        assert len(proxy.asked) == 1


@BOTH
def test_a_proxy_whose_address_makes_no_sense_is_bad_input(
    make_file: MakeFile, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    end = upload(script, make_file(5))
    assert end.code == 2
    assert "HTTPS_PROXY" in end.err


@BOTH
def test_a_mistyped_region_is_refused_with_the_nearest_before_any_call(
    make_file: MakeFile, proxy: ConnectProxy, script: str
) -> None:
    end = upload(script, make_file(5), region="eu-wst-1")
    assert end.code == 2
    assert "--region eu-west-1" in end.err
    assert proxy.asked == []


@BOTH
def test_a_region_that_may_be_new_is_warned_of_and_tried(
    make_file: MakeFile, proxy: ConnectProxy, script: str
) -> None:
    end = upload(script, make_file(5), "--quiet", region="eu-west-9")
    assert "warning: Glacier is not known to be in the region eu-west-9" in end.err
    assert proxy.asked[0].startswith("CONNECT glacier.eu-west-9.amazonaws.com:443")


@BOTH
def test_a_helper_that_hands_out_no_credentials_is_no_fault_of_the_program(
    make_file: MakeFile, aws_folder: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    (aws_folder / "helper.py").write_text(f'print(\'{{"SecretAccessKey": "{SECRET_KEY}"\')')
    (aws_folder / "config").write_text(
        f"[default]\ncredential_process = {sys.executable} -S {aws_folder / 'helper.py'}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(aws_folder / "config"))
    end = upload(script, make_file(5), "--upload-id", "an-id", "--retry-minutes", "0", "--verbose")
    assert end.code == 3, end.err
    assert "an invalid answer (JSONDecodeError)" in end.err
    assert "renew the credentials" in end.err
    assert "internal error" not in end.err
