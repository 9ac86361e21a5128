"""The errors that are told to the user in words; those of the service are in vault/errors.py.

    UploadError
    ├── BadInput                        the request cannot be carried out as it stands
    │   ├── SourceIsFolder
    │   ├── SourceIsStream
    │   ├── StreamEmpty
    │   ├── CommandUnusable
    │   ├── SpoolUnusable
    │   ├── TooManyBlocks
    │   ├── BlocksOutsideFile
    │   ├── NotTheWholeFile
    │   ├── BlockSizeMismatch
    │   ├── FileTooShort
    │   │   └── StreamTooShort
    │   ├── RegionMissing
    │   ├── RegionMistyped
    │   ├── AddressInvalid
    │   ├── ProxyInvalid
    │   ├── BundleInvalid
    │   └── TooManySlots
    ├── InternalError                   a fault of this program
    ├── SourceUnreadable                the local file, or a part of it, cannot be read
    │   ├── SourceLost                  nothing of it could be read for as long as it is retried
    │   └── SpoolFull                   there is no room for a block of the stream
    │       └── SpoolLost               there was none for as long as it is retried
    ├── SourceChanged                   the local file is not the one that the upload began with
    │   └── SpoolDamaged                the spool gives other bytes than were written to it
    ├── StreamBroken                    the stream cannot be read to its end
    ├── CommandFailed                   the command whose output is uploaded has failed
    ├── StreamTooLong                   the stream has more blocks than Glacier takes
    ├── StreamDiffers                   the stream is not the one that is stored
    ├── BlocksMissing                   completion needs blocks that are not stored
    └── VaultError                      the service, or the way to it, said no: see vault/errors.py

An error carries facts, and its message names no flag: `cli` derives what to do next and the exit
code from the class. Errors cross processes: each can be pickled and equals its copy.
"""

from __future__ import annotations

import copyreg
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

_SECRETS = re.compile(
    r"(?i)((?:Signature|Credential)=|x-amz-security-token[:=]\s*|Invalid header value "
    r"|(?:secret_?access_?key|session_?token)['\"]?\s*[:=]\s*)[^,\s]+"
    r"|(//)[^/@\s]+(?=@)"
)


def redacted(text: str) -> str:
    """Return the text without credentials and signatures: some refusals echo the request."""
    return _SECRETS.sub(r"\1\2(hidden)", text)


def quoted(name: str) -> str:
    """Return a name in quotes, for a message: only what cannot be printed is escaped.

    repr() would double each backslash of a Windows path, which could then not be copied from there.
    """
    mark = '"' if "'" in name else "'"
    shown = (letter if letter.isprintable() else repr(letter)[1:-1] for letter in name)
    return f"{mark}{''.join(shown)}{mark}"


@dataclass(eq=False)
class UploadError(Exception):
    """Base of them all.

    keeps_upload         the trouble lies on this side of the line: the upload is kept in any case
    every_block_alike    every other block would meet the same
    max_tries            how often is tried what ends like this: 0 is as long as time allows
    retry_every_seconds  between two tries, the first of which follows at once; 0 is growing waits
    """

    message: str

    keeps_upload: ClassVar[bool] = False
    every_block_alike: ClassVar[bool] = False
    max_tries: ClassVar[int] = 1
    retry_every_seconds: ClassVar[float] = 0

    def __post_init__(self) -> None:
        self.message = redacted(self.message)

    def __str__(self) -> str:
        return self.message

    def lasting(self) -> UploadError:
        """Return the error of a run that met nothing else for as long as this is retried."""
        return self

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


class SourceIsStream(BadInput):
    """The source path names what can only be piped in: a device or a file without a size."""


class StreamEmpty(BadInput):
    """The stream ended before its first byte."""


class CommandUnusable(BadInput):
    """The command whose output is to be uploaded cannot be started."""


@dataclass(eq=False)
class SpoolUnusable(BadInput):
    """The folder for the blocks in hand cannot be used; `needed` bytes of room there would do."""

    needed: int = field(kw_only=True)


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


class StreamTooShort(FileTooShort):
    """The open upload holds data beyond the end of the stream."""


class RegionMissing(BadInput):
    """Neither flags nor configuration name an AWS region."""


@dataclass(eq=False)
class RegionMistyped(BadInput):
    """The region is none, and cannot become one; `nearest` is one that is, or empty."""

    nearest: str = field(kw_only=True)


class AddressInvalid(BadInput):
    """No client can be made from this profile, region or endpoint."""


class ProxyInvalid(BadInput):
    """The address of the proxy makes no sense."""


class BundleInvalid(BadInput):
    """The file of the authorities that are trusted cannot be used."""


@dataclass(eq=False)
class TooManySlots(BadInput):
    """This process may not open enough files for so many blocks at once; `most` would fit."""

    most: int = field(kw_only=True)


class InternalError(UploadError):
    """A fault of this program. The traceback of its cause is shown."""

    keeps_upload = True

    @classmethod
    def of(cls, bug: Exception) -> InternalError:
        """Wrap an exception that nobody expected."""
        error = cls(f"internal error: {type(bug).__name__}: {bug}")
        error.__cause__ = bug
        return error


class SourceUnreadable(UploadError):
    """The local file, or a part of it, cannot be read; a network drive may come back."""

    keeps_upload = True
    max_tries = 0

    def lasting(self) -> UploadError:
        return SourceLost(self.message)


class SourceLost(SourceUnreadable):
    """Nothing of the local file could be read for as long as reading is retried."""

    every_block_alike = True
    max_tries = 1


class SpoolFull(SourceUnreadable):
    """There is no room for a block of the stream; others may make room."""

    def lasting(self) -> UploadError:
        return SpoolLost(self.message)


class SpoolLost(SpoolFull):
    """There was no room for as long as writing is retried."""

    every_block_alike = True
    max_tries = 1


class SourceChanged(UploadError):
    """The local file is not the one that the upload began with."""

    keeps_upload = True
    every_block_alike = True


class SpoolDamaged(SourceChanged):
    """A block that was read from the spool again is not what was written there."""


class StreamBroken(UploadError):
    """The stream cannot be read to its end, and what was read of it cannot be read again."""

    keeps_upload = True
    every_block_alike = True


@dataclass(eq=False)
class CommandFailed(UploadError):
    """The command whose output is uploaded has failed; `said` are its last lines on stderr."""

    said: tuple[str, ...] = field(default=(), kw_only=True)

    keeps_upload: ClassVar[bool] = True
    every_block_alike: ClassVar[bool] = True


@dataclass(eq=False)
class StreamTooLong(UploadError):
    """The stream does not fit into as many blocks as Glacier takes, each of `block_size` bytes."""

    block_size: int = field(kw_only=True)

    keeps_upload: ClassVar[bool] = True
    every_block_alike: ClassVar[bool] = True


class StreamDiffers(UploadError):
    """What is stored of the upload is of another stream, as far as was compared."""

    keeps_upload = True
    every_block_alike = True


class BlocksMissing(UploadError):
    """Blocks that completion needs are not stored, or not as the file has them."""

    keeps_upload = True
