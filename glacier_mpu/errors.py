"""What can go wrong, and what to do next.

Every error carries its message, the next step for the person who reads it, and the exit code that a
shell script sees. Nothing here does I/O.
"""

from __future__ import annotations

from enum import IntEnum

from glacier_mpu.vault.archive import Archive


class ExitCode(IntEnum):
    """Exit status of both scripts, named by what the caller can do next.

    A run that a signal interrupts exits with 128 + the signal's number instead.
    """

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    OPEN = 3
    UNKNOWN = 4


class UploadError(Exception):
    """Trouble that is told to the user in words, without a traceback.

    keeps_upload       an open upload is worth keeping whatever the flags say: the trouble lies on
                       this side of the line, and is gone once the user has dealt with it
    every_block_alike  every other block would meet the same
    """

    exit_code = ExitCode.FAILED
    keeps_upload = False
    every_block_alike = False

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


class BadInput(UploadError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.BAD_INPUT
    keeps_upload = True


class Unforeseen(UploadError):
    """A fault of this program. The traceback of its cause is shown."""

    keeps_upload = True

    @classmethod
    def of(cls, bug: Exception) -> Unforeseen:
        """Wrap what nobody foresaw."""
        error = cls(
            f"a fault of this program: {type(bug).__name__}: {bug}",
            next_step="please report it, with the lines above",
        )
        error.__cause__ = bug
        return error


class SourceUnreadable(UploadError):
    """The local file, or a part of it, cannot be read."""

    keeps_upload = True


class SourceChanged(UploadError):
    """The local file is not the one that the upload began with."""

    keeps_upload = True
    every_block_alike = True


class Incomplete(UploadError):
    """Blocks that completion needs are not stored, or not as the file has them."""

    keeps_upload = True


class VaultError(UploadError):
    """The vault, or the way to it, said no. `code`, `status` and `request_id` are the service's.

    most_tries        how often one call is tried that ends like this: 0 is as long as time allows
    may_have_arrived  the call may have done its work all the same
    slows_down        the line or the service had too much to do
    """

    most_tries = 1
    slows_down = False
    may_have_arrived = False

    def __init__(
        self,
        message: str,
        *,
        next_step: str = "",
        code: str = "",
        status: int = 0,
        request_id: str = "",
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.code = code
        self.status = status
        self.request_id = request_id


class PassingTrouble(VaultError):
    """The call failed on the way there or back, or the service could not serve it just now."""

    most_tries = 0
    may_have_arrived = True


class TimedOut(PassingTrouble):
    """Nothing moved for too long, on the way there or back."""

    slows_down = True


class Unreachable(PassingTrouble):
    """No connection could be made."""

    may_have_arrived = False


class Throttled(PassingTrouble):
    """The service asks for fewer calls, and did nothing."""

    slows_down = True
    may_have_arrived = False


class HashMismatch(VaultError):
    """The vault received other bytes than were read here: once is the line's fault, twice not."""

    most_tries = 2


class BareRefusal(VaultError):
    """A 400 without an error code: on parts, one was seen to pass when it was sent again."""

    most_tries = 5


class NotTheService(BareRefusal):
    """An answer that is none of the service's, from something on the way to it."""

    keeps_upload = True


class Refused(VaultError):
    """The service will not do this call, however often it is asked."""


class NotPermitted(Refused):
    """Credentials are missing, wrong, without the permission, or the service is closed to them."""

    every_block_alike = True


class Untrusted(NotPermitted):
    """Whatever answers has no certificate of the service, as a captive portal has none."""

    keeps_upload = True


class CredentialsExpired(NotPermitted):
    """Temporary credentials ran out on the way."""

    keeps_upload = True


class CredentialsUnobtainable(CredentialsExpired):
    """What hands out the credentials did not answer, perhaps in passing."""

    most_tries = 5


class ClockWrong(VaultError):
    """The signature's time is more than five minutes off the service's.

    Tried twice: a machine that slept between signing and sending meets this once.
    """

    most_tries = 2
    every_block_alike = True
    keeps_upload = True


class VaultMissing(Refused):
    """There is no such vault."""

    every_block_alike = True


class UploadGone(Refused):
    """There is no such open upload: completed, aborted, expired, or never there."""

    every_block_alike = True


class CompletionUnknown(VaultError):
    """The upload is not there to go on with, and nothing tells whether it is an archive now.

    `sent`: completion was, and the answer lost, so the archive is very probably stored. `gone`: the
    upload is known not to be open any more.
    """

    exit_code = ExitCode.UNKNOWN

    def __init__(self, message: str, *, sent: bool, gone: bool = True) -> None:
        super().__init__(message)
        self.sent = sent
        self.gone = gone


class ArchiveDiffers(VaultError):
    """An archive was stored, and the vault's tree hash of it is not the file's."""

    def __init__(self, archive: Archive, tree_hash: str) -> None:
        super().__init__(
            f"archive {archive.archive_id} was stored, but the vault gives its tree hash as "
            f"{archive.tree_hash} and the file's is {tree_hash}",
            next_step="do not rely on this archive; upload the file again, then delete it",
        )
        self.archive = archive


class Stopped(BaseException):
    """The run was asked to stop.

    No Exception: botocore wraps an Exception that a body's `read` raises as if the connection had
    broken, while a BaseException passes straight through.
    """
