"""Running the scripts in this process, through the very `main` that their files call."""

from __future__ import annotations

import sqlite3
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

import GlacierMPU
import GlacierMPUP
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.stop import Waits
from tests.support.faults import Fault, FaultyHandler, faulty
from tests.support.scripts import VAULT, client_of

MIB = 1 << 20
MakeFile = Callable[..., Path]
SCRIPTS = {"GlacierMPU.py": GlacierMPU.build_parser, "GlacierMPUP.py": GlacierMPUP.build_parser}
BOTH = pytest.mark.parametrize("script", SCRIPTS)
SOON = ("--retry-minutes", 0.01)
QUICK = Waits(longest=0.01, connect=2, read=0.4, complete=0.4)


@dataclass(frozen=True)
class End:
    """How a script ended: its exit code, the object on its stdout, its stderr."""

    code: int
    record: dict[str, object]
    err: str

    @property
    def error_code(self) -> object:
        error = self.record["error"]
        assert isinstance(error, dict)
        return error["code"]


@contextmanager
def glacier(folder: Path, *unlucky: Fault, **rest: object) -> Iterator[RehearsalServer]:
    with RehearsalServer(folder, handler=faulty(*unlucky), **rest) as server:  # type: ignore[arg-type]
        server.store.create_vault(VAULT)
        yield server


@contextmanager
def glacier_over_tls(
    folder: Path, *unlucky: Fault, authority: trustme.CA, host: str = "127.0.0.1"
) -> Iterator[RehearsalServer]:
    """The same with a certificate: what users have, and other code than a connection without."""
    server = RehearsalServer(folder, handler=faulty(*unlucky))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    listener = server._listener
    listener.socket = context.wrap_socket(
        listener.socket, server_side=True, do_handshake_on_connect=False
    )
    server.endpoint_url = server.endpoint_url.replace("http:", "https:")
    with server:
        server.store.create_vault(VAULT)
        yield server


def handler_of(server: RehearsalServer) -> type[FaultyHandler]:
    handler = server._listener.RequestHandlerClass
    assert isinstance(handler, type)
    assert issubclass(handler, FaultyHandler)
    return handler


def uploads_ever(folder: Path) -> int:
    with sqlite3.connect(folder / "vaults.sqlite3") as database:
        (count,) = database.execute("SELECT count(*) FROM uploads").fetchone()
    database.close()
    return int(count)


def open_uploads(server: RehearsalServer) -> list[str]:
    handler_of(server).faults = []
    answer = client_of(server).list_multipart_uploads(vaultName=VAULT)
    return [upload["MultipartUploadId"] for upload in answer["UploadsList"]]


def archives(server: RehearsalServer) -> list[bytes]:
    return [path.read_bytes() for path in (server.folder / "archives").iterdir()]


def assert_one_intact_archive(server: RehearsalServer, source: Path) -> None:
    assert archives(server) == [source.read_bytes()]
    assert open_uploads(server) == []
    assert uploads_ever(server.folder) == 1
