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


def restore_modules() -> None:
    """Put in place what boto imports and Python 3.12 no longer has."""
    import six

    sys.modules["imp"] = types.ModuleType("imp")  # boto imports it for plugins; there are none
    sys.modules["boto.vendored.six"] = six
    sys.modules["boto.vendored.six.moves"] = six.moves
    sys.modules["boto.vendored.six.moves.urllib"] = six.moves.urllib
    for name in ("parse", "request", "error"):
        sys.modules[f"boto.vendored.six.moves.urllib.{name}"] = getattr(six.moves.urllib, name)
    for name in ("http_client", "queue"):
        sys.modules[f"boto.vendored.six.moves.{name}"] = getattr(six.moves, name)
    ssl.wrap_socket = lambda sock, *, ca_certs, **_: ssl.create_default_context(
        cafile=ca_certs
    ).wrap_socket(sock, server_hostname=sock.getpeername()[0])


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
    """Upload the file, so many blocks at once."""
    file, block, threads, url = sys.argv[1:5]
    warnings.simplefilter("ignore")
    if sys.version_info >= (3, 12):
        restore_modules()
    if "--without-debug-line" in sys.argv:
        drop_debug_line()
    from boto.glacier.concurrent import ConcurrentUploader
    from boto.glacier.layer1 import Layer1
    from boto.regioninfo import RegionInfo

    address = urlsplit(url)
    region = RegionInfo(name="us-east-1", endpoint=address.hostname)
    layer = Layer1("bench", "bench", port=address.port, region=region)
    uploader = ConcurrentUploader(layer, "bench", part_size=int(block), num_threads=int(threads))
    uploader.upload(file, "bench")


if __name__ == "__main__":
    main()
