"""What it means that no answer of the service came: botocore's errors, each with its reason."""

from __future__ import annotations

import re
import socket
import ssl
from http.client import HTTPException, RemoteDisconnected
from urllib.parse import urlsplit

from botocore import exceptions as aws

from glacier_mpu.errors import UploadError
from glacier_mpu.vault.errors import (
    EXPIRED_CODES,
    BundleUnreadable,
    CertificateError,
    CredentialsExpired,
    CredentialsUnobtainable,
    NotPermitted,
    NotTheService,
    ProxyUnusable,
    TimedOut,
    TransientError,
    Unreachable,
    VaultError,
    shortened,
)

# What OpenSSL says of a certificate that is not trusted, and urllib3 of one for another host.
_UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "doesn't match")
_NOT_CONNECTED = (
    aws.ConnectTimeoutError,
    aws.EndpointConnectionError,
    aws.ProxyConnectionError,
)
_LINE_BROKE = (
    aws.HTTPClientError,
    aws.ConnectionError,
    aws.IncompleteReadError,
)
_NO_ANSWER_ON_CREDENTIALS = (aws.CredentialRetrievalError, aws.MetadataRetrievalError)
_LOGGED_OUT = (aws.NoAuthTokenError, aws.SSOError, aws.TokenRetrievalError)
# Of the services that hand out credentials. Sources: the errors of STS, SSO and SSO OIDC.
_EXPIRED = (*EXPIRED_CODES, "InvalidGrantException", "UnauthorizedException")
# How http.client says that a proxy did not let a connection through.
_REFUSED_BY_PROXY = re.compile(r"Tunnel connection failed: (\d{3}.*)")
_NAME_NOT_KNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (RemoteDisconnected, "closed without an answer"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "connection reset"),
    (BrokenPipeError, "connection closed"),
    (TimeoutError, "timed out"),
)


def from_botocore(error: aws.BotoCoreError) -> UploadError:
    """Return the error that one of botocore's stands for; its name is the code."""
    cause = error.kwargs.get("error")
    if isinstance(cause, UploadError):
        return cause  # from the body's read, wrapped on its way here
    code = type(error).__name__
    if "Invalid header value" in str(error):
        return NotPermitted("the credentials contain a line break", code=code)
    if isinstance(error, (*_NOT_CONNECTED, *_LINE_BROKE)):
        kind, reason = _of_the_line(error)
        return kind(f"{_peer(error)}{reason}", code=code)
    return _of_credentials(error)(shortened(str(error)), code=code)


def from_chain(error: Exception) -> UploadError:
    """Return the error that one of the chain which finds the credentials stands for.

    What it says is left out where its author is not known: it may hold what was to stay secret.
    """
    if isinstance(error, UploadError):
        return error
    if isinstance(error, aws.ClientError):
        return _from_another_service(error)
    if isinstance(error, aws.BotoCoreError):
        meant = from_botocore(error)
        if isinstance(meant, TransientError):  # and the vault's own call was not even sent
            return Unreachable(f"no credentials: {meant.message}", code=meant.code)
        return meant
    if isinstance(error, OSError):  # a credential process that is missing
        return CredentialsUnobtainable(str(error))
    if isinstance(error, RuntimeError):  # what botocore says of them when they were just fetched
        return CredentialsExpired("the credentials that were obtained have already expired")
    return CredentialsUnobtainable(
        f"no credentials: their provider gave an invalid answer ({type(error).__name__})"
    )


def _from_another_service(error: aws.ClientError) -> VaultError:
    """Return what an answer on the credentials means: it says nothing of the vault."""
    details, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code = details.get("Code") or ""
    kind = CredentialsExpired if code in _EXPIRED else CredentialsUnobtainable
    return kind(
        shortened(f"{error.operation_name}: {code}: {details.get('Message') or 'no message'}"),
        code=code,
        status=metadata.get("HTTPStatusCode", 0),
        request_id=metadata.get("RequestId") or "",
    )


def _of_credentials(error: aws.BotoCoreError) -> type[VaultError]:
    if isinstance(error, _NO_ANSWER_ON_CREDENTIALS):
        return CredentialsUnobtainable
    # Those of a login are newer than the oldest botocore supported.
    if isinstance(error, _LOGGED_OUT) or "Login" in type(error).__name__:
        return CredentialsExpired
    return NotPermitted


def _of_the_line(error: aws.BotoCoreError) -> tuple[type[VaultError], str]:
    cause = _innermost(error)
    if match := _REFUSED_BY_PROXY.search(str(cause)):
        return _refused_by_proxy(match[1]), match[1]
    reason = in_few_words(cause)
    if any(sign in str(cause) for sign in _UNTRUSTED):
        return CertificateError, reason
    if isinstance(error, aws.SSLError) and _is_the_bundle(cause):
        return BundleUnreadable, f"the CA bundle cannot be read: {reason}"
    if isinstance(error, aws.ProxyConnectionError) and _is_plain_text(cause):
        return ProxyUnusable, "does not speak TLS, though its address begins with https"
    if isinstance(error, _NOT_CONNECTED):
        return Unreachable, reason
    if isinstance(error, aws.ReadTimeoutError) or isinstance(cause, TimeoutError):
        return TimedOut, reason
    return TransientError, reason


def _refused_by_proxy(answer: str) -> type[VaultError]:
    if answer.startswith("407"):
        return ProxyUnusable
    return Unreachable if answer.startswith("5") else NotTheService


def _is_the_bundle(cause: BaseException) -> bool:
    """Tell whether the trusted authorities could not be loaded, which happens once connected."""
    if isinstance(cause, ssl.SSLError):
        return getattr(cause, "library", None) == "X509"
    return isinstance(cause, OSError)


def _is_plain_text(cause: BaseException) -> bool:
    """Tell whether TLS was begun with somebody who does not speak it, by what OpenSSL says then."""
    return getattr(cause, "reason", None) in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")


def _innermost(error: BaseException) -> BaseException:
    """Return what began it: an error of the system or of HTTP, below botocore's and urllib3's."""
    # Some of botocore's are an OSError, too.
    while isinstance(error, aws.BotoCoreError) or not isinstance(error, OSError | HTTPException):
        below = _below(error)
        if below is None:
            break
        error = below
    return error


def _below(error: BaseException) -> BaseException | None:
    """Return what an error wraps; urllib3 1.26 and 2 say it in different ways."""
    inside = error.kwargs.get("error") if isinstance(error, aws.BotoCoreError) else None
    wrapped = (inside, *error.args, error.__cause__, error.__context__)
    return next((one for one in wrapped if isinstance(one, BaseException)), None)


def in_few_words(cause: BaseException) -> str:
    """Say it in a few words, the same on every system."""
    if isinstance(cause, aws.ReadTimeoutError | aws.ConnectTimeoutError):
        return "timed out"
    if isinstance(cause, socket.gaierror):
        return "name not known" if cause.errno in _NAME_NOT_KNOWN else "name lookup failed"
    for kind, words in _REASONS:
        if isinstance(cause, kind):
            return words
    if isinstance(cause, ssl.SSLError):
        why = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or str(cause)
        return f"TLS: {why.replace('_', ' ').lower() if why.isupper() else why}"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror[0].lower() + cause.strerror[1:]
    return shortened(str(cause) or type(cause).__name__)


def _peer(error: aws.BotoCoreError) -> str:
    """Say who was called, where it is known: host and port, without a password."""
    for name, title in (("proxy_url", "proxy "), ("endpoint_url", "")):
        if url := error.kwargs.get(name):
            return f"{title}{urlsplit(str(url)).netloc.rpartition('@')[2]}: "
    return ""
