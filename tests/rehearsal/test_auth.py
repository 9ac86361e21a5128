"""The checks before every operation: API version, date window, Signature Version 4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest

from glacier_mpu.rehearsal.auth import Keys, authenticate
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, Call, Refusal, read_call
from tests.support.wire_client import MIB, VAULT, VERSION, Clock, Reply, call, hashes, send, sign

TARGET = f"/-/vaults/{VAULT}"
PART = f"{TARGET}/multipart-uploads/{'u' * 92}"
AWS_KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[RehearsalServer]:
    with RehearsalServer(tmp_path_factory.mktemp("auth"), now=clock) as server:
        server.store.create_vault(VAULT)
        yield server


def aws_example(method: str, path: str, stamp: str, signature: str, **headers: str) -> Call:
    """A call as AWS's signing page prints it."""
    sent = {
        "Host": "glacier.us-east-1.amazonaws.com",
        "x-amz-date": stamp,
        "x-amz-glacier-version": "2012-06-01",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    names = ";".join(sorted(name.lower() for name in sent))
    sent["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={AWS_KEYS.access_key}/{stamp[:8]}/us-east-1/glacier/"
        f"aws4_request,SignedHeaders={names},Signature={signature}"
    )
    return read_call(method, path, list(sent.items()))


CREATE_EXAMPLE = (
    "PUT",
    "/-/vaults/examplevault",
    "20120525T002453Z",
    "3ce5b2f2fffac9262b4da9256f8d086b4aaf42eba5f111c21681a65a127b7c2a",
)
UPLOAD_EXAMPLE = (
    "POST",
    "/-/vaults/examplevault/archives",
    "20120507T000000Z",
    "b092397439375d59119072764a1e9a144677c43d9906fd98a5742c57a2855de6",
)


def test_awss_create_vault_example_is_accepted() -> None:
    now = datetime(2012, 5, 25, 0, 24, 53, tzinfo=timezone.utc)
    authenticate(aws_example(*CREATE_EXAMPLE), now=now, keys=AWS_KEYS)


def test_awss_upload_archive_example_is_accepted_and_another_body_hash_is_not() -> None:
    now = datetime(2012, 5, 7, tzinfo=timezone.utc)
    body = sha256(b"Welcome to Amazon Glacier.").hexdigest()
    authenticate(aws_example(*UPLOAD_EXAMPLE, x_amz_content_sha256=body), now=now, keys=AWS_KEYS)
    other = aws_example(*UPLOAD_EXAMPLE, x_amz_content_sha256="0" * 64)
    with pytest.raises(Refusal, match="403 InvalidSignatureException"):
        authenticate(other, now=now, keys=AWS_KEYS)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"secret_key": "another"}, id="secret"),
        pytest.param({"region": "eu-west-1"}, id="region"),
        pytest.param({"service": "s3"}, id="service"),
    ],
)
def test_a_signature_made_with_another(
    server: RehearsalServer, clock: Clock, changed: dict[str, Any]
) -> None:
    reply = send(server, "GET", TARGET, sign("GET", TARGET, VERSION, at=clock(), **changed))
    assert reply.said[:2] == (403, "InvalidSignatureException")


def tampered(headers: Mapping[str, str], name: str, value: str | None) -> dict[str, str]:
    kept = {key: old for key, old in headers.items() if key.lower() != name.lower()}
    return kept if value is None else {**kept, name: value}


TAMPERED = {
    "unsigned": ("Authorization", None, "MissingAuthenticationTokenException"),
    "a changed header": ("x-amz-archive-description", "b", "InvalidSignatureException"),
    "a removed header": ("x-amz-archive-description", None, "InvalidSignatureException"),
    "another host": ("Host", "glacier.us-east-1.amazonaws.com", "InvalidSignatureException"),
    "a later date": ("x-amz-date", "20260320T170400Z", "InvalidSignatureException"),
    "no date": ("x-amz-date", None, "InvalidSignatureException"),
    "a date of the web": (
        "x-amz-date",
        "Fri, 20 Mar 2026 17:03:43 GMT",
        "InvalidSignatureException",
    ),
    "a day that is none": ("x-amz-date", "20260230T170343Z", "InvalidSignatureException"),
    "another scheme": ("Authorization", "Basic eDp5", "InvalidSignatureException"),
}


@pytest.mark.parametrize(("name", "value", "code"), TAMPERED.values(), ids=TAMPERED)
def test_a_call_is_refused_with_403_if_it_has(
    server: RehearsalServer, clock: Clock, name: str, value: str | None, code: str
) -> None:
    headers = sign("GET", TARGET, {**VERSION, "x-amz-archive-description": "a"}, at=clock())
    reply = send(server, "GET", TARGET, tampered(headers, name, value))
    assert reply.said[:2] == (403, code)


@pytest.mark.parametrize("target", [f"{TARGET}x", f"{TARGET}?limit=1", "/-/vaults"])
def test_a_signature_does_not_fit_another_path_or_query(
    server: RehearsalServer, clock: Clock, target: str
) -> None:
    reply = send(server, "GET", target, sign("GET", TARGET, VERSION, at=clock()))
    assert reply.said == (403, "InvalidSignatureException", MISMATCH)


def test_a_signature_does_not_fit_another_method(server: RehearsalServer, clock: Clock) -> None:
    reply = send(server, "DELETE", TARGET, sign("GET", TARGET, VERSION, at=clock()))
    assert reply.said == (403, "InvalidSignatureException", MISMATCH)


def signing_only(names: str, clock: Clock) -> dict[str, str]:
    """A rightly signed GET of which the header says that less was signed."""
    headers = sign("GET", TARGET, VERSION, at=clock())
    all_names = "host;x-amz-date;x-amz-glacier-version"
    headers["Authorization"] = headers["Authorization"].replace(all_names, names)
    return headers


@pytest.mark.parametrize("missing", ["host", "x-amz-date"])
def test_host_and_date_must_be_signed(server: RehearsalServer, clock: Clock, missing: str) -> None:
    kept = [name for name in ("host", "x-amz-date", "x-amz-glacier-version") if name != missing]
    reply = send(server, "GET", TARGET, signing_only(";".join(kept), clock))
    assert reply.said == (
        403,
        "InvalidSignatureException",
        f"'{missing}' must be a 'SignedHeader' in the AWS Authorization.",
    )


def test_other_headers_need_not_be_signed_as_in_awss_examples(
    server: RehearsalServer, clock: Clock
) -> None:
    headers = sign("GET", TARGET, VERSION, at=clock())
    reply = send(server, "GET", TARGET, {**headers, "x-amz-archive-description": "unsigned"})
    assert reply.status == 200


def test_headers_that_botocore_would_not_sign_may_be_signed(
    server: RehearsalServer, clock: Clock
) -> None:
    now = datetime(2012, 5, 25, 0, 24, 53, tzinfo=timezone.utc)
    agent = aws_example(*CREATE_EXAMPLE, User_Agent="mt-aws-glacier")
    with pytest.raises(Refusal, match="does not match"):  # it was looked at, not left out
        authenticate(agent, now=now, keys=AWS_KEYS)


def test_an_unknown_key_and_a_foreign_token_are_not_recognised(
    server: RehearsalServer, clock: Clock
) -> None:
    unknown = sign("GET", TARGET, VERSION, at=clock(), access_key="AKIAIOSFODNN7EXAMPLE")
    token = sign("GET", TARGET, {**VERSION, "x-amz-security-token": "abc"}, at=clock())
    for headers in (unknown, token):
        reply = send(server, "GET", TARGET, headers)
        assert reply.said[:2] == (400, "UnrecognizedClientException")


WINDOW = {
    "five minutes old": (-300, 200, ""),
    "a second older": (
        -301,
        403,
        "Signature expired: 20260320T165842Z is now earlier than 20260320T165843Z"
        " (20260320T170343Z - 5 min.)",
    ),
    "five minutes ahead": (300, 200, ""),
    "a second further": (
        301,
        403,
        "Signature not yet current: 20260320T170844Z is still later than 20260320T170843Z"
        " (20260320T170343Z + 5 min.)",
    ),
}


@pytest.mark.parametrize(("seconds", "status", "message"), WINDOW.values(), ids=WINDOW)
def test_the_window_of_a_signature_that_is(
    server: RehearsalServer, clock: Clock, seconds: int, status: int, message: str
) -> None:
    at = clock() + timedelta(seconds=seconds)
    reply = send(server, "GET", TARGET, sign("GET", TARGET, VERSION, at=at))
    assert reply.status == status
    if message:
        assert reply.said == (403, "InvalidSignatureException", message)


def test_a_refused_signature_has_the_members_in_the_recorded_order(
    server: RehearsalServer, clock: Clock
) -> None:
    headers = sign("GET", TARGET, VERSION, at=clock() - timedelta(seconds=400))
    reply = send(server, "GET", TARGET, headers)
    assert list(reply.json) == ["message", "code", "type"]
    assert len(reply.body) == 165  # as recorded


def test_date_alone_will_do_in_iso_basic_form(server: RehearsalServer, clock: Clock) -> None:
    call_ = read_call("GET", TARGET, list(_dated(clock, f"{clock():%Y%m%dT%H%M%SZ}").items()))
    with pytest.raises(Refusal, match="does not match"):  # past the date, up to the signature
        authenticate(call_, now=clock(), keys=Keys())
    web = read_call("GET", TARGET, list(_dated(clock, f"{clock():%a, %d %b %Y}").items()))
    with pytest.raises(Refusal, match="basic format"):
        authenticate(web, now=clock(), keys=Keys())


def _dated(clock: Clock, date: str) -> dict[str, str]:
    scope = f"{ACCESS_KEY}/{clock():%Y%m%d}/us-east-1/glacier/aws4_request"
    return {
        **VERSION,
        "Host": "x",
        "Date": date,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=date;host,"
        f" Signature={'0' * 64}",
    }


def test_the_version_comes_before_everything(server: RehearsalServer) -> None:
    reply = send(server, "GET", TARGET, {"Host": "x"})
    assert reply.said == (
        400,
        "MissingParameterValueException",
        "Required parameter missing: API version",
    )
    assert len(reply.body) == 109  # as recorded
    wrong = send(server, "GET", TARGET, {"Host": "x", "x-amz-glacier-version": "2010-01-01"})
    assert wrong.said[:2] == (400, "InvalidParameterValueException")


def part(
    server: RehearsalServer, clock: Clock, content_hash: str | None, *, signed: bool = True
) -> Reply:
    """The headers of a part alone, so that any answer comes before the body is read."""
    headers = {**VERSION, "content-range": f"bytes 0-{MIB - 1}/*", **hashes(b"")}
    del headers["x-amz-content-sha256"]
    if content_hash is not None and signed:
        headers["x-amz-content-sha256"] = content_hash
    ready = sign("PUT", PART, headers, at=clock())
    if content_hash is not None and not signed:
        ready["x-amz-content-sha256"] = content_hash
    return send(server, "PUT", PART, ready)


@pytest.mark.parametrize(
    ("content_hash", "signed", "status", "message"),
    [
        pytest.param(None, True, 400, "parameter missing: x-amz-content-sha256", id="missing"),
        pytest.param("0" * 64, False, 403, "'x-amz-content-sha256' must be", id="not signed"),
        pytest.param("UNSIGNED-PAYLOAD", True, 400, "UNSIGNED-PAYLOAD", id="not a hash"),
        pytest.param("A" * 64, True, 400, "AAAA", id="not lower case"),
    ],
)
def test_a_part_whose_content_hash_is(
    server: RehearsalServer,
    clock: Clock,
    content_hash: str | None,
    signed: bool,
    status: int,
    message: str,
) -> None:
    reply = part(server, clock, content_hash, signed=signed)
    assert reply.status == status
    assert message in reply.json["message"]


def test_a_call_without_body_must_not_sign_the_hash_of_one(
    server: RehearsalServer, clock: Clock
) -> None:
    headers = {"x-amz-content-sha256": sha256(b"body").hexdigest()}
    assert call(server, clock, "GET", TARGET, headers).said[:2] == (
        403,
        "InvalidSignatureException",
    )


def test_spaces_in_a_header_are_collapsed_before_it_is_signed(
    server: RehearsalServer, clock: Clock
) -> None:
    headers = {"x-amz-archive-description": "two  spaces   here"}
    assert call(server, clock, "GET", TARGET, headers).status == 200


def test_utf8_in_a_header_ends_as_a_wrong_signature(server: RehearsalServer, clock: Clock) -> None:
    headers = sign("GET", TARGET, {**VERSION, "x-amz-archive-description": "Дом"}, at=clock())
    headers["x-amz-archive-description"] = "Дом".encode().decode("latin-1")
    reply = send(server, "GET", TARGET, headers)
    assert reply.said == (403, "InvalidSignatureException", MISMATCH)
