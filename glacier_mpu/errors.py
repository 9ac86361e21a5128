"""Every error that is told to the user in words.

    UploadError
    ├── BadInput                        the request cannot be carried out as it stands
    │   ├── SourceIsFolder
    │   ├── TooManyBlocks
    │   ├── BlocksOutsideFile
    │   ├── NotTheWholeFile
    │   ├── BlockSizeMismatch
    │   ├── FileTooShort
    │   ├── RegionMissing
    │   └── AddressInvalid
    ├── InternalError                   a fault of this program
    ├── SourceUnreadable                the local file cannot be read
    ├── SourceChanged                   the local file is not the one that the upload began with
    ├── BlocksMissing                   completion needs blocks that are not stored
    └── VaultError                      the service, or the way to it, said no
        ├── TransientError              retried for as long as time allows
        │   ├── TimedOut
        │   ├── Unreachable
        │   └── Throttled
        ├── HashMismatch                the vault received other bytes than were read
        ├── BareRefusal                 a 400 without an error code
        │   └── NotTheService           an answer of something on the way
        ├── ClockSkew                   this machine's clock is wrong
        ├── Refused                     no, however often it is asked
        │   ├── NotPermitted            wrong or missing credentials
        │   │   ├── AccessDenied
        │   │   ├── AccountNotAccepted
        │   │   ├── CertificateError
        │   │   └── CredentialsExpired
        │   │       └── CredentialsUnobtainable
        │   ├── VaultNotFound
        │   └── UploadNotFound
        ├── CompletionUnknown           nothing tells whether there is an archive
        └── ArchiveMismatch             the archive's hash is not the file's

An error carries facts, and its message names no flag: `cli` derives what to do next and the exit
code from the class. Errors cross processes: each can be pickled and equals its copy.
"""

from __future__ import annotations

import copyreg
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

_SECRETS = re.compile(
    r"(?i)((?:Signature|Credential)=|x-amz-security-token[:=]\s*|Invalid header value )[^,\s]+"
    r"|(//)[^/@\s]+(?=@)"
)


def redacted(text: str) -> str:
    """Return the text without credentials and signatures: some refusals echo the request."""
    return _SECRETS.sub(r"\1\2(hidden)", text)


@dataclass(eq=False)
class UploadError(Exception):
    """Base of them all.

    keeps_upload       the trouble lies on this side of the line: the upload is kept in any case
    every_block_alike  every other block would meet the same
    """

    message: str

    keeps_upload: ClassVar[bool] = False
    every_block_alike: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.message = redacted(self.message)

    def __str__(self) -> str:
        return self.message

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), self.message))

    # Exceptions are pickled by their positional arguments, which these do not always have.
    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), self.__dict__  # type: ignore[attr-defined]


class BadInput(UploadError):
    """What is asked for cannot be."""

    keeps_upload = True


class SourceIsFolder(BadInput):
    """The source path names a folder."""


@dataclass(eq=False)
class TooManyBlocks(BadInput):
    """The blocks are too small for the file; those of `smallest` bytes are the first that fit."""

    smallest: int = field(kw_only=True)


class BlocksOutsideFile(BadInput):
    """The range of blocks is empty or leaves the file."""


class NotTheWholeFile(BadInput):
    """An archive is asked for, of a new upload that would get only some of the file's blocks."""


class BlockSizeMismatch(BadInput):
    """Another block size is asked for than the open upload has."""


class FileTooShort(BadInput):
    """The open upload holds data beyond the end of the file."""


class RegionMissing(BadInput):
    """Neither flags nor configuration name an AWS region."""


class AddressInvalid(BadInput):
    """No client can be made from this profile, region or endpoint."""


class InternalError(UploadError):
    """A fault of this program. The traceback of its cause is shown."""

    keeps_upload = True

    @classmethod
    def of(cls, bug: Exception) -> InternalError:
        """Wrap an exception that nobody expected."""
        error = cls(f"a fault of this program: {type(bug).__name__}: {bug}")
        error.__cause__ = bug
        return error


class SourceUnreadable(UploadError):
    """The local file, or a part of it, cannot be read."""

    keeps_upload = True


class SourceChanged(UploadError):
    """The local file is not the one that the upload began with."""

    keeps_upload = True
    every_block_alike = True


class BlocksMissing(UploadError):
    """Blocks that completion needs are not stored, or not as the file has them."""

    keeps_upload = True


@dataclass(eq=False)
class VaultError(UploadError):
    """The vault, or the way to it, said no. `code`, `status` and `request_id` are the service's.

    max_tries          how often one call is tried that ends like this: 0 is as long as time allows
    may_have_executed  the service may have carried the call out all the same
    slows_down         the line or the service had too much to do
    """

    code: str = ""
    status: int = 0
    request_id: str = ""

    max_tries: ClassVar[int] = 1
    may_have_executed: ClassVar[bool] = False
    slows_down: ClassVar[bool] = False


class TransientError(VaultError):
    """The call failed on the way there or back, or the service could not serve it just now."""

    max_tries = 0
    may_have_executed = True


class TimedOut(TransientError):
    """Nothing moved for too long, on the way there or back."""

    slows_down = True


class Unreachable(TransientError):
    """No connection could be made."""

    may_have_executed = False


class Throttled(TransientError):
    """The service asks for fewer calls, and did nothing."""

    slows_down = True
    may_have_executed = False


class HashMismatch(VaultError):
    """The vault received other bytes than were read here: once the line may be at fault."""

    max_tries = 2


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
    """Credentials are missing or wrong."""

    every_block_alike = True


class AccessDenied(NotPermitted):
    """The credentials lack the permission for this call on this vault."""


class AccountNotAccepted(NotPermitted):
    """The service is closed to accounts that did not use it before 2025-12-15."""


class CertificateError(NotPermitted):
    """Whatever answers has no certificate of the service: a captive portal, or a proxy."""

    keeps_upload = True


class CredentialsExpired(NotPermitted):
    """Temporary credentials ran out during the run."""

    keeps_upload = True


class CredentialsUnobtainable(CredentialsExpired):
    """What hands out the credentials did not answer; it may answer when asked again."""

    max_tries = 5


class VaultNotFound(Refused):
    """There is no such vault."""

    every_block_alike = True


class UploadNotFound(Refused):
    """There is no such open upload: completed, aborted, expired, or never there."""

    every_block_alike = True


@dataclass(eq=False)
class CompletionUnknown(VaultError):
    """The upload is not there to be resumed, and nothing tells whether it is an archive now.

    sent  completion was sent and its answer lost: the archive is very probably stored
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
