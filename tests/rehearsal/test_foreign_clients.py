"""What clients of other makers send: the AWS CLIs, boto 2, mt-aws-glacier, the SDKs of AWS."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, SECRET_KEY
from tests.support.wire_client import (
    MIB,
    VAULT,
    VERSION,
    Clock,
    call,
    dialled,
    hashes,
    head,
    initiate,
    pattern,
    put_part,
    read_answer,
    send,
    sign,
    stored,
    tree_hash,
)

INVALID = "InvalidParameterValueException"
BODY = b"{}"
MOST = b"x" * 4096
UPLOADS = f"/-/vaults/{VAULT}/multipart-uploads"


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[RehearsalServer]:
    with RehearsalServer(tmp_path / "vaults", now=clock) as server:
        server.store.create_vault(VAULT)
        yield server


# -- keys ------------------------------------------------------------------------------------


def test_the_keys_have_the_form_of_awss_and_say_that_they_are_none() -> None:
    """mt-aws-glacier refuses keys of another length."""
    assert re.fullmatch(r"[A-Z0-9]{20}", ACCESS_KEY)
    assert re.fullmatch(r"[A-Za-z0-9/+]{40}", SECRET_KEY)
    assert "REHEARSAL" in ACCESS_KEY
    assert "rehearsal" in SECRET_KEY


def test_no_secret_scanner_takes_the_access_key_for_one_of_awss() -> None:
    """Scanners look for the prefixes that AWS documents for its ids."""
    assert not re.match(r"A3T|AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA", ACCESS_KEY)


# -- bodies on calls that take none ----------------------------------------------------------


@pytest.mark.parametrize("body", [BODY, MOST], ids=["of 2 bytes", "of 4 KiB"])
@pytest.mark.parametrize("named", [True, False], ids=["hash in a header", "hash signed alone"])
def test_a_small_body_is_ignored_by_every_call_that_takes_none(
    server: RehearsalServer, clock: Clock, body: bytes, named: bool
) -> None:
    """The SDKs for JavaScript 2 and Ruby 1 send one with Create, Initiate and Complete."""
    content = {"x-amz-content-sha256": sha256(body).hexdigest()} if named else {}
    assert call(server, clock, "PUT", "/-/vaults/new", content, body).status == 201
    size = {"x-amz-part-size": str(MIB)}
    begun = call(server, clock, "POST", UPLOADS, {**content, **size}, body)
    assert begun.status == 201
    upload = f"{UPLOADS}/{begun.headers['x-amz-multipart-upload-id']}"
    assert put_part(server, clock, upload, 0, b"part").status == 204
    assert call(server, clock, "GET", upload, content, body).status == 200
    whole = {"x-amz-archive-size": "4", "x-amz-sha256-tree-hash": tree_hash(b"part")}
    done = call(server, clock, "POST", upload, {**content, **whole}, body)
    assert done.status == 201
    archive = server.store.archive_path(done.headers["x-amz-archive-id"])
    assert archive.read_bytes() == b"part"


def test_a_small_body_that_was_not_signed_is_refused(server: RehearsalServer, clock: Clock) -> None:
    signed = sign("PUT", "/-/vaults/new", VERSION, at=clock(), body=b"another")
    reply = send(server, "PUT", "/-/vaults/new", signed, BODY)
    assert reply.said[:2] == (403, "InvalidSignatureException")
    assert "does not match the signature" in reply.said[2]
    assert server.store.vault("new") is None


def test_a_small_body_must_have_the_hash_that_was_sent_for_it(
    server: RehearsalServer, clock: Clock
) -> None:
    expected, computed = sha256(b"another").hexdigest(), sha256(BODY).hexdigest()
    reply = call(server, clock, "PUT", "/-/vaults/new", {"x-amz-content-sha256": expected}, BODY)
    assert reply.said == (
        403,
        "InvalidSignatureException",
        "The value passed in as x-amz-content-sha256 does not match the computed payload hash. "
        f"Computed digest: {computed} expected hash: {expected}",
    )


def test_the_connection_carries_the_next_call_after_a_small_body(
    server: RehearsalServer, clock: Clock
) -> None:
    target = "/-/vaults/new"
    signed = sign("PUT", target, VERSION, at=clock(), body=BODY)
    one = head("PUT", target, {**signed, "Content-Length": "2"}) + BODY
    last = head("GET", target, {**sign("GET", target, VERSION, at=clock()), "Connection": "close"})
    with dialled(server) as wire:
        wire.sendall(one + last)
        status, rest = read_answer(wire)
    assert status == 201
    assert b"HTTP/1.1 200 OK" in rest


def test_a_small_body_is_invited_with_100(server: RehearsalServer, clock: Clock) -> None:
    target, invited = "/-/vaults/new", b"HTTP/1.1 100 Continue\r\n\r\n"
    signed = sign("PUT", target, VERSION, at=clock(), body=BODY)
    with dialled(server) as wire:
        wire.sendall(
            head("PUT", target, {**signed, "Content-Length": "2", "Expect": "100-continue"})
        )
        assert wire.recv(len(invited), socket.MSG_WAITALL) == invited
        wire.sendall(BODY)
        assert wire.recv(13, socket.MSG_WAITALL) == b"HTTP/1.1 201 "


def test_a_larger_body_is_refused_by_a_call_that_takes_none(
    server: RehearsalServer, clock: Clock
) -> None:
    reply = call(server, clock, "PUT", "/-/vaults/new", {}, MOST + b"x")
    assert reply.said == (400, INVALID, "Invalid Content-Length: 4097")
    assert server.store.vault("new") is None


def test_a_larger_body_for_no_known_call_is_refused_as_that(
    server: RehearsalServer, clock: Clock
) -> None:
    reply = call(server, clock, "PUT", f"/-/vaults/{VAULT}/archives", {}, MOST + b"x")
    assert reply.said == (400, "BadRequest", "The rehearsal knows no such operation.")


def test_the_time_of_a_call_is_that_of_its_head_and_not_of_its_small_body(tmp_path: Path) -> None:
    class Asked(Clock):
        def __init__(self) -> None:
            super().__init__()
            self.asked = threading.Event()

        def __call__(self) -> datetime:
            self.asked.set()
            return super().__call__()

    clock, target = Asked(), "/-/vaults/new"
    signed = sign("PUT", target, VERSION, at=clock.now, body=BODY)
    with RehearsalServer(tmp_path, now=clock) as server, dialled(server) as wire:
        clock.asked.clear()
        wire.sendall(head("PUT", target, {**signed, "Content-Length": "2"}))
        assert clock.asked.wait(20)
        clock.move(hours=1)
        wire.sendall(BODY)
        assert wire.recv(13, socket.MSG_WAITALL) == b"HTTP/1.1 201 "


def test_a_small_body_that_stalls_gets_408_and_one_that_is_cut_no_answer(
    tmp_path: Path, clock: Clock
) -> None:
    target = "/-/vaults/new"
    signed = sign("PUT", target, VERSION, at=clock(), body=BODY)
    request = head("PUT", target, {**signed, "Content-Length": "2"}) + BODY[:1]
    with RehearsalServer(tmp_path, now=clock, idle_timeout_seconds=0.2) as server:
        with dialled(server) as wire:
            wire.sendall(request)
            assert read_answer(wire)[0] == 408
        with dialled(server) as wire:
            wire.sendall(request)
            wire.shutdown(socket.SHUT_WR)
            assert wire.recv(1) == b""
        assert server.store.vault("new") is None


# -- pages of vaults -------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["?limit=10", "?limit=11", "?limit=1000", ""])
def test_a_page_has_10_vaults_at_most_also_if_more_are_asked_for(
    server: RehearsalServer, clock: Clock, limit: str
) -> None:
    """boto 2 asks for 1,000."""
    for number in range(12):
        server.store.create_vault(f"v{number:02}")
    page = call(server, clock, "GET", f"/-/vaults{limit}").json
    assert len(page["VaultList"]) == 10
    marker = quote(page["Marker"], safe="")
    rest = call(server, clock, "GET", f"/-/vaults?limit=1000&marker={marker}").json
    assert [vault["VaultName"] for vault in rest["VaultList"]] == ["v09", "v10", "v11"]
    assert rest["Marker"] is None


@pytest.mark.parametrize("limit", ["0", "-1", "many", ""])
def test_a_page_of_vaults_that_is_no_number_from_1_is_refused(
    server: RehearsalServer, clock: Clock, limit: str
) -> None:
    reply = call(server, clock, "GET", f"/-/vaults?limit={limit}")
    assert reply.said[:2] == (400, INVALID)
    assert f"Invalid limit: {limit}." in reply.said[2]


# -- tree hashes -----------------------------------------------------------------------------

MALFORMED = ["000", tree_hash(BODY).upper(), tree_hash(BODY) + "0", "g" * 64]


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_tree_hash_is_refused_before_the_body(
    server: RehearsalServer, clock: Clock, value: str
) -> None:
    """The SDK for JavaScript has the text for an archive: features/glacier/glacier.feature."""
    body, upload = pattern(MIB), initiate(server, clock)
    headers = {**VERSION, **hashes(body), "x-amz-sha256-tree-hash": value}
    spanned = {**headers, "content-range": f"bytes 0-{MIB - 1}/*"}
    archives = f"/-/vaults/{VAULT}/archives"
    for method, target, sent in [("POST", archives, headers), ("PUT", upload, spanned)]:
        signed = sign(method, target, sent, at=clock())
        with dialled(server) as wire:
            wire.sendall(head(method, target, {**signed, "Content-Length": str(MIB)}))
            status, answer = read_answer(wire)
        said = json.loads(answer)
        assert (status, said["code"]) == (400, INVALID)
        assert said["message"] == f"Invalid x-amz-sha256-tree-hash: {value}"
    assert stored(server, clock, upload) == []
