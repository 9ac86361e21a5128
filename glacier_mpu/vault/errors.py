"""The errors of the service, and of the way to it.

    VaultError
    ├── TransientError              retried for as long as time allows
    │   ├── TimedOut
    │   │   └── ArrivedLate         the signature had expired on the way
    │   ├── Unreachable
    │   ├── Throttled
    │   ├── ConnectionLost          no call got through for as long as calls are retried
    │   └── ServerError             a 5xx
    │       └── ServiceDown         nothing else came for as long as calls are retried
    ├── HashMismatch                the vault received other bytes than were read
    ├── BareRefusal                 a 400 without an error code
    │   └── NotTheService           an answer of something on the way
    ├── ClockSkew                   this machine's clock is wrong
    ├── Refused                     no, however often it is asked
    │   ├── NotPermitted            wrong or missing credentials
    │   │   ├── AccessDenied
    │   │   ├── AccountNotAccepted
    │   │   ├── CertificateError
    │   │   │   └── BundleUnreadable
    │   │   ├── ProxyUnusable
    │   │   ├── SignatureRefused
    │   │   │   └── CredentialsRejected
    │   │   └── CredentialsExpired
    │   │       └── CredentialsUnobtainable
    │   ├── VaultNotFound
    │   └── UploadNotFound
    ├── CompletionUnknown           nothing tells whether there is an archive
    └── ArchiveMismatch             the archive's hash is not the file's

`vault.refusals` makes them of the service's answers, `vault.failures` of what happens on the line.
What a class does not say of itself is as the class above it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from glacier_mpu.errors import UploadError

# What every service of AWS says of credentials that have run out.
EXPIRED_CODES = ("ExpiredToken", "ExpiredTokenException")


_LONGEST_MESSAGE = 500


def shortened(text: str) -> str:
    """Return what others say as one line that is not too long: a proxy may answer a whole page."""
    return " ".join(text.split())[:_LONGEST_MESSAGE]


@dataclass(eq=False)
class VaultError(UploadError):
    """The vault, or the way to it, said no. `code`, `status` and `request_id` are the service's.

    may_have_executed  the service may have carried the call out all the same
    slows_down         the line or the service had too much to do
    """

    code: str = ""
    status: int = 0
    request_id: str = ""

    may_have_executed: ClassVar[bool] = False
    slows_down: ClassVar[bool] = False


class TransientError(VaultError):
    """The call failed on the way there or back, or the service could not serve it just now."""

    max_tries = 0
    may_have_executed = True
    keeps_upload = True

    def lasting(self) -> UploadError:
        return ConnectionLost(
            f"nothing gets through: {self.message}",
            code=self.code,
            status=self.status,
            request_id=self.request_id,
        )


class TimedOut(TransientError):
    """Nothing moved for too long, on the way there or back."""

    slows_down = True


class ArrivedLate(TimedOut):
    """The signature had expired, and yet the clocks agree: the call was on its way for too long."""

    may_have_executed = False


class Unreachable(TransientError):
    """No connection could be made."""

    may_have_executed = False


class Throttled(TransientError):
    """The service asks for fewer calls, and did nothing."""

    slows_down = True
    may_have_executed = False


class ConnectionLost(TransientError):
    """No call of this run got through for as long as calls are retried."""

    max_tries = 1
    every_block_alike = True


class ServerError(TransientError):
    """The service answered with a 5xx."""

    keeps_upload = False

    def lasting(self) -> UploadError:
        return ServiceDown(
            f"the service only answers with errors: {self.message}",
            code=self.code,
            status=self.status,
            request_id=self.request_id,
        )


class ServiceDown(ServerError):
    """The service answered every call of this run by a 5xx for as long as calls are retried."""

    max_tries = 1
    every_block_alike = True


class HashMismatch(VaultError):
    """The vault received other bytes than were read here: once the line may be at fault."""

    max_tries = 2
    keeps_upload = True


class BareRefusal(VaultError):
    """A 400 without an error code: on parts, one was seen to pass when it was sent again."""

    max_tries = 5


class NotTheService(BareRefusal):
    """An answer that does not come from the service but from something on the way to it."""

    keeps_upload = True


class ClockSkew(VaultError):
    """The signature's time is more than five minutes off the service's."""

    max_tries = 2  # a machine that slept between signing and sending meets this once
    every_block_alike = True
    keeps_upload = True


class Refused(VaultError):
    """The service will not carry this call out, however often it is asked."""


class NotPermitted(Refused):
    """Credentials are missing or wrong, or something else that is set up here."""

    every_block_alike = True
    keeps_upload = True


class AccessDenied(NotPermitted):
    """The credentials lack the permission for this call on this vault."""


class AccountNotAccepted(NotPermitted):
    """The service is closed to accounts that did not use it before 2025-12-15."""


class CertificateError(NotPermitted):
    """Whatever answers has no certificate of the service: a captive portal, or a proxy."""


class BundleUnreadable(CertificateError):
    """The file of the authorities that are trusted is missing or broken."""


class ProxyUnusable(NotPermitted):
    """The proxy wants other credentials, or does not speak what its address says."""


class SignatureRefused(NotPermitted):
    """The key, the token or the signature is not accepted."""


class CredentialsRejected(SignatureRefused):
    """The key or the signature is not accepted any more, though it was earlier in this run."""

    max_tries = 12  # over some three minutes: a lone refusal was seen to pass


@dataclass(eq=False)
class CredentialsExpired(NotPermitted):
    """Temporary credentials have run out; they may be renewed while the run waits.

    profile  whose they are, if one was named
    """

    profile: str = field(default="", kw_only=True)

    max_tries = 0
    retry_every_seconds = 30


class CredentialsUnobtainable(CredentialsExpired):
    """What hands out the credentials gave none; it may when asked again."""


class VaultNotFound(Refused):
    """There is no such vault."""

    every_block_alike = True


class UploadNotFound(Refused):
    """There is no such open upload: completed, aborted, expired, or never there."""

    every_block_alike = True


@dataclass(eq=False)
class CompletionUnknown(VaultError):
    """Nothing tells whether the upload is an archive now, or is about to be one.

    sent  completion was sent and the upload is gone: the archive is very probably stored
    gone  the upload is known not to be open any more
    """

    sent: bool = field(kw_only=True)
    gone: bool = field(default=True, kw_only=True)


@dataclass(eq=False)
class ArchiveMismatch(VaultError):
    """An archive was stored, and the vault's `tree_hash` of it (hex) is not the file's."""

    archive_id: str = field(kw_only=True)
    location: str = field(kw_only=True)
    size: int = field(kw_only=True)
    tree_hash: str = field(kw_only=True)
