"""botocore's real client against a tiny server: its errors become ours, one reading, one try."""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from ssl import SSLError
from typing import TYPE_CHECKING, Any

import pytest
from botocore import exceptions as aws

from glacier_mpu.errors import (
    AddressInvalid,
    BadInput,
    RegionMissing,
    SourceUnreadable,
    UploadError,
)
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.source.body import BlockBody
from glacier_mpu.source.file import FileSource
from glacier_mpu.stop import Stopped, Waits
from glacier_mpu.vault.client import Address, call_once, connect
from glacier_mpu.vault.errors import (
    BareRefusal,
    CertificateError,
    ClockSkew,
    CredentialsExpired,
    CredentialsUnobtainable,
    NotPermitted,
    Refused,
    ServerError,
    Throttled,
    TimedOut,
    TransientError,
    Unreachable,
    VaultError,
)
from tests.support.clients import NOBODY, SOMEBODY, UPLOAD, connected, list_parts
from tests.support.kit import body_of, pattern, write
from tests.support.tiny_server import Answer, TinyServer, tiny_server

if TYPE_CHECKING:
    from mypy_boto3_glacier import GlacierClient


@contextmanager
def answered(answer: Answer) -> Iterator[tuple[TinyServer, GlacierClient]]:
    with (
        tiny_server(answer) as server,
        connected(replace(SOMEBODY, endpoint_url=server.url)) as client,
    ):
        yield server, client


def raising(error: BaseException) -> Callable[[], None]:
    """Return a method of a client that ends in this error."""

    def method() -> None:
        raise error

    return method


# -- one reading, one try


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    return write(tmp_path / "file", pattern(2 * MIB + 5))


def send(client: GlacierClient, body: BlockBody, *, block: Block) -> Mapping[str, Any]:
    return call_once(
        client.upload_multipart_part,
        wants=("checksum",),
        **UPLOAD,
        range=f"bytes {block.offset}-{block.last_byte}/*",
        checksum="ab" * 32,
        body=body,
    )


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_block_is_read_exactly_once_and_its_declared_hash_is_the_one_that_is_sent(
    source: FileSource, number: int
) -> None:
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


def test_a_hash_that_is_declared_is_not_quietly_put_right(source: FileSource) -> None:
    block = Plan(source.size, MIB).block(0)
    with (
        answered(Answer(204, headers={"x-amz-sha256-tree-hash": "ab"})) as (server, client),
        body_of(source, block, linear_hash="0" * 64) as body,
    ):
        send(client, body, block=block)
    assert server.asked[0].headers["x-amz-content-sha256"] == "0" * 64


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_a_call_is_tried_once_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    with answered(Answer(500)) as (server, client), pytest.raises(TransientError):
        list_parts(client)
    assert len(server.asked) == 1


@pytest.mark.parametrize("raised", [SourceUnreadable("EIO in block 0"), Stopped()])
def test_what_reading_the_file_raises_comes_out_as_it_is(
    source: FileSource, raised: BaseException
) -> None:
    def on_move(_: int) -> None:
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
        (Answer(502, b"<html>Bad Gateway</html>"), ServerError, "HTTP 502"),
        (Answer(503, b'{"code":"Serv'), ServerError, "HTTP 503"),
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
def test_an_error_answer_is_told_by_code_and_request_id(
    answer: Answer, kind: type[VaultError], fact: str
) -> None:
    with answered(answer) as (_, client), pytest.raises(kind) as caught:
        list_parts(client)
    assert type(caught.value) is kind
    assert fact in caught.value.message


@pytest.mark.parametrize(
    ("minutes", "fact"), [(60, "60 minutes behind"), (-60, "60 minutes ahead")]
)
def test_a_wrong_clock_is_told_by_how_far_it_is_off(minutes: int, fact: str) -> None:
    body = b'{"message":"Signature expired: x","code":"InvalidSignatureException"}'
    date = format_datetime(datetime.now(timezone.utc) + timedelta(minutes=minutes), usegmt=True)
    with (
        answered(Answer(403, body, {"Date": date})) as (_, client),
        pytest.raises(ClockSkew) as caught,
    ):
        list_parts(client)
    assert fact in caught.value.message


@pytest.mark.parametrize("date", ["", "soon", "Sun, 06 Nov 1994 08:49:37 -0000"])
def test_a_wrong_clock_is_told_though_the_service_gives_no_usable_date(date: str) -> None:
    body = b'{"message":"Signature expired: x","code":"InvalidSignatureException"}'
    with (
        answered(Answer(403, body, {"Date": date})) as (_, client),
        pytest.raises(ClockSkew, match="Signature expired"),
    ):
        list_parts(client)


def test_credentials_that_are_set_later_are_found_by_the_next_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tiny_server(Answer(200, b'{"Parts": []}')) as server:
        address = replace(NOBODY, endpoint_url=server.url)
        with connected(address) as client, pytest.raises(NotPermitted):
            list_parts(client)
        for name, value in (("ACCESS_KEY_ID", "AKID"), ("SECRET_ACCESS_KEY", "s")):
            monkeypatch.setenv(f"AWS_{name}", value)
        with connected(address) as client:
            assert list_parts(client)["Parts"] == []
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID2")
        with connected(address) as client:
            list_parts(client)
    assert "Credential=AKID2/" in server.asked[-1].headers["authorization"]


@pytest.mark.parametrize(
    "body", [b'{"code":"X","message":null}', b'"Bad Gateway"', b"[]", b"null"], ids=bytes.decode
)
def test_an_error_answer_of_odd_json_is_still_transient(body: bytes) -> None:
    with answered(Answer(502, body)) as (_, client), pytest.raises(TransientError):
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
def test_half_an_answer_is_transient_and_the_call_may_have_been_executed(answer: Answer) -> None:
    with answered(answer) as (_, client), pytest.raises(TransientError) as caught:
        list_parts(client)
    assert caught.value.may_have_executed


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null"], ids=bytes.decode)
def test_an_answer_that_is_json_and_no_object_is_transient(body: bytes) -> None:
    with answered(Answer(200, body)) as (_, client), pytest.raises(TransientError):
        list_parts(client)


# -- no way there


def test_a_refused_connection_is_unreachable_and_nothing_was_executed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening: nobody answers here
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        address = replace(SOMEBODY, endpoint_url=url)
        with connected(address) as client, pytest.raises(Unreachable) as caught:
            list_parts(client)
    assert not caught.value.may_have_executed
    assert caught.value.message == f"{url.removeprefix('http://')}: connection refused"


def test_a_name_that_is_not_found_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with connected(SOMEBODY) as client, pytest.raises(Unreachable, match="us-east-1"):
        list_parts(client)


URL = "https://glacier.us-east-1.amazonaws.com"
CERTIFICATE = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get issuer"
BOTOCORE: list[tuple[aws.BotoCoreError, type[VaultError]]] = [
    (aws.SSLError(endpoint_url=URL, error=SSLError(1, CERTIFICATE)), CertificateError),
    (
        aws.SSLError(endpoint_url=URL, error=SSLError(1, "hostname 'a' doesn't match 'b'")),
        CertificateError,
    ),
    (aws.SSLError(endpoint_url=URL, error=SSLError(1, "[SSL] unexpected eof")), TransientError),
    (aws.EndpointConnectionError(endpoint_url=URL), Unreachable),
    (aws.ConnectTimeoutError(endpoint_url=URL), Unreachable),
    (aws.ProxyConnectionError(proxy_url="http://proxy:1"), Unreachable),
    (aws.ReadTimeoutError(endpoint_url=URL), TimedOut),
    (aws.ConnectionClosedError(endpoint_url=URL), TransientError),
    (aws.HTTPClientError(error=OSError(errno.EPIPE, "Broken pipe")), TransientError),
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
def test_an_error_of_botocore_is_told_as_ours_with_its_name_as_the_code(
    error: aws.BotoCoreError, kind: type[VaultError]
) -> None:
    with pytest.raises(kind) as caught:
        call_once(raising(error), wants=())
    assert type(caught.value) is kind
    assert caught.value.code == type(error).__name__
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("name", "parameters", "kind"),
    [
        (
            "InvalidConfigError",
            {"error_msg": "the profile has no source_profile"},
            NotPermitted,
        ),
        ("LoginRefreshRequired", {}, CredentialsExpired),
        ("LoginTokenLoadError", {"error_msg": "none"}, CredentialsExpired),
    ],
)
def test_what_botocore_itself_refuses_is_told_as_credentials_that_are_wrong_or_expired(
    name: str, parameters: dict[str, str], kind: type[VaultError]
) -> None:
    error = getattr(aws, name, None)
    if error is None:
        pytest.skip("this botocore has no such error")
    with pytest.raises(VaultError) as caught:
        call_once(raising(error(**parameters)), wants=())
    assert type(caught.value) is kind


def test_a_credential_that_holds_a_line_break_is_told_without_the_credential() -> None:
    error = aws.HTTPClientError(error=ValueError("Invalid header value b'very-secret-key\\n'"))
    with pytest.raises(UploadError) as caught:
        call_once(raising(error), wants=())
    assert type(caught.value) is NotPermitted
    assert "line break" in caught.value.message
    assert "very-secret-key" not in caught.value.message


def test_an_error_of_botocore_is_told_without_the_signature_that_it_repeats() -> None:
    error = aws.HTTPClientError(error=ValueError("AWS4 Credential=AKIAX/2026, Signature=0a1b2c3d"))
    with pytest.raises(VaultError) as caught:
        call_once(raising(error), wants=())
    assert "AKIAX" not in caught.value.message
    assert "0a1b2c3d" not in caught.value.message


def test_a_fault_of_ours_is_not_taken_for_a_fault_of_the_line() -> None:
    error = aws.ParamValidationError(report="Invalid type for parameter uploadId")
    with pytest.raises(aws.ParamValidationError):
        call_once(raising(error), wants=())
    with pytest.raises(TypeError):
        call_once(raising(TypeError("object of type 'int' has no len()")), wants=())


def test_a_credential_process_that_is_missing_is_named() -> None:
    error = FileNotFoundError(2, "No such file or directory", "/usr/bin/credentials")
    with pytest.raises(CredentialsUnobtainable, match="/usr/bin/credentials"):
        call_once(raising(error), wants=())


# -- an address that makes no sense


def test_a_call_without_credentials_is_not_permitted_and_not_even_made() -> None:
    with (
        tiny_server(Answer(200)) as server,
        connected(replace(NOBODY, endpoint_url=server.url)) as client,
        pytest.raises(NotPermitted, match="credentials") as caught,
    ):
        list_parts(client)
    assert type(caught.value) is NotPermitted
    assert server.asked == []


@pytest.mark.parametrize(
    ("address", "kind", "fact"),
    [
        (replace(NOBODY, profile="nobody"), AddressInvalid, "nobody"),
        (replace(NOBODY, region=None), RegionMissing, "region"),
        (replace(NOBODY, region="not a region"), AddressInvalid, "not a region"),
        (replace(NOBODY, endpoint_url="http://bad host/"), AddressInvalid, "http://bad host/"),
        (replace(NOBODY, endpoint_url="localhost"), AddressInvalid, "localhost"),
    ],
    ids=["unknown profile", "no region", "bad region", "bad host", "no scheme"],
)
def test_an_address_that_makes_no_sense_is_bad_input_before_any_call(
    address: Address, kind: type[BadInput], fact: str
) -> None:
    with pytest.raises(BadInput, match=fact) as caught, connected(address):
        pass
    assert type(caught.value) is kind


def test_neither_key_shows_in_the_address() -> None:
    for key in (SOMEBODY.access_key, SOMEBODY.secret_key):
        assert key
        assert key not in repr(SOMEBODY)


def test_no_error_and_none_of_its_causes_shows_the_secret() -> None:
    with answered(Answer(403)) as (_, client), pytest.raises(VaultError) as caught:
        list_parts(client)
    error: BaseException | None = caught.value
    while error is not None:
        assert str(SOMEBODY.secret_key) not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__


def test_only_the_client_for_completion_waits_longer_for_an_answer() -> None:
    waits = Waits(connect=3, read=5, complete=7)
    with closing(connect(SOMEBODY, connections=2, waits=waits)) as clients:
        configs: list[Any] = [each.meta.config for each in (clients.calls, clients.patient)]
    assert [config.connect_timeout for config in configs] == [3, 3]
    assert [config.read_timeout for config in configs] == [5, 7]


def test_the_client_keeps_as_many_connections_as_there_are_slots() -> None:
    with connected(replace(SOMEBODY, endpoint_url="http://127.0.0.1:9")) as client:
        assert client.meta.config.max_pool_connections == 2  # type: ignore[attr-defined]
