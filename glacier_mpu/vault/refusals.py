"""Which of our errors each error answer of the service stands for. Pure.

Codes come before statuses: throttling, for one, is a 400.
Source: https://docs.aws.amazon.com/amazonglacier/latest/dev/api-error-responses.html
"""

from __future__ import annotations

from glacier_mpu.vault.errors import (
    EXPIRED_CODES,
    AccessDenied,
    AccountNotAccepted,
    ArrivedLate,
    BareRefusal,
    ClockSkew,
    CredentialsExpired,
    HashMismatch,
    NotTheService,
    ProxyUnusable,
    Refused,
    ServerError,
    SignatureRefused,
    Throttled,
    TimedOut,
    UploadNotFound,
    VaultError,
    VaultNotFound,
    shortened,
)

# Signatures are refused when the two clocks differ by as much.
CLOCKS_DIFFER_SECONDS = 5 * 60

_BY_CODE: dict[str, type[VaultError]] = {
    "AccessDeniedException": AccessDenied,
    "AccessDenied": AccessDenied,
    "NotAuthorized": AccessDenied,
    **dict.fromkeys(EXPIRED_CODES, CredentialsExpired),
    "InvalidSignatureException": SignatureRefused,
    "SignatureDoesNotMatch": SignatureRefused,
    "MissingAuthenticationTokenException": SignatureRefused,
    "MissingAuthenticationToken": SignatureRefused,
    "IncompleteSignatureException": SignatureRefused,
    "IncompleteSignature": SignatureRefused,
    "InvalidClientTokenId": SignatureRefused,
    "InvalidAccessKeyId": SignatureRefused,
    "InvalidToken": SignatureRefused,
    "UnrecognizedClientException": SignatureRefused,
    "NoLongerSupportedException": AccountNotAccepted,
    "RequestExpired": ClockSkew,
    "RequestTimeTooSkewed": ClockSkew,
    "RequestTimeoutException": TimedOut,
    "RequestTimeout": TimedOut,
    "ServiceUnavailableException": ServerError,
    "Throttling": Throttled,
    "ThrottlingException": Throttled,
    "ThrottledException": Throttled,
    "RequestThrottledException": Throttled,
    "TooManyRequestsException": Throttled,
    "RequestLimitExceeded": Throttled,
}

# One code covers several causes that only the text tells apart. Each text is the service's own.
_BY_TEXT: tuple[tuple[str, type[VaultError]], ...] = (
    ("x-amz-content-sha256 does not match", HashMismatch),
    ("Checksum mismatch", HashMismatch),
    ("Signature expired", ClockSkew),
    ("Signature not yet current", ClockSkew),
    ("Vault not found", VaultNotFound),
)


def refusal(
    *, code: str, message: str, status: int, request_id: str, seconds_behind: float | None = None
) -> VaultError:
    """Return the error that an answer of the service stands for.

    `code` is the one in the answer's body; an answer without one has its status in figures instead.
    `seconds_behind` is how far this machine's clock is behind the service's, or None if unknown.
    """
    kind = _meaning(code, message, status)
    named = code if code and not code.isdecimal() else f"HTTP {status}"
    text = f"{named}: {shortened(message) or 'no message'}"
    if kind is ClockSkew and seconds_behind is not None:
        if abs(seconds_behind) < CLOCKS_DIFFER_SECONDS:
            kind = ArrivedLate
            text += "; this machine's clock is right: the call took too long to arrive"
        else:
            minutes = round(abs(seconds_behind) / 60)
            way = "behind" if seconds_behind > 0 else "ahead of"
            text += f"; this machine's clock is {minutes} minutes {way} the service's"
    if request_id:
        text += f" (request id {request_id})"
    return kind(text, code=named, status=status, request_id=request_id)


def _meaning(code: str, message: str, status: int) -> type[VaultError]:
    for text, kind in _BY_TEXT:
        if text in message:
            return kind
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code == "ResourceNotFoundException":
        return UploadNotFound
    if status in (408, 429):
        return TimedOut if status == 408 else Throttled
    if status == 407:
        return ProxyUnusable
    if status >= 500:
        return ServerError
    if not code or code.isdecimal() or code == "BadRequest":
        # The service gives its refusals a code; a proxy or a captive portal has none to give.
        return BareRefusal if status == 400 else NotTheService
    if status in (401, 403):
        return SignatureRefused  # which is tried again where the credentials have worked
    return Refused
