"""botocore's real client against a tiny server: its errors become ours, one reading, one try."""

from __future__ import annotations

import errno
import hashlib
import socket
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from botocore import exceptions as aws

from glacier_mpu.errors import (
    BadInput,
    BareRefusal,
    ClockWrong,
    CredentialsExpired,
    CredentialsUnobtainable,
    NotPermitted,
    PassingTrouble,
    Refused,
    SourceUnreadable,
    Stopped,
    Throttled,
    TimedOut,
    Unreachable,
    Untrusted,
    UploadError,
)
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.vault.client import Address, call_once, connect
from glacier_mpu.waits import Waits
from tests.support.kit import Answer, body_of, pattern, tiny_server, write

KEYS = {"access_key": "AKIDEXAMPLE", "secret_key": "very-secret-key"}
HERE = {"vault": "photos", "region": "us-east-1"}
LIST = {"accountId": "-", "vaultName": "photos", "uploadId": "an-id"}


@contextmanager
def client_of(**address):
    client, _ = connect(Address(**HERE | address), connections=2, waits=Waits(connect=5, read=5))
    with closing(client):
        yield client


@contextmanager
def answered(answer):
    with tiny_server(answer) as server, client_of(endpoint_url=server.url, **KEYS) as client:
        yield server, client


def list_parts(client):
    return call_once(client.list_parts, wants=("Parts",), **LIST)


# -- one reading, one try


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "file", pattern(2 * MIB + 5))


def send(client, body, *, block):
    return call_once(
        client.upload_multipart_part,
        wants=("checksum",),
        **LIST,
        range=f"bytes {block.offset}-{block.last_byte}/*",
        checksum="ab" * 32,
        body=body,
    )


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_block_is_read_exactly_once_and_its_declared_hash_is_the_one_that_is_sent(source, number):
    block = Plan(source.size, MIB).block(number)
    data = pattern(source.size)[block.offset : block.last_byte + 1]
    linear_hash = hashlib.sha256(data).hexdigest()
    moves: list[int] = []
    stored = Answer(204, headers={"x-amz-sha256-tree-hash": "ab" * 32})
    with (
        answered(stored) as (server, client),
        body_of(source, block, linear_hash=linear_hash, on_move=moves.append) as body,
    ):
        assert send(client, body, block=block)["checksum"] == "ab" * 32
    assert all(move > 0 for move in moves)
    assert sum(moves) == block.size
    (asked,) = server.asked
    assert asked.body == data
    assert asked.headers["x-amz-content-sha256"] == linear_hash
    assert asked.headers["x-amz-sha256-tree-hash"] == "ab" * 32
    assert asked.headers["content-length"] == str(block.size)
    assert "x-amz-content-sha256" in asked.headers["authorization"]


def test_a_hash_that_is_declared_is_not_quietly_put_right(source):
    block = Plan(source.size, MIB).block(0)
    with (
        answered(Answer(204, headers={"x-amz-sha256-tree-hash": "ab"})) as (server, client),
        body_of(source, block, linear_hash="0" * 64) as body,
    ):
        send(client, body, block=block)
    assert server.asked[0].headers["x-amz-content-sha256"] == "0" * 64


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_a_call_is_tried_once_whatever_the_environment_says(monkeypatch, mode):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    with answered(Answer(500)) as (server, client), pytest.raises(PassingTrouble):
        list_parts(client)
    assert len(server.asked) == 1


@pytest.mark.parametrize("raised", [SourceUnreadable("EIO in block 0"), Stopped()])
def test_what_reading_the_file_raises_comes_out_as_it_is(source, raised):
    def on_move(_):
        raise raised

    block = Plan(source.size, MIB).block(0)
    with (
        answered(Answer(204)) as (_, client),
        body_of(source, block, on_move=on_move) as body,
        pytest.raises(type(raised)) as caught,
    ):
        send(client, body, block=block)
    assert caught.value is raised


# -- answers


@pytest.mark.parametrize(
    ("answer", "kind", "fact"),
    [
        (Answer(400, b"<html>Bad Request</html>"), BareRefusal, "HTTP 400"),
        (Answer(400), BareRefusal, "HTTP 400"),
        (Answer(400, b'{"code":null,"message":"m"}'), BareRefusal, "HTTP 400"),
        (Answer(502, b"<html>Bad Gateway</html>"), PassingTrouble, "HTTP 502"),
        (Answer(503, b'{"code":"Serv'), PassingTrouble, "HTTP 503"),
        (Answer(400, b'{"code":"ThrottlingException","message":"r"}'), Throttled, "Throttling"),
        (
            Answer(
                400, b'{"message":"no","code":"Odd","type":"Client"}', {"x-amzn-RequestId": "R9"}
            ),
            Refused,
            "Odd: no (request id R9)",
        ),
    ],
    ids=["html 400", "empty 400", "null code", "html 502", "cut 503", "throttled", "request id"],
)
def test_an_error_answer_is_told_by_code_and_request_id(answer, kind, fact):
    with answered(answer) as (_, client), pytest.raises(kind) as caught:
        list_parts(client)
    assert type(caught.value) is kind
    assert fact in caught.value.message


@pytest.mark.parametrize(
    ("minutes", "fact"), [(60, "60 minutes behind"), (-60, "60 minutes ahead")]
)
def test_a_wrong_clock_is_told_by_how_far_it_is_off(minutes, fact):
    body = b'{"message":"Signature expired: x","code":"InvalidSignatureException"}'
    date = format_datetime(datetime.now(timezone.utc) + timedelta(minutes=minutes), usegmt=True)
    with (
        answered(Answer(403, body, {"Date": date})) as (_, client),
        pytest.raises(ClockWrong) as caught,
    ):
        list_parts(client)
    assert fact in caught.value.message


@pytest.mark.parametrize("date", ["", "soon", "Sun, 06 Nov 1994 08:49:37 -0000"])
def test_a_wrong_clock_is_told_though_the_service_gives_no_usable_date(date):
    body = b'{"message":"Signature expired: x","code":"InvalidSignatureException"}'
    with (
        answered(Answer(403, body, {"Date": date})) as (_, client),
        pytest.raises(ClockWrong, match="Signature expired"),
    ):
        list_parts(client)


def test_credentials_that_are_set_later_are_found_by_the_next_client(monkeypatch):
    with tiny_server(Answer(200, b'{"Parts": []}')) as server:
        with client_of(endpoint_url=server.url) as client, pytest.raises(NotPermitted):
            list_parts(client)
        for name, value in (("ACCESS_KEY_ID", "AKID"), ("SECRET_ACCESS_KEY", "s")):
            monkeypatch.setenv(f"AWS_{name}", value)
        with client_of(endpoint_url=server.url) as client:
            assert list_parts(client)["Parts"] == []
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID2")
        with client_of(endpoint_url=server.url) as client:
            list_parts(client)
    assert "Credential=AKID2/" in server.asked[-1].headers["authorization"]


@pytest.mark.parametrize(
    "body", [b'{"code":"X","message":null}', b'"Bad Gateway"', b"[]", b"null"], ids=bytes.decode
)
def test_an_error_answer_of_odd_json_is_still_passing_trouble(body):
    with answered(Answer(502, body)) as (_, client), pytest.raises(PassingTrouble):
        list_parts(client)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b'{"Parts": [{"RangeInBy'),
        Answer(200, b'{"Marker": null}'),
        Answer(200),
        Answer(200, b'{"Parts": [', length=100),
        Answer(200, b"\xff\xfe"),
    ],
    ids=["cut JSON", "a member missing", "nothing", "connection closed early", "no UTF-8"],
)
def test_half_an_answer_is_passing_trouble_and_the_call_may_have_arrived(answer):
    with answered(answer) as (_, client), pytest.raises(PassingTrouble) as caught:
        list_parts(client)
    assert caught.value.may_have_arrived


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null"], ids=bytes.decode)
def test_an_answer_that_is_json_and_no_object_is_passing_trouble(body):
    with answered(Answer(200, body)) as (_, client), pytest.raises(PassingTrouble):
        list_parts(client)


# -- no way there


def test_a_refused_connection_is_unreachable_and_nothing_arrived():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening: nobody answers here
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with client_of(endpoint_url=url, **KEYS) as client, pytest.raises(Unreachable) as caught:
            list_parts(client)
    assert not caught.value.may_have_arrived
    assert url in caught.value.message


def test_a_name_that_is_not_found_is_unreachable(monkeypatch):
    def getaddrinfo(*_args, **_more):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with client_of(**KEYS) as client, pytest.raises(Unreachable, match="us-east-1"):
        list_parts(client)


URL = "https://glacier.us-east-1.amazonaws.com"
CERTIFICATE = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get issuer"
BOTOCORE = [
    (aws.SSLError(endpoint_url=URL, error=CERTIFICATE), Untrusted),
    (aws.SSLError(endpoint_url=URL, error="hostname 'a' doesn't match 'b'"), Untrusted),
    (aws.SSLError(endpoint_url=URL, error="[SSL] unexpected eof"), PassingTrouble),
    (aws.EndpointConnectionError(endpoint_url=URL), Unreachable),
    (aws.ConnectTimeoutError(endpoint_url=URL), Unreachable),
    (aws.ProxyConnectionError(proxy_url="http://proxy:1"), Unreachable),
    (aws.ReadTimeoutError(endpoint_url=URL), TimedOut),
    (aws.ConnectionClosedError(endpoint_url=URL), PassingTrouble),
    (aws.HTTPClientError(error=OSError(errno.EPIPE, "Broken pipe")), PassingTrouble),
    (aws.NoCredentialsError(), NotPermitted),
    (aws.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), NotPermitted),
    (aws.UnauthorizedSSOTokenError(), CredentialsExpired),
    (aws.TokenRetrievalError(provider="sso", error_msg="expired"), CredentialsExpired),
    (
        aws.CredentialRetrievalError(provider="custom-process", error_msg="exit 1"),
        CredentialsUnobtainable,
    ),
]


@pytest.mark.parametrize(
    ("error", "kind"), BOTOCORE, ids=[type(error).__name__ for error, _ in BOTOCORE]
)
def test_an_error_of_botocore_becomes(error, kind):
    def method():
        raise error

    with pytest.raises(kind) as caught:
        call_once(method, wants=())
    assert type(caught.value) is kind
    assert caught.value.code == type(error).__name__
    assert caught.value.__cause__ is error
    assert issubclass(kind, PassingTrouble) != bool(caught.value.next_step)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("InvalidConfigError", {"error_msg": "the profile has no source_profile"}),
        ("LoginRefreshRequired", {}),
        ("LoginTokenLoadError", {"error_msg": "none"}),
    ],
)
def test_what_botocore_itself_refuses_is_not_tried_again(name, parameters):
    kind = getattr(aws, name, None)
    if kind is None:
        pytest.xfail("this botocore has no such error")

    def method():
        raise kind(**parameters)

    with pytest.raises(UploadError) as caught:
        call_once(method, wants=())
    assert getattr(caught.value, "most_tries", 1) == 1


def test_a_fault_of_ours_is_not_taken_for_trouble_on_the_line():
    def method():
        raise aws.ParamValidationError(report="Invalid type for parameter uploadId")

    with pytest.raises(aws.ParamValidationError):
        call_once(method, wants=())
    with pytest.raises(TypeError):
        call_once(lambda: len(1), wants=())


def test_a_credential_process_that_is_missing_is_named():
    def method():
        raise FileNotFoundError(2, "No such file or directory", "/usr/bin/credentials")

    with pytest.raises(CredentialsUnobtainable, match="/usr/bin/credentials"):
        call_once(method, wants=())


# -- an address that makes no sense


def test_a_call_without_credentials_is_not_permitted_and_says_how_to_sign_in():
    with (
        tiny_server(Answer(200)) as server,
        client_of(endpoint_url=server.url) as client,
        pytest.raises(NotPermitted) as caught,
    ):
        list_parts(client)
    assert "aws configure" in caught.value.next_step
    assert server.asked == []


@pytest.mark.parametrize(
    ("address", "facts"),
    [
        ({"profile": "nobody"}, ["nobody", "--profile"]),
        ({"region": None}, ["region", "--region"]),
        ({"region": "not a region"}, ["not a region", "--region"]),
        ({"endpoint_url": "http://bad host/"}, ["http://bad host/", "--endpoint-url"]),
        ({"endpoint_url": "localhost"}, ["localhost", "--endpoint-url"]),
    ],
    ids=["unknown profile", "no region", "bad region", "bad host", "no scheme"],
)
def test_an_address_that_makes_no_sense_is_bad_input_before_any_call(address, facts):
    with pytest.raises(BadInput) as caught, client_of(**address):
        pass
    said = caught.value.message + caught.value.next_step
    assert all(fact in said for fact in facts)


def test_the_secret_shows_neither_in_the_address_nor_in_an_error():
    address = Address(**HERE, **KEYS)
    assert KEYS["secret_key"] not in repr(address)
    assert KEYS["access_key"] not in repr(address)


def test_the_client_keeps_as_many_connections_as_there_are_slots():
    with client_of(endpoint_url="http://127.0.0.1:9", **KEYS) as client:
        assert client.meta.config.max_pool_connections == 2
