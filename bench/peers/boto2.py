"""Upload a file with boto 2's ConcurrentUploader.

    boto2.py FILE BLOCK_BYTES THREADS URL [--without-debug-line]

Newer Pythons lack what it imports; here is what it takes to run it, and nothing that makes it do
less. --without-debug-line leaves out the one line that formats every body for a log nobody reads.
"""

from __future__ import annotations

import importlib.util
import ssl
import sys
import types
import warnings
from urllib.parse import urlsplit

DEBUG_LINE = "        boto.log.debug('Data: %s' % request.body)\n"


def lend_a_hand() -> None:
    """Put in place what Python 3.12 no longer has."""
    warnings.simplefilter("ignore")
    if sys.version_info < (3, 12):
        return
    import six

    sys.modules["imp"] = types.ModuleType("imp")  # boto imports it for plugins; there are none
    sys.modules["boto.vendored.six"] = six
    sys.modules["boto.vendored.six.moves"] = six.moves
    for name in ("urllib.parse", "urllib.request", "urllib.error", "http_client", "queue"):
        module = six.moves
        for part in name.split("."):
            module = getattr(module, part)
        sys.modules[f"boto.vendored.six.moves.{name}"] = module
    sys.modules["boto.vendored.six.moves.urllib"] = six.moves.urllib
    ssl.wrap_socket = _wrap_socket


def _wrap_socket(sock, *, ca_certs, **_):
    context = ssl.create_default_context(cafile=ca_certs)
    return context.wrap_socket(sock, server_hostname=sock.getpeername()[0])


def drop_debug_line() -> None:
    """Load boto.connection without that line. Raises RuntimeError if it is not there."""
    spec = importlib.util.find_spec("boto.connection")
    with open(spec.origin) as file:
        source = file.read()
    if DEBUG_LINE not in source:
        raise RuntimeError("boto.connection has no such debug line")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    exec(compile(source.replace(DEBUG_LINE, ""), spec.origin, "exec"), module.__dict__)


def main() -> None:
    file, block, threads, url = sys.argv[1:5]
    lend_a_hand()
    if "--without-debug-line" in sys.argv:
        drop_debug_line()
    from boto.glacier.concurrent import ConcurrentUploader
    from boto.glacier.layer1 import Layer1
    from boto.regioninfo import RegionInfo

    address = urlsplit(url)
    layer = Layer1(
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
        is_secure=address.scheme == "https",
        port=address.port,
        region=RegionInfo(name="us-east-1", endpoint=address.hostname),
    )
    uploader = ConcurrentUploader(layer, "bench", part_size=int(block), num_threads=int(threads))
    print(uploader.upload(file, "bench"))


if __name__ == "__main__":
    main()
