"""What no uploader can do without, one at a time on one core: hash twice, read once, send once.

floor_probe.py FILE SIZE PORT CA WORK      where WORK is hash, hash-all, read or send

Prints JSON: wall and CPU seconds. hash-all reads and hashes on all cores at once.
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

MIB = 1 << 20


def hash_twice(path: str, size: int) -> None:
    """Both SHA-256 passes, from memory: linear over all, and one for each MiB."""
    with open(path, "rb", buffering=0) as file:
        buffer = memoryview(bytearray(MIB))
        file.readinto(buffer)
    linear = hashlib.sha256()
    for start in range(0, size, MIB):
        leaf = buffer[: min(MIB, size - start)]
        linear.update(leaf)
        hashlib.sha256(leaf).digest()
    linear.digest()


def hash_on_all_cores(path: str, size: int) -> None:
    """Read and hash twice, each core a share of the file."""
    cores = os.cpu_count() or 1
    share = -(-size // cores)

    def work(start: int) -> None:
        buffer = memoryview(bytearray(MIB))
        linear = hashlib.sha256()
        with open(path, "rb", buffering=0) as file:
            file.seek(start)
            left = min(share, size - start)
            while left > 0:
                count = file.readinto(buffer[: min(MIB, left)])
                linear.update(buffer[:count])
                hashlib.sha256(buffer[:count]).digest()
                left -= count

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, range(0, size, share)))


def read(path: str, size: int) -> None:
    """One read, a MiB at a time."""
    buffer = bytearray(MIB)
    with open(path, "rb", buffering=0) as file:
        for _ in range(0, size, MIB):
            file.readinto(buffer)


def send(path: str, size: int, port: int, authority: str) -> None:
    """Send one body over TLS, from memory, and wait for the answer."""
    context = ssl.create_default_context(cafile=authority)
    with open(path, "rb", buffering=0) as file:
        buffer = memoryview(file.read(min(MIB, size)))
    head = (
        "PUT /-/vaults/bench/multipart-uploads/none HTTP/1.1\r\nHost: bench\r\n"
        f"Content-Length: {size}\r\nContent-Range: bytes 0-{size - 1}/*\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as line,
    ):
        line.sendall(head.encode())
        for start in range(0, size, MIB):
            line.sendall(buffer[: min(MIB, size - start)])
        line.recv(4096)


def main() -> None:
    path, size, port, authority, work = sys.argv[1:6]
    began, cpu_began = time.perf_counter(), time.process_time()
    if work == "send":
        send(path, int(size), int(port), authority)
    else:
        {"hash": hash_twice, "hash-all": hash_on_all_cores, "read": read}[work](path, int(size))
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    print(json.dumps({"wall_seconds": wall, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
