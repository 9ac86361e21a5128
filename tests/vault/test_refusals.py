"""What an error answer of the service means: which error of ours, and what follows from it."""

from __future__ import annotations

import pytest

from glacier_mpu.errors import (
    BareRefusal,
    ClockWrong,
    CredentialsExpired,
    HashMismatch,
    NotPermitted,
    NotTheService,
    PassingTrouble,
    Refused,
    Throttled,
    TimedOut,
    UploadGone,
    VaultMissing,
)
from glacier_mpu.vault.refusals import refusal

ARN = "arn:aws:glacier:us-west-2:012345678901:vaults/examplevault"
INVALID = "InvalidParameterValueException"
SIGNATURE = "InvalidSignatureException"

ROWS = [
    # statuses without a code: a proxy's, or an answer whose body was lost
    (408, "408", "Request Timeout", TimedOut),
    (429, "429", "Too Many Requests", Throttled),
    (500, "500", "Internal Server Error", PassingTrouble),
    (502, "502", "Bad Gateway", PassingTrouble),
    (503, "503", "Service Unavailable", PassingTrouble),
    (504, "504", "Gateway Timeout", PassingTrouble),
    (500, "", "", PassingTrouble),
    (400, "400", "Bad Request", BareRefusal),
    (400, "", "", BareRefusal),
    (400, "BadRequest", "", BareRefusal),
    (401, "401", "Unauthorized", NotTheService),
    (403, "403", "Forbidden", NotTheService),
    (404, "404", "Not Found", NotTheService),
    (407, "407", "Proxy Authentication Required", NotTheService),
    (301, "301", "Moved Permanently", NotTheService),
    # the service's own, as glacier-api.md lists them
    (408, "RequestTimeoutException", "Request timed out.", TimedOut),
    (500, "ServiceUnavailableException", "", PassingTrouble),
    (503, "ServiceUnavailableException", "", PassingTrouble),
    (503, "InsufficientCapacityException", "", PassingTrouble),
    (500, "InternalServerError", "", PassingTrouble),
    (400, "ThrottlingException", "Rate exceeded", Throttled),
    (403, "ThrottlingException", "Rate exceeded", Throttled),
    (400, "RequestTimeoutException", "Request timed out.", TimedOut),
    (403, "AccessDeniedException", "Access denied for account ID: 123456789012", NotPermitted),
    (403, "ExpiredTokenException", "The security token is expired", CredentialsExpired),
    (400, "ExpiredTokenException", "The security token is expired", CredentialsExpired),
    (400, "MissingAuthenticationTokenException", "", NotPermitted),
    (400, "UnrecognizedClientException", "The security token is invalid.", NotPermitted),
    (403, SIGNATURE, "The request signature we calculated does not match", NotPermitted),
    (
        403,
        SIGNATURE,
        "Signature expired: 20180727T181658Z is now earlier than 20180727T181816Z",
        ClockWrong,
    ),
    (
        403,
        SIGNATURE,
        "Signature not yet current: 20131120T113529Z is still later than 20131120T104538Z",
        ClockWrong,
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
    (400, "NoLongerSupportedException", "No longer supported for new accounts.", NotPermitted),
    (404, "ResourceNotFoundException", f"Vault not found for ARN: {ARN}", VaultMissing),
    (404, "ResourceNotFoundException", "The upload ID was not found: abc", UploadGone),
]


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    ROWS,
    ids=[
        f"{status} {code or 'no code'} {message[:24]}".strip() for status, code, message, _ in ROWS
    ],
)
def test_an_answer_means(status, code, message, kind):
    error = refusal(code=code, message=message, status=status, request_id="Rq-1_x")
    assert type(error) is kind
    assert message in error.message
    assert "Rq-1_x" in error.message
    assert (error.status, error.request_id) == (status, "Rq-1_x")
    assert error.code == (code if code and not code.isdecimal() else f"HTTP {status}")
    assert error.code in error.message


@pytest.mark.parametrize(
    ("kind", "most_tries", "every_block_alike", "keeps_upload", "may_have_arrived"),
    [
        (PassingTrouble, 0, False, False, True),
        (Throttled, 0, False, False, False),
        (BareRefusal, 5, False, False, False),
        (HashMismatch, 2, False, False, False),
        (ClockWrong, 2, True, True, False),
        (CredentialsExpired, 1, True, True, False),
        (NotPermitted, 1, True, False, False),
        (VaultMissing, 1, True, False, False),
        (UploadGone, 1, True, False, False),
        (Refused, 1, False, False, False),
    ],
)
def test_what_follows_from_an_error(
    kind, most_tries, every_block_alike, keeps_upload, may_have_arrived
):
    assert kind.most_tries == most_tries
    assert kind.every_block_alike is every_block_alike
    assert kind.keeps_upload is keeps_upload
    assert kind.may_have_arrived is may_have_arrived


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        (SIGNATURE, "Signature expired: x", ["clock"]),
        (SIGNATURE, "The request signature we calculated does not match", ["credentials"]),
        ("ExpiredTokenException", "", ["renew"]),
        ("AccessDeniedException", "", ["policy"]),
        ("NoLongerSupportedException", "", ["2025-12-15"]),
        ("ResourceNotFoundException", f"Vault not found for ARN: {ARN}", ["--vault", "--region"]),
        ("ResourceNotFoundException", "The upload ID was not found: x", ["list-multipart-uploads"]),
        (INVALID, "Checksum mismatch: x", ["memory", "line"]),
    ],
)
def test_a_refusal_that_a_person_can_do_something_about_says_what(code, message, words):
    error = refusal(code=code, message=message, status=400, request_id="")
    assert all(word in error.next_step for word in words)


def test_an_answer_without_request_id_names_none():
    assert "request id" not in refusal(code="X", message="m", status=400, request_id="").message
