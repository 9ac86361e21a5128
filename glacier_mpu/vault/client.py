"""One call, once: boto3, and what its errors mean. No other room of the uploader knows boto3."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import boto3
from botocore import exceptions as aws
from botocore.config import Config

from glacier_mpu.errors import (
    AddressInvalid,
    RegionMissing,
    UploadError,
)
from glacier_mpu.stop import Waits
from glacier_mpu.vault.errors import (
    CertificateError,
    CredentialsExpired,
    CredentialsUnobtainable,
    NotPermitted,
    TimedOut,
    TransientError,
    Unreachable,
    VaultError,
)
from glacier_mpu.vault.refusals import refusal

if TYPE_CHECKING:
    from mypy_boto3_glacier import GlacierClient

# Of a body, read and sent at a time.
_PIECE_SIZE = 256 << 10


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
    address: Address, *, connections: int, waits: Waits
) -> tuple[GlacierClient, GlacierClient]:
    """Return two clients that try each call once: one for blocks and lists, one for completion.

    The first keeps up to `connections` open; the second waits longer for an answer. Raises
    RegionMissing or AddressInvalid if no client can be made. Calls nothing yet.
    """
    try:
        session = boto3.Session(
            profile_name=address.profile,
            region_name=address.region,
            aws_access_key_id=address.access_key,
            aws_secret_access_key=address.secret_key,
        )
        with _kept_from_the_collector():
            client, patient_client = (
                session.client(
                    "glacier",
                    endpoint_url=address.endpoint_url,
                    config=Config(
                        connect_timeout=waits.connect,
                        read_timeout=read_seconds,
                        max_pool_connections=pool_size,
                        retries={"total_max_attempts": 1},
                        tcp_keepalive=True,
                    ),
                )
                for read_seconds, pool_size in ((waits.read, connections), (waits.complete, 1))
            )
    except aws.NoRegionError as error:
        raise RegionMissing("no AWS region is set") from error
    except (aws.BotoCoreError, OSError, ValueError) as error:
        raise AddressInvalid(f"no connection can be set up: {error}") from error
    # Ahead of botocore's own handler, which would read the whole body once more to hash it.
    client.meta.events.register_first(
        "before-call.glacier.UploadMultipartPart", _declare_linear_hash
    )
    _send_many_records_at_once(client)
    return client, patient_client


@contextmanager
def _kept_from_the_collector() -> Iterator[None]:
    """Keep the garbage collector out: the clients' models live as long as the process.

    Otherwise each collection during the upload looks at all of them again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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
    except aws.ParamValidationError:
        raise  # a fault of this program
    except aws.BotoCoreError as error:
        raise _from_botocore(error) from error
    except OSError as error:  # botocore wraps its own; this is a credential process that is missing
        raise CredentialsUnobtainable(str(error)) from error
    except Exception as error:
        if not _is_the_parsers(error):
            raise
        raise TransientError(f"the answer makes no sense: {error}") from error
    missing = [name for name in wants if name not in answer]
    if missing:
        raise TransientError(f"the answer was cut short: it has no {', '.join(missing)}")
    return answer


def _is_the_parsers(error: Exception) -> bool:
    """Tell whether botocore's parser tripped: over JSON that is no object, say."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return any(frame.f_globals.get("__name__") == "botocore.parsers" for frame in frames)


def _send_many_records_at_once(client: GlacierClient) -> None:
    """Let blocks leave in large pieces, and the TLS records of a piece in one call.

    What is set here lies where botocore keeps its settings, which is no public place: where it is
    not found, and through a proxy, all goes the usual way.
    """
    with suppress(AttributeError, ImportError, KeyError):
        from glacier_mpu.vault.tls import batch_records, pieces_have_a_size

        endpoint = client._endpoint  # type: ignore[attr-defined]  # noqa: SLF001
        settings = endpoint.http_session._manager.connection_pool_kw  # noqa: SLF001
        if pieces_have_a_size():
            settings["blocksize"] = _PIECE_SIZE
            batch_records(settings["ssl_context"])


def _declare_linear_hash(params: dict[str, Any], **_: Any) -> None:
    params["headers"]["x-amz-content-sha256"] = params["body"].linear_hash


def _from_answer(error: aws.ClientError) -> VaultError:
    details, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    return refusal(
        code=details.get("Code") or "",
        message=details.get("Message") or "",
        status=metadata.get("HTTPStatusCode", 0),
        request_id=metadata.get("RequestId") or "",
        minutes_behind=_minutes_behind(metadata.get("HTTPHeaders", {}).get("date", "")),
    )


def _minutes_behind(service_date: str) -> int:
    """Return how far this clock is behind the service's, whose HTTP date this is; 0 if unknown."""
    try:
        behind = parsedate_to_datetime(service_date) - datetime.now(timezone.utc)
    except (TypeError, ValueError):
        return 0
    return round(behind.total_seconds() / 60)


# What OpenSSL says of a certificate that is not trusted, and urllib3 of one for another host.
_UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "doesn't match")
_NOT_CONNECTED = (
    aws.ConnectTimeoutError,
    aws.EndpointConnectionError,
    aws.ProxyConnectionError,
)
_LINE_BROKE = (aws.HTTPClientError, aws.ConnectionError, aws.IncompleteReadError)
_NO_ANSWER_ON_CREDENTIALS = (aws.CredentialRetrievalError, aws.MetadataRetrievalError)
_LOGGED_OUT = (aws.NoAuthTokenError, aws.SSOError, aws.TokenRetrievalError)


def _from_botocore(error: aws.BotoCoreError) -> UploadError:
    cause = error.kwargs.get("error")
    if isinstance(cause, UploadError):
        return cause  # from the body's read, wrapped on its way here
    text, code = str(error), type(error).__name__
    if "Invalid header value" in text:
        return NotPermitted("a credential holds a line break", code=code)
    if isinstance(error, aws.SSLError) and any(sign in text for sign in _UNTRUSTED):
        return CertificateError(text, code=code)
    if isinstance(error, _NOT_CONNECTED):
        return Unreachable(text, code=code)
    if isinstance(error, aws.ReadTimeoutError):
        return TimedOut(text, code=code)
    if isinstance(error, _LINE_BROKE):
        return TransientError(text, code=code)
    if isinstance(error, _NO_ANSWER_ON_CREDENTIALS):
        return CredentialsUnobtainable(text, code=code)
    if (
        isinstance(error, _LOGGED_OUT) or "Login" in code
    ):  # those are newer than the oldest botocore supported
        return CredentialsExpired(text, code=code)
    return NotPermitted(text, code=code)
