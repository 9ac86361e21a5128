"""A client that sends what no SDK lets one send: raw, signed requests by a clock of the test."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import calculate_tree_hash

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, ACCOUNT_ID, REGION, SECRET_KEY

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
VAULT = "photos"
ARN = f"arn:aws:glacier:{REGION}:{ACCOUNT_ID}:vaults/{VAULT}"
VERSION = {"x-amz-glacier-version": "2012-06-01"}

Server = RehearsalServer | str
"""A stand-in in this process, or the endpoint of one in another."""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime(2026, 3, 20, 17, 3, 43, 221_000, tzinfo=timezone.utc)

    @classmethod
    def set_right(cls) -> Clock:
        """A clock that shows the true time of this moment, as a stand-in beside it does."""
        return cls(datetime.now(timezone.utc))

    def __call__(self) -> datetime:
        return self.now

    def move(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> tuple[int, str, str]:
        """Status, code and message of a refusal."""
        return self.status, self.json["code"], self.json["message"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def address(server: Server) -> str:
    """Host and port."""
    url = server if isinstance(server, str) else server.endpoint_url
    return url.removeprefix("http://")


def tree_hash(body: bytes) -> str:
    return str(calculate_tree_hash(BytesIO(body)))  # type: ignore[arg-type]


def pattern(size: int, *, seed: int = 0) -> bytes:
    """Bytes in which no piece is like another."""
    blocks = range(size // 32 + 1)
    return b"".join(sha256(b"%d %d" % (seed, block)).digest() for block in blocks)[:size]


def sign(
    method: str,
    target: str,
    headers: Mapping[str, str],
    *,
    at: datetime,
    body: bytes = b"",
    access_key: str = ACCESS_KEY,
    secret_key: str = SECRET_KEY,
    region: str = REGION,
    service: str = "glacier",
) -> dict[str, str]:
    """`headers` with a date and the signature of everything in them.

    botocore's signer, at the time that the test says. The payload hash is the header's, or that
    of `body`.
    """
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    dated = {"x-amz-date": stamp, **headers}
    host = dated.get("Host", "127.0.0.1")
    request = AWSRequest(method, f"http://{host}{target}", headers=dated, data=body)
    request.context["timestamp"] = stamp
    signer = SigV4Auth(Credentials(access_key, secret_key), service, region)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    names = signer.signed_headers(signer.headers_to_sign(request))
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={names}, "
        f"Signature={signer.signature(to_sign, request)}"
    )
    return {"Host": host, **dated, "Authorization": authorization}


def send(
    server: Server,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    length: str | None = "",
) -> Reply:
    """One request exactly as given. length: "" for the true one, None for no header at all."""
    connection = http.client.HTTPConnection(address(server), timeout=20)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if length is not None:
            connection.putheader("Content-Length", length or str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def call(
    server: Server,
    clock: Clock,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    length: str | None = "",
) -> Reply:
    """One request, rightly signed at the clock's time."""
    signed = sign(method, target, {**VERSION, **(headers or {})}, at=clock(), body=body)
    return send(server, method, target, signed, body, length=length)


def hashes(body: bytes) -> dict[str, str]:
    return {
        "x-amz-content-sha256": sha256(body).hexdigest(),
        "x-amz-sha256-tree-hash": tree_hash(body),
    }


def initiate(server: Server, clock: Clock, *, part_size: int = MIB, vault: str = VAULT) -> str:
    """A new upload's path, /-/vaults/photos/multipart-uploads/ID."""
    target = f"/-/vaults/{vault}/multipart-uploads"
    reply = call(server, clock, "POST", target, {"x-amz-part-size": str(part_size)})
    assert reply.status == 201, reply
    return f"{target}/{reply.headers['x-amz-multipart-upload-id']}"


def put_part(
    server: Server,
    clock: Clock,
    upload: str,
    first: int,
    body: bytes,
    **changed: str | None,
) -> Reply:
    """A part; `changed` replaces headers (content_range="...") or leaves them out (None)."""
    headers: dict[str, str | None] = {
        **hashes(body),
        "content-range": f"bytes {first}-{first + len(body) - 1}/*",
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    sent = {name: value for name, value in headers.items() if value is not None}
    return call(server, clock, "PUT", upload, sent, body)


def complete(server: Server, clock: Clock, upload: str, *, size: int | str, tree: str) -> Reply:
    headers = {"x-amz-archive-size": str(size), "x-amz-sha256-tree-hash": tree}
    return call(server, clock, "POST", upload, headers)


def stored(server: Server, clock: Clock, upload: str) -> list[tuple[str, str]]:
    """Range and tree hash of each stored part, as ListParts tells."""
    reply = call(server, clock, "GET", upload)
    assert reply.status == 200, reply
    return [(part["RangeInBytes"], part["SHA256TreeHash"]) for part in reply.json["Parts"]]


# -- below HTTP, and beside this process -----------------------------------------------------


@contextmanager
def dialled(server: Server) -> Iterator[socket.socket]:
    """A bare connection."""
    host, _, port = address(server).partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as wire:
        yield wire


def head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """A request without its body."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode()


def read_answer(wire: socket.socket) -> tuple[int, bytes]:
    """Status and body of the next answer, and everything until the server closes."""
    with closing(wire.makefile("rb")) as stream:
        text = stream.read()
    first, _, rest = text.partition(b"\r\n")
    return int(first.split()[1]), rest.partition(b"\r\n\r\n")[2]


def part_head(upload: str, clock: Clock, body: bytes, *, first: int = 0, **more: str) -> bytes:
    """The head of a right part whose body is still to come."""
    text = f"bytes {first}-{first + len(body) - 1}/*"
    headers = {**VERSION, **hashes(body), "content-range": text}
    signed = sign("PUT", upload, headers, at=clock())
    extra = {name.replace("_", "-"): value for name, value in more.items()}
    return head("PUT", upload, {**signed, "Content-Length": str(len(body)), **extra})


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A stand-in in a process of its own: its endpoint, and the process to be killed."""
    command = [sys.executable, "-m", "glacier_mpu.rehearsal", "--dir", str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1], process
        finally:
            process.kill()


def wait_until(true: Callable[[], bool]) -> None:
    """Look until it is so, for 20 s at most."""
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until
        time.sleep(0.001)
