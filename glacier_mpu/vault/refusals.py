"""What the service's error answers mean: which error of ours, and what to do next. Pure.

Codes come before statuses: throttling, for one, is a 400.
Source: https://docs.aws.amazon.com/amazonglacier/latest/dev/api-error-responses.html
"""

from __future__ import annotations

import re

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
    VaultError,
    VaultMissing,
)

RENEW = "renew the credentials (aws sso login, or whatever issued them), then go on"
SIGN_IN = (
    "set up credentials (aws configure, or --profile), and check them with: "
    "aws sts get-caller-identity"
)
_ALLOW = "allow the action on this vault in the IAM policy (README lists them), then go on"
_CLOCK = "set this machine's clock (it is over five minutes off the service's), then go on"
_CLOSED = "the vault service takes only accounts that used it before 2025-12-15; use such a one"
_VAULT = (
    "check --vault, --region and --account-id, or make the vault: "
    "aws glacier create-vault --account-id - --vault-name NAME"
)
_UPLOAD = (
    "check the id with: aws glacier list-multipart-uploads --account-id - --vault-name NAME; an "
    "upload that is not listed was completed, aborted, or expired after a day without activity; to "
    "begin a new one, leave out --upload-id"
)
_PROXY = "something between here and AWS answered; check the proxy or the network's log-in page"
_HASH = "the file, this machine's memory or the line changes bytes; check them, then go on"

_LONGEST_MESSAGE = 500
_SECRETS = re.compile(
    r"((?:Signature|Credential)=|x-amz-security-token[:=]\s*|Invalid header value )[^,\s]+", re.I
)

_BY_CODE: dict[str, tuple[type[VaultError], str]] = {
    "AccessDeniedException": (NotPermitted, _ALLOW),
    "AccessDenied": (NotPermitted, _ALLOW),
    "ExpiredToken": (CredentialsExpired, RENEW),
    "ExpiredTokenException": (CredentialsExpired, RENEW),
    "InvalidSignatureException": (NotPermitted, SIGN_IN),
    "SignatureDoesNotMatch": (NotPermitted, SIGN_IN),
    "MissingAuthenticationTokenException": (NotPermitted, SIGN_IN),
    "IncompleteSignatureException": (NotPermitted, SIGN_IN),
    "InvalidClientTokenId": (NotPermitted, SIGN_IN),
    "UnrecognizedClientException": (NotPermitted, SIGN_IN),
    "NoLongerSupportedException": (NotPermitted, _CLOSED),
    "RequestExpired": (ClockWrong, _CLOCK),
    "RequestTimeTooSkewed": (ClockWrong, _CLOCK),
    "RequestTimeoutException": (TimedOut, ""),
    "RequestTimeout": (TimedOut, ""),
    "ServiceUnavailableException": (PassingTrouble, ""),
    "Throttling": (Throttled, ""),
    "ThrottlingException": (Throttled, ""),
    "ThrottledException": (Throttled, ""),
    "RequestThrottledException": (Throttled, ""),
    "TooManyRequestsException": (Throttled, ""),
    "RequestLimitExceeded": (Throttled, ""),
}

# One code covers several causes that only the text tells apart. Each text is the service's own.
_BY_TEXT: tuple[tuple[str, type[VaultError], str], ...] = (
    ("x-amz-content-sha256 does not match", HashMismatch, _HASH),
    ("Checksum mismatch", HashMismatch, _HASH),
    ("Signature expired", ClockWrong, _CLOCK),
    ("Signature not yet current", ClockWrong, _CLOCK),
    ("Vault not found", VaultMissing, _VAULT),
)


def refusal(
    *, code: str, message: str, status: int, request_id: str, minutes_behind: int = 0
) -> VaultError:
    """Return the error that an answer of the service stands for.

    `code` is the one in the answer's body; an answer without one has its status in figures instead.
    `minutes_behind` is how far this machine's clock is behind the service's.
    """
    kind, next_step = _meaning(code, message, status)
    named = code if code and not code.isdecimal() else f"HTTP {status}"
    said = redacted(" ".join(message.split()))  # a proxy's answer may be a whole page
    text = f"{named}: {said[:_LONGEST_MESSAGE] or 'no message'}"
    if kind is ClockWrong and minutes_behind:
        way = "behind" if minutes_behind > 0 else "ahead of"
        text += f"; this clock is {abs(minutes_behind)} minutes {way} the service's"
    if request_id:
        text += f" (request id {request_id})"
    return kind(text, next_step=next_step, code=named, status=status, request_id=request_id)


def redacted(text: str) -> str:
    """Return the text without credentials and signatures: some refusals echo the request."""
    return _SECRETS.sub(r"\1(hidden)", text)


def _meaning(code: str, message: str, status: int) -> tuple[type[VaultError], str]:
    for text, kind, next_step in _BY_TEXT:
        if text in message:
            return kind, next_step
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code == "ResourceNotFoundException":
        return UploadGone, _UPLOAD
    if status in (408, 429):
        return (TimedOut if status == 408 else Throttled), ""
    if status >= 500:
        return PassingTrouble, ""
    if not code or code.isdecimal() or code == "BadRequest":
        # The service gives its refusals a code; a proxy or a captive portal has none to give.
        return (BareRefusal, "") if status == 400 else (NotTheService, _PROXY)
    if status in (401, 403):
        return NotPermitted, SIGN_IN
    return Refused, ""
