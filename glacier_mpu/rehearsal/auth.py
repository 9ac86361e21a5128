"""The checks before every operation: API version, date window, Signature Version 4.

The signature is recomputed by botocore's signer over the headers that the caller lists as signed.
A signer of our own could share a fault with the client that it is to check.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, HTTPHeaders
from botocore.credentials import Credentials

from glacier_mpu.rehearsal.wire import (
    ACCESS_KEY,
    REGION,
    SECRET_KEY,
    WITH_BODY,
    Call,
    Refusal,
    invalid,
    missing,
)

API_VERSION = "2012-06-01"
WINDOW = timedelta(minutes=5)
_ISO_BASIC = "%Y%m%dT%H%M%SZ"
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[^/, ]+)/(?P<scope>[^, ]+), *"
    r"SignedHeaders=(?P<headers>[^, ]+), *Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Keys:
    """The only accepted pair of keys, and the region for which calls must be signed."""

    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION


@dataclass(frozen=True, slots=True)
class _Claim:
    """What an Authorization header says. scope is date/region/service/aws4_request."""

    access_key: str
    scope: str
    signed: tuple[str, ...]
    signature: str


class _Verifier(SigV4Auth):
    """botocore's signer, which signs all the headers that it is given.

    The original leaves out some (User-Agent, Expect) that another client may have signed.
    """

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        return request.headers


def authenticate(call: Call, *, now: datetime, keys: Keys, body: bytes = b"") -> None:
    """Refuse a call for another API version, outside the date window or not signed with `keys`.

    body is what was sent with a call that takes no body. The body of an archive or a part is
    not needed, because its hash is in a header that must be signed.
    Raises Refusal, in the order version, presence of a signature, date form, window,
    signature. now is the time at which the headers arrived, not the end of the body: the
    service accepts bodies that take an hour.
    """
    _check_version(call)
    claim = _claim(call)
    stamp = _stamp(call)
    _check_window(stamp, now)
    _check_scope(claim, stamp, keys)
    _check_content_hash(call, claim, body)
    _check_signed_headers(call, claim)
    expected = _expected_signature(call, claim, stamp, keys=keys, body=body)
    if not hmac.compare_digest(expected, claim.signature):
        raise _bad_signature(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. "
            "Consult the service documentation for details."
        )


def _bad_signature(message: str) -> Refusal:
    return Refusal(403, "InvalidSignatureException", message, layer="auth")


def _check_version(call: Call) -> None:
    version = call.headers.get("x-amz-glacier-version", "")
    if not version:
        raise missing("API version")
    if version != API_VERSION:
        raise invalid(f"Invalid API version: {version}")  # our wording


def _claim(call: Call) -> _Claim:
    header = call.headers.get("authorization", "")
    if not header:
        # 403 like a wrong signature, although the service's list of errors says 400. Checked
        # before the date, because a caller that signs nothing has no reason to send one.
        raise Refusal(
            403,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
            layer="auth",
        )
    found = _AUTHORIZATION.fullmatch(header)
    if not found:
        raise _bad_signature(
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' "
            "parameters of AWS4-HMAC-SHA256."
        )
    signed = tuple(found["headers"].split(";"))
    return _Claim(found["key"], found["scope"], signed, found["signature"])


def _stamp(call: Call) -> datetime:
    """The time of signing, in ISO basic form: x-amz-date, or Date if that is absent."""
    text = call.headers.get("x-amz-date", call.headers.get("date", ""))
    if not _STAMP.fullmatch(text):
        raise _bad_signature(
            "Date must be in ISO-8601 'basic format'. Got "
            f"'{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )
    try:
        return datetime.strptime(text, _ISO_BASIC).replace(tzinfo=timezone.utc)
    except ValueError:
        raise _bad_signature(f"Date '{text}' is not a point in time.") from None


def _check_window(stamp: datetime, now: datetime) -> None:
    now = now.replace(microsecond=0)
    signed, here = stamp.strftime(_ISO_BASIC), now.strftime(_ISO_BASIC)
    if stamp < now - WINDOW:
        edge = (now - WINDOW).strftime(_ISO_BASIC)
        raise _bad_signature(
            f"Signature expired: {signed} is now earlier than {edge} ({here} - 5 min.)"
        )
    if stamp > now + WINDOW:
        edge = (now + WINDOW).strftime(_ISO_BASIC)
        raise _bad_signature(
            f"Signature not yet current: {signed} is still later than {edge} ({here} + 5 min.)"
        )


def _check_scope(claim: _Claim, stamp: datetime, keys: Keys) -> None:
    if claim.access_key != keys.access_key:
        raise _unrecognized()
    wanted = f"{stamp:%Y%m%d}/{keys.region}/glacier/aws4_request"
    if claim.scope != wanted:
        raise _bad_signature(
            f"Credential should be scoped to '{wanted}', not '{claim.scope}'."  # our wording
        )


def _unrecognized() -> Refusal:
    return Refusal(
        400,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        layer="auth",
    )


def _check_content_hash(call: Call, claim: _Claim, body: bytes) -> None:
    """Check x-amz-content-sha256: a hash, and sent and signed where there is a body."""
    value = call.headers.get("x-amz-content-sha256")
    if value is None:
        if call.operation in WITH_BODY:
            raise missing("x-amz-content-sha256")
        return
    if not _SHA256.fullmatch(value):  # UNSIGNED-PAYLOAD, STREAMING-...
        raise invalid(f"Invalid x-amz-content-sha256: {value}")
    if call.operation in WITH_BODY and "x-amz-content-sha256" not in claim.signed:
        raise _not_signed("x-amz-content-sha256")
    if call.operation not in WITH_BODY and value != (computed := sha256(body).hexdigest()):
        raise wrong_payload_hash(computed=computed, expected=value)


def wrong_payload_hash(*, computed: str, expected: str) -> Refusal:
    """403: the body is not the one whose linear SHA-256 was signed."""
    return _bad_signature(
        "The value passed in as x-amz-content-sha256 does not match the computed payload hash. "
        f"Computed digest: {computed} expected hash: {expected}"
    )


def _check_signed_headers(call: Call, claim: _Claim) -> None:
    """Check that host and date are signed, and that every header listed as signed was sent.

    Other x-amz-* headers may be unsigned, as in the service's own examples.
    """
    if "x-amz-security-token" in call.headers:
        # The stand-in's keys are permanent. A token belongs to another account's session.
        raise _unrecognized()
    date = "x-amz-date" if "x-amz-date" in call.headers else "date"
    for name in ("host", date):
        if name not in claim.signed:
            raise _not_signed(name)
    for name in claim.signed:
        if name not in call.headers:
            raise _bad_signature(f"'{name}' is signed but was not sent.")  # our wording


def _not_signed(name: str) -> Refusal:
    return _bad_signature(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")


def _expected_signature(
    call: Call, claim: _Claim, stamp: datetime, *, keys: Keys, body: bytes
) -> str:
    """The signature of this call with `keys`, in lower-case hex."""
    request = AWSRequest(
        method=call.method,
        url=f"http://localhost{call.path}",
        headers={name: call.headers[name] for name in claim.signed},
        data=body,
        params=list(call.query),  # type: ignore[arg-type]  # botocore accepts pairs as well
    )
    request.context["timestamp"] = stamp.strftime(_ISO_BASIC)
    credentials = Credentials(keys.access_key, keys.secret_key)
    verifier = _Verifier(credentials, "glacier", keys.region)
    canonical = verifier.canonical_request(request)
    to_sign = verifier.string_to_sign(request, canonical)
    return str(verifier.signature(to_sign, request))
