"""Proxies: what stays on this machine passes by them, and one that is of no use ends at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from glacier_mpu.errors import ProxyInvalid
from glacier_mpu.vault.errors import NotTheService, ProxyUnusable, Unreachable, VaultError
from glacier_mpu.vault.proxies import is_on_this_machine
from tests.support.clients import SOMEBODY, connected, list_parts
from tests.support.proxy import connect_proxy
from tests.support.tiny_server import Answer, TinyServer, tiny_server

STORED = Answer(200, b'{"Parts": []}')
# http.client of Python 3.10 leaves the socket of a refused tunnel to the garbage collector, and
# urllib3 1.26 uses that.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
PROXIES = ("http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyServer]:
    """Yield a proxy that the environment names, and that answers itself."""
    with tiny_server(Answer(407)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        yield proxy


# -- what stays on this machine


@pytest.mark.parametrize(
    ("url", "stays"),
    [
        ("http://127.0.0.1:8080", True),
        ("https://127.1.2.3/", True),
        ("http://[::1]:1", True),
        ("http://LocalHost:1", True),
        ("http://10.0.0.1", False),
        ("http://192.168.1.1", False),
        ("http://localhost.example", False),
        ("", False),
    ],
)
def test_only_an_address_of_the_loopback_stays_on_this_machine(url: str, stays: bool) -> None:
    assert is_on_this_machine(url) is stays


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_a_call_to_this_machine_goes_through_no_proxy(proxy: TinyServer, host: str) -> None:
    with tiny_server(STORED) as server:
        url = server.url.replace("127.0.0.1", host)
        if host == "127.0.0.2":  # nobody is there, and the proxy would answer
            with (
                connected(replace(SOMEBODY, endpoint_url=url)) as client,
                pytest.raises(Unreachable),
            ):
                list_parts(client)
        else:
            with connected(replace(SOMEBODY, endpoint_url=url)) as client:
                assert list_parts(client)["Parts"] == []
    assert proxy.asked == []


def test_an_endpoint_on_this_machine_that_the_environment_names_goes_through_no_proxy(
    proxy: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tiny_server(STORED) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with connected(SOMEBODY) as client:
            assert list_parts(client)["Parts"] == []
    assert proxy.asked == []


def test_a_proxy_of_windows_settings_is_passed_by_too(
    proxy: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("http_proxy")
    monkeypatch.setattr("botocore.utils.getproxies", lambda: {"http": proxy.url})
    monkeypatch.setattr("botocore.utils.proxy_bypass", lambda _: False)
    with (
        tiny_server(STORED) as server,
        connected(replace(SOMEBODY, endpoint_url=server.url)) as client,
    ):
        assert list_parts(client)["Parts"] == []
    assert proxy.asked == []


def test_a_call_that_leaves_this_machine_goes_through_the_proxy(proxy: TinyServer) -> None:
    with (
        connected(replace(SOMEBODY, endpoint_url="http://glacier.example")) as client,
        pytest.raises(ProxyUnusable),
    ):
        list_parts(client)
    assert len(proxy.asked) == 1


# -- a proxy that is of no use


@pytest.mark.parametrize(
    "url",
    [
        "http://proxy:port",
        "http://proxy:99999",
        "http://proxy:0",
        "http://",
        "http://..:1",
        "http://[::1",
        "http://pr%zz:1",
        "ftp://proxy:1",
        "socks5://127.0.0.1:1",
        "http://http://proxy:1",
        "http://ü:secret@proxy:1",
    ],
)
def test_a_proxy_whose_address_makes_no_sense_ends_before_any_call_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ProxyInvalid, match="proxy") as caught, connected(SOMEBODY):
        pass
    assert "secret" not in caught.value.message
    assert caught.value.keeps_upload


@pytest.mark.parametrize(
    "url", ["http://proxy:3128", "proxy:3128", "//proxy", "http://u:p@proxy.:1/", "https://[::1]:2"]
)
def test_a_proxy_whose_address_makes_sense_is_accepted(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    with connected(SOMEBODY):
        pass


def test_a_senseless_proxy_that_is_not_used_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:port")
    monkeypatch.setenv("NO_PROXY", "amazonaws.com")
    with connected(SOMEBODY):
        pass


@pytest.mark.parametrize(
    ("answer", "kind", "max_tries"),
    [
        (b"407 Proxy Authentication Required", ProxyUnusable, 1),
        (b"403 Forbidden", NotTheService, 5),
        (b"502 Bad Gateway", Unreachable, 0),
    ],
    ids=["407", "403", "502"],
)
def test_a_proxy_that_lets_nothing_through_is_told_by_its_answer(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, kind: type[VaultError], max_tries: int
) -> None:
    with connect_proxy(answer=b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//user:secret@"))
        with connected(SOMEBODY) as client, pytest.raises(VaultError) as caught:
            list_parts(client)
    assert type(caught.value) is kind
    assert caught.value.max_tries == max_tries
    assert not caught.value.may_have_executed
    address = proxy.url.removeprefix("http://")
    assert caught.value.message == f"proxy {address}: {answer.decode()}"


def test_a_proxy_that_is_not_there_is_unreachable_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        with connected(SOMEBODY) as client, pytest.raises(Unreachable) as caught:
            list_parts(client)
    assert caught.value.message == f"proxy {address}: connection refused"


def test_a_proxy_that_speaks_no_tls_though_its_address_says_so_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with connect_proxy(unasked=b"220 welcome\r\n", answer=b"") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http:", "https:"))
        with connected(SOMEBODY) as client, pytest.raises(ProxyUnusable) as caught:
            list_parts(client)
    assert "proxy 127.0.0.1:" in caught.value.message
