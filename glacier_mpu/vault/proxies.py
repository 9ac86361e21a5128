"""Which calls a proxy may carry, and whether the proxy's address makes sense."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from botocore.utils import get_environ_proxies

from glacier_mpu.errors import ProxyInvalid

# Why is not said: behind a / that is not encoded, a password is taken for the port.
INVALID = "the address of the proxy is not valid"


def is_on_this_machine(url: str) -> bool:
    """Tell whether calls to this address stay on this machine, so that no proxy may carry them."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_proxy(url: str) -> None:
    """Raise ProxyInvalid if calls to this address go through a proxy that nobody can call.

    botocore puts `http://` in front of what it does not know, such as `socks5://proxy`, and would
    look up the name socks5 for as long as calls are retried.
    """
    proxy = get_environ_proxies(url).get(urlsplit(url).scheme)
    if not proxy:
        return
    try:
        makes_sense = _makes_sense(proxy if "//" in proxy else f"http://{proxy}")
    except ValueError:  # a port that is no number, an IPv6 address without its end
        makes_sense = False
    if not makes_sense:
        raise ProxyInvalid(INVALID)


def _makes_sense(proxy: str) -> bool:
    parts = urlsplit(proxy)
    host = parts.hostname or ""
    return (
        parts.scheme in ("", "http", "https")  # without one, botocore takes http
        and all(host.removesuffix(".").split("."))
        and parts.port != 0
        and parts.path in ("", "/")
        and ((parts.username or "") + (parts.password or "")).isascii()  # botocore takes no others
    )
