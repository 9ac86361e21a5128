"""The floor: what no uploader can do without, measured in the same rounds as the clients.

    floor.py FILE PORT CA WORK

WORK is hash (two SHA-256 passes), read, send (over TLS), each by itself on one core, or hash-all
(read and two SHA-256 passes, on all cores at once). Prints JSON: wall and CPU seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor

WORKS = ("hash", "hash-all", "read", "send")
_MIB = 1 << 20


def bounds(parts: dict[str, dict[str, float]], *, cores: int) -> dict[str, float]:
    """Return the least seconds of CPU, and of wall time with 1 and 3 streams, from the medians.

    One stream hashes and sends at the same time; of three, all the work is spread over the cores.
    """
    wall = {work: part["wall_seconds"] for work, part in parts.items()}
    return {
        "cpu": round(parts["hash"]["cpu_seconds"] + parts["send"]["cpu_seconds"], 3),
        "1": round(max(wall["read"] + wall["hash"], wall["send"]), 3),
        "3": round((wall["hash"] + wall["send"]) / min(cores, 4), 3),
    }


def go_through(path: str, size: int, *, reads: bool, hashes: bool, cores: int) -> None:
    """Read and hash, or one of them: SHA-256 of all and of each MiB; each core does its share."""
    share = -(-size // cores)

    def work(start: int) -> None:
        buffer, linear = bytearray(_MIB), hashlib.sha256()
        with open(path, "rb", buffering=0) as file:
            file.seek(start)
            for _ in range(0, share, _MIB):
                if reads:
                    file.readinto(buffer)
                if hashes:
                    linear.update(buffer)
                    hashlib.sha256(buffer).digest()

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, range(0, size, share)))


def send(size: int, port: int, authority: str) -> None:
    """Send one body over TLS, from memory, and wait for the answer."""
    context = ssl.create_default_context(cafile=authority)
    buffer = memoryview(bytearray(_MIB))
    head = (
        "PUT /-/vaults/bench/multipart-uploads/none HTTP/1.1\r\nHost: bench\r\n"
        f"Content-Length: {size}\r\nContent-Range: bytes 0-{size - 1}/*\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as line,
    ):
        line.sendall(head.encode())
        for start in range(0, size, _MIB):
            line.sendall(buffer[: min(_MIB, size - start)])
        if b" 204 " not in line.recv(4096):
            raise ConnectionError("no answer to the body")


def main() -> None:
    """Do one of WORKS, and time it without the start of the process."""
    path, port, authority, work = sys.argv[1:5]
    size = os.path.getsize(path)
    began, cpu_began = time.perf_counter(), time.process_time()
    if work == "send":
        send(size, int(port), authority)
    else:
        cores = (os.cpu_count() or 1) if work == "hash-all" else 1
        go_through(path, size, reads=work != "hash", hashes=work != "read", cores=cores)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    print(json.dumps({"wall_seconds": wall, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
