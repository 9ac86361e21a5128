"""What an error answer of the service means: which error of ours, and what follows from it."""

from __future__ import annotations

import pytest

from glacier_mpu.vault.errors import (
    AccessDenied,
    AccountNotAccepted,
    ArrivedLate,
    BareRefusal,
    BundleUnreadable,
    CertificateError,
    ClockSkew,
    ConnectionLost,
    CredentialsExpired,
    CredentialsRejected,
    CredentialsUnobtainable,
    HashMismatch,
    NotPermitted,
    NotTheService,
    ProxyUnusable,
    Refused,
    ServerError,
    ServiceDown,
    SignatureRefused,
    Throttled,
    TimedOut,
    TransientError,
    Unreachable,
    UploadNotFound,
    VaultError,
    VaultNotFound,
)
from glacier_mpu.vault.refusals import refusal

ARN = "arn:aws:glacier:us-west-2:012345678901:vaults/examplevault"
INVALID = "InvalidParameterValueException"
SIGNATURE = "InvalidSignatureException"

ROWS: list[tuple[int, str, str, type[VaultError]]] = [
    # statuses without a code: a proxy's, or an answer whose body was lost
    (408, "408", "Request Timeout", TimedOut),
    (429, "429", "Too Many Requests", Throttled),
    (500, "500", "Internal Server Error", ServerError),
    (502, "502", "Bad Gateway", ServerError),
    (503, "503", "Service Unavailable", ServerError),
    (504, "504", "Gateway Timeout", ServerError),
    (500, "", "", ServerError),
    (400, "400", "Bad Request", BareRefusal),
    (400, "", "", BareRefusal),
    (400, "BadRequest", "", BareRefusal),
    (401, "401", "Unauthorized", NotTheService),
    (403, "403", "Forbidden", NotTheService),
    (404, "404", "Not Found", NotTheService),
    (407, "407", "Proxy Authentication Required", ProxyUnusable),
    (301, "301", "Moved Permanently", NotTheService),
    # the service's own, as glacier-api.md lists them
    (408, "RequestTimeoutException", "Request timed out.", TimedOut),
    (500, "ServiceUnavailableException", "", ServerError),
    (503, "ServiceUnavailableException", "", ServerError),
    (503, "InsufficientCapacityException", "", ServerError),
    (500, "InternalServerError", "", ServerError),
    (400, "ThrottlingException", "Rate exceeded", Throttled),
    (403, "ThrottlingException", "Rate exceeded", Throttled),
    (400, "RequestTimeoutException", "Request timed out.", TimedOut),
    (403, "AccessDeniedException", "Access denied for account ID: 123456789012", AccessDenied),
    (403, "ExpiredTokenException", "The security token is expired", CredentialsExpired),
    (400, "ExpiredTokenException", "The security token is expired", CredentialsExpired),
    (400, "MissingAuthenticationTokenException", "", SignatureRefused),
    (400, "UnrecognizedClientException", "The security token is invalid.", SignatureRefused),
    (403, SIGNATURE, "The request signature we calculated does not match", SignatureRefused),
    (403, "SomethingNewException", "", SignatureRefused),
    (401, "SomethingNewException", "", SignatureRefused),
    (403, "InvalidAccessKeyId", "The key does not exist in our records", SignatureRefused),
    (403, "InvalidToken", "The provided token is malformed", SignatureRefused),
    (403, "OptInRequired", "The key needs a subscription for the service", SignatureRefused),
    (
        403,
        SIGNATURE,
        "Signature expired: 20180727T181658Z is now earlier than 20180727T181816Z",
        ClockSkew,
    ),
    (
        403,
        SIGNATURE,
        "Signature not yet current: 20131120T113529Z is still later than 20131120T104538Z",
        ClockSkew,
    ),
    (
        403,
        SIGNATURE,
        "The value passed in as x-amz-content-sha256 does not match the computed payload hash. "
        "Computed digest: 00 expected hash: 11",
        HashMismatch,
    ),
    (400, INVALID, "Checksum mismatch: expected 00, computed 11", HashMismatch),
    (400, INVALID, "Invalid x-amz-sha256-tree-hash: 00", Refused),
    (400, INVALID, "Invalid Content-Range: bytes 9-8/*", Refused),
    (400, INVALID, "Invalid part size: 10485760.", Refused),
    (400, "MissingParameterValueException", "Required parameter missing: API version", Refused),
    (400, "LimitExceededException", "", Refused),
    (400, "PolicyEnforcedException", "", Refused),
    (400, "SerializationException", "", Refused),
    (
        400,
        "NoLongerSupportedException",
        "No longer supported for new accounts.",
        AccountNotAccepted,
    ),
    (404, "ResourceNotFoundException", f"Vault not found for ARN: {ARN}", VaultNotFound),
    (404, "ResourceNotFoundException", "The upload ID was not found: abc", UploadNotFound),
]


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    ROWS,
    ids=[
        f"{status} {code or 'no code'} {message[:24]}".strip() for status, code, message, _ in ROWS
    ],
)
def test_an_answer_is_told_as_an_error_with_the_services_code_and_words(
    status: int, code: str, message: str, kind: type[VaultError]
) -> None:
    error = refusal(code=code, message=message, status=status, request_id="Rq-1_x")
    assert type(error) is kind
    assert message in error.message
    assert "Rq-1_x" in error.message
    assert (error.status, error.request_id) == (status, "Rq-1_x")
    assert error.code == (code if code and not code.isdecimal() else f"HTTP {status}")
    assert error.code in error.message


WHATEVER_THE_STATUS: list[tuple[str, str, type[VaultError]]] = [
    (SIGNATURE, "Signature expired: x", ClockSkew),
    (SIGNATURE, "Signature not yet current: x", ClockSkew),
    (SIGNATURE, "The request signature we calculated does not match", SignatureRefused),
    ("SignatureDoesNotMatch", "", SignatureRefused),
    ("MissingAuthenticationToken", "", SignatureRefused),
    ("IncompleteSignatureException", "", SignatureRefused),
    ("IncompleteSignature", "", SignatureRefused),
    ("InvalidClientTokenId", "", SignatureRefused),
    ("InvalidAccessKeyId", "", SignatureRefused),
    ("InvalidToken", "", SignatureRefused),
    ("RequestExpired", "", ClockSkew),
    ("RequestTimeTooSkewed", "", ClockSkew),
    ("ExpiredTokenException", "", CredentialsExpired),
    ("ExpiredToken", "", CredentialsExpired),
    ("AccessDeniedException", "", AccessDenied),
    ("AccessDenied", "", AccessDenied),
    ("NotAuthorized", "", AccessDenied),
    ("NoLongerSupportedException", "", AccountNotAccepted),
    ("RequestTimeout", "", TimedOut),
    ("Throttling", "", Throttled),
    ("ThrottledException", "", Throttled),
    ("RequestThrottledException", "", Throttled),
    ("TooManyRequestsException", "", Throttled),
    ("RequestLimitExceeded", "", Throttled),
    ("ResourceNotFoundException", f"Vault not found for ARN: {ARN}", VaultNotFound),
    ("ResourceNotFoundException", "The upload ID was not found: x", UploadNotFound),
    (INVALID, "Checksum mismatch: x", HashMismatch),
]


@pytest.mark.parametrize("status", [400, 403, 404, 500])
@pytest.mark.parametrize(
    ("code", "message", "kind"),
    WHATEVER_THE_STATUS,
    ids=[f"{code} {message[:24]}".strip() for code, message, _ in WHATEVER_THE_STATUS],
)
def test_what_the_code_or_the_words_say_counts_whatever_the_status(
    code: str, message: str, kind: type[VaultError], status: int
) -> None:
    assert type(refusal(code=code, message=message, status=status, request_id="")) is kind


@pytest.mark.parametrize(
    ("kind", "max_tries", "every_block_alike", "keeps_upload", "may_have_executed", "slows_down"),
    [
        (ArrivedLate, 0, False, True, False, True),
        (TransientError, 0, False, True, True, False),
        (TimedOut, 0, False, True, True, True),
        (Unreachable, 0, False, True, False, False),
        (Throttled, 0, False, True, False, True),
        (ConnectionLost, 1, True, True, True, False),
        (ServerError, 0, False, False, True, False),
        (ServiceDown, 1, True, False, True, False),
        (SignatureRefused, 1, True, True, False, False),
        (CredentialsRejected, 12, True, True, False, False),
        (BareRefusal, 5, False, False, False, False),
        (NotTheService, 5, False, True, False, False),
        (HashMismatch, 2, False, True, False, False),
        (ClockSkew, 2, True, True, False, False),
        (NotPermitted, 1, True, True, False, False),
        (AccessDenied, 1, True, True, False, False),
        (AccountNotAccepted, 1, True, True, False, False),
        (CertificateError, 1, True, True, False, False),
        (BundleUnreadable, 1, True, True, False, False),
        (ProxyUnusable, 1, True, True, False, False),
        (CredentialsExpired, 0, True, True, False, False),
        (CredentialsUnobtainable, 0, True, True, False, False),
        (VaultNotFound, 1, True, False, False, False),
        (UploadNotFound, 1, True, False, False, False),
        (Refused, 1, False, False, False, False),
    ],
)
def test_the_class_of_an_error_says_what_follows_from_it(
    kind: type[VaultError],
    max_tries: int,
    every_block_alike: bool,
    keeps_upload: bool,
    may_have_executed: bool,
    slows_down: bool,
) -> None:
    assert kind.max_tries == max_tries
    assert kind.every_block_alike is every_block_alike
    assert kind.keeps_upload is keeps_upload
    assert kind.may_have_executed is may_have_executed
    assert kind.slows_down is slows_down


def test_an_answer_without_request_id_names_none() -> None:
    assert "request id" not in refusal(code="X", message="m", status=400, request_id="").message


@pytest.mark.parametrize(
    ("seconds", "fact"), [(7 * 60, "7 minutes behind"), (-7 * 60, "7 minutes ahead of")]
)
def test_only_a_wrong_clock_is_told_by_how_far_it_is_off(seconds: int, fact: str) -> None:
    skewed, other = (
        refusal(code=code, message="m", status=403, request_id="", seconds_behind=seconds)
        for code in ("RequestExpired", "AccessDenied")
    )
    assert fact in skewed.message
    assert "minutes" not in other.message


@pytest.mark.parametrize(
    ("seconds", "kind"),
    [
        (0, ArrivedLate),
        (299, ArrivedLate),
        (-299, ArrivedLate),
        (300, ClockSkew),
        (-300, ClockSkew),
        (None, ClockSkew),
    ],
)
@pytest.mark.parametrize("said", ["Signature expired: x", "Signature not yet current: x"])
def test_a_signature_that_is_too_old_by_right_clocks_was_too_long_on_its_way(
    said: str, seconds: float | None, kind: type[VaultError]
) -> None:
    error = refusal(code=SIGNATURE, message=said, status=403, request_id="", seconds_behind=seconds)
    assert type(error) is kind
    assert ("clock is right" in error.message) is (kind is ArrivedLate)


def test_a_page_of_a_proxy_is_told_in_one_line_of_its_beginning() -> None:
    page = "<html>\n" + "Bad  Gateway\n" * 10_000
    message = refusal(code="", message=page, status=502, request_id="").message
    assert message.startswith("HTTP 502: <html> Bad Gateway Bad Gateway")
    assert "\n" not in message
    assert len(message) < 600


def test_credentials_and_signatures_that_an_answer_repeats_are_hidden() -> None:
    said = "Credential=AKIAX/20261124/us-west-2, Signature=0a1b2c3d does not match"
    message = refusal(code=SIGNATURE, message=said, status=403, request_id="").message
    assert "does not match" in message
    assert "AKIAX" not in message
    assert "0a1b2c3d" not in message
