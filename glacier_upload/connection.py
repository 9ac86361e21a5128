"""The connection to the service: the only room of the uploader that knows boto3 and botocore."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore import exceptions as aws
from botocore.config import Config
from botocore.parsers import ResponseParserError

from glacier_upload.errors import (
    BadInput,
    ClockWrong,
    CredentialsExpired,
    NotPermitted,
    PassingTrouble,
    Unreachable,
    UploadError,
    VaultError,
)
from glacier_upload.refusals import RENEW, SIGN_IN, refusal

if TYPE_CHECKING:
    from mypy_boto3_glacier import GlacierClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the vault is and who asks; None leaves a choice to boto3's own chain."""

    vault: str
    account_id: str = "-"
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)


def connect(
    address: Address, *, connections: int, connect_seconds: float, read_seconds: float
) -> GlacierClient:
    """Return a client that tries each call once, with up to `connections` open at a time.

    `read_seconds` bounds the wait for the next byte of an answer and for room to send some. Raises
    BadInput if the address makes no sense. Calls nothing yet.
    """
    try:
        session = session_of(
            address.profile, address.region, address.access_key, address.secret_key
        )
        client = session.client(
            "glacier",
            endpoint_url=address.endpoint_url,
            config=Config(
                connect_timeout=connect_seconds,
                read_timeout=read_seconds,
                max_pool_connections=connections,
                retries={"total_max_attempts": 1},
                tcp_keepalive=True,
            ),
        )
    except aws.NoRegionError as error:
        raise BadInput(
            "no AWS region is set", next_step="add --region, or set AWS_DEFAULT_REGION"
        ) from error
    except (aws.BotoCoreError, ValueError) as error:
        raise BadInput(
            f"no connection can be set up: {error}",
            next_step="check --profile, --region and --endpoint-url",
        ) from error
    # Ahead of botocore's own handler, which would read the whole body once more to hash it.
    client.meta.events.register_first(
        "before-call.glacier.UploadMultipartPart", _declare_linear_hash
    )
    return client


@lru_cache(maxsize=1)
def session_of(
    profile: str | None, region: str | None, access_key: str | None, secret_key: str | None
) -> boto3.Session:
    """Return the session for these; a second client of the same one costs next to nothing."""
    return boto3.Session(
        profile_name=profile,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )


def call_once(
    method: Callable[..., Any], *, wants: tuple[str, ...], **parameters: Any
) -> Mapping[str, Any]:
    """Make one call, once, and return its answer. Raises the UploadError that its failure means.

    An answer that lacks one of `wants` was cut short: botocore passes half an answer on as a whole
    one in which the rest is merely absent.
    """
    try:
        answer: Mapping[str, Any] = method(**parameters)
    except aws.ClientError as error:
        raise _from_answer(error) from error
    except (aws.BotoCoreError, ResponseParserError, UnicodeDecodeError) as error:
        raise _from_botocore(error) from error
    missing = [name for name in wants if name not in answer]
    if missing:
        raise PassingTrouble(f"the answer was cut short: it has no {', '.join(missing)}")
    return answer


def _declare_linear_hash(params: dict[str, Any], **_: Any) -> None:
    params["headers"]["x-amz-content-sha256"] = params["body"].linear_hash


def _from_answer(error: aws.ClientError) -> VaultError:
    details, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    refused = refusal(
        code=details.get("Code", ""),
        message=details.get("Message", ""),
        status=metadata.get("HTTPStatusCode", 0),
        request_id=metadata.get("RequestId", ""),
    )
    if isinstance(refused, ClockWrong):
        refused.message += _clock_error(metadata.get("HTTPHeaders", {}).get("date", ""))
    return refused


def _clock_error(service_date: str) -> str:
    """Say in words how far this clock is from the service's, whose HTTP date this is."""
    try:
        behind = parsedate_to_datetime(service_date) - datetime.now(timezone.utc)
    except (TypeError, ValueError):
        return ""
    minutes = round(behind.total_seconds() / 60)
    return f"; this clock is {abs(minutes)} minutes {'behind' if minutes > 0 else 'ahead'}"


_SIGNED_OUT = (aws.NoCredentialsError, aws.PartialCredentialsError)
_EXPIRED = (
    aws.CredentialRetrievalError,
    aws.NoAuthTokenError,
    aws.SSOError,
    aws.TokenRetrievalError,
)
_NOT_CONNECTED = (
    aws.ConnectTimeoutError,
    aws.EndpointConnectionError,
    aws.ProxyConnectionError,
)


def _from_botocore(error: Exception) -> UploadError:
    cause = error.kwargs.get("error") if isinstance(error, aws.BotoCoreError) else None
    if isinstance(cause, UploadError):
        return cause  # from the body's read, wrapped on its way here
    text, code = str(error), type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        next_step = "check the clock, the CA certificates and any proxy of this machine"
        return NotPermitted(text, code=code, next_step=next_step)
    if isinstance(error, _SIGNED_OUT):
        return NotPermitted(text, code=code, next_step=SIGN_IN)
    if isinstance(error, _EXPIRED):
        return CredentialsExpired(text, code=code, next_step=RENEW)
    if isinstance(error, _NOT_CONNECTED):
        return Unreachable(text, code=code)
    return PassingTrouble(text, code=code)
