"""What to do next, in words for each error. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from glacier_mpu.cli.aws_cli import AwsCli
from glacier_mpu.cli.figures import as_size
from glacier_mpu.cli.options import UsageError
from glacier_mpu.errors import (
    AddressInvalid,
    BlockSizeMismatch,
    BlocksOutsideFile,
    BundleInvalid,
    CommandFailed,
    CommandUnusable,
    FileTooShort,
    InternalError,
    NotTheWholeFile,
    ProxyInvalid,
    RegionMissing,
    RegionMistyped,
    SourceChanged,
    SourceIsFolder,
    SourceIsStream,
    SourceUnreadable,
    SpoolDamaged,
    SpoolFull,
    SpoolUnusable,
    StreamBroken,
    StreamDiffers,
    StreamEmpty,
    StreamTooLong,
    StreamTooShort,
    TooManyBlocks,
    TooManySlots,
    UploadError,
)
from glacier_mpu.source.blocks import LARGEST_BLOCK, MIB, MOST_BLOCKS
from glacier_mpu.vault.errors import (
    AccessDenied,
    AccountNotAccepted,
    ArchiveMismatch,
    BundleUnreadable,
    CertificateError,
    ClockSkew,
    ConnectionLost,
    CredentialsExpired,
    CredentialsRejected,
    HashMismatch,
    NotPermitted,
    NotTheService,
    ProxyUnusable,
    ServiceDown,
    TransientError,
    UploadNotFound,
    VaultNotFound,
)

T = TypeVar("T")

_READ_AGAIN = "it is read from its beginning, and what is stored alike is not sent again"
PROXY_STEP = "check the proxy's address in HTTPS_PROXY"
BUNDLE_STEP = (
    "check the file that AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or the profile's ca_bundle names"
)


def renewal(error: CredentialsExpired) -> str:
    """Say how to renew the credentials."""
    login = AwsCli(profile=error.profile).command("sso", "login")
    return f"renew the credentials ({login}, or however you obtained them)"


def _no_such_vault(_: VaultNotFound, aws: AwsCli) -> str:
    return (
        "check --vault, --region and --account-id, or create the vault: "
        f"{aws.glacier('create-vault')}"
    )


def _no_such_upload(_: UploadNotFound, aws: AwsCli) -> str:
    """Say what may have become of the upload, and how to list those that are open."""
    step = (
        "it was completed or aborted, or expired after a day without activity, unless the id is "
        "wrong; to start a new upload, leave out --upload-id"
    )
    if aws.rehearses:
        return step
    return f"{step}; to list the open ones, run: {aws.glacier('list-multipart-uploads')}"


def _no_credentials(_: NotPermitted, aws: AwsCli) -> str:
    return (
        f"set up credentials ({aws.command('configure')}, or --profile), and check them with: "
        f"{aws.command('sts', 'get-caller-identity')}"
    )


def _no_connection(error: ConnectionLost, _: AwsCli) -> str:
    return PROXY_STEP if is_of_the_proxy(error) else ""


def _too_many_slots(error: TooManySlots, _: AwsCli) -> str:
    more = "allow more open files (ulimit -n)"
    return f"use --threads {error.most}, or {more}" if error.most else more


def _no_spool(error: SpoolUnusable, _: AwsCli) -> str:
    return (
        f"give --spool a folder on a disk that has room for {as_size(error.needed)}, or use a "
        "smaller --blocksize or fewer --threads"
    )


def _too_long(error: StreamTooLong, aws: AwsCli) -> str:
    """Say what the stream fits into, and what becomes of the upload that it does not fit into."""
    larger = 2 * error.block_size
    if larger > LARGEST_BLOCK:
        return f"Glacier takes no larger archive: upload it in several{_abort(aws)}"
    return (
        f"start a new upload with a larger --expected-size, or with --blocksize {larger // MIB}, "
        f"which holds {as_size(larger * MOST_BLOCKS)}{_abort(aws)}"
    )


def _too_short(_: StreamTooShort, aws: AwsCli) -> str:
    return (
        "with this stream the upload can never be completed: check that it is whole, and the one "
        "that was begun; to start a new upload, leave out --upload-id or --resume"
        f"{_abort(aws)}"
    )


def _abort(aws: AwsCli) -> str:
    """Say how the open upload is aborted, if there is one that others can reach."""
    if not aws.upload_id or aws.rehearses:
        return ""
    command = aws.glacier("abort-multipart-upload", f"--upload-id={aws.upload_id}")
    return f"; to abort the open one, run: {command}"


# The entry of the most specific class counts. A text, or a function of the error and the vault.
_STEPS: dict[type, str | Callable[[Any, AwsCli], str]] = {
    UsageError: lambda error, _: str(error.next_step),
    SourceIsFolder: "pack it into one file first, for example with tar or zip, and upload that",
    SourceIsStream: "pipe the content in, for example with cat or dd, and use --source-path -",
    StreamEmpty: "check the program that writes it",
    CommandUnusable: "check the command's name, and that it may be run",
    SpoolUnusable: _no_spool,
    TooManyBlocks: lambda error, _: f"use --blocksize {error.smallest // MIB} or larger",
    BlocksOutsideFile: "choose --start and --end among these, with --start not above --end",
    NotTheWholeFile: "add --finish-upload False to keep the upload open for the other blocks",
    BlockSizeMismatch: "leave out --blocksize: an open upload keeps its own",
    FileTooShort: (
        "check --source-path and --upload-id: they do not belong together; to start a new upload, "
        "leave out --upload-id"
    ),
    StreamTooShort: _too_short,
    RegionMissing: "add --region, or set AWS_DEFAULT_REGION",
    RegionMistyped: lambda error, _: (
        f"did you mean --region {error.nearest}?" if error.nearest else "check --region"
    ),
    AddressInvalid: "check --profile, --region and --endpoint-url",
    ProxyInvalid: "set HTTPS_PROXY (and HTTP_PROXY) to an address such as http://proxy:3128",
    BundleInvalid: BUNDLE_STEP,
    TooManySlots: _too_many_slots,
    InternalError: "this is a bug: please report it, with the lines above",
    SourceUnreadable: "check the disk (its cable, its health, its mount), then resume",
    SourceChanged: (
        "nothing was completed; once the file no longer changes, resume: only the blocks that "
        "differ are sent"
    ),
    SpoolFull: "make room there, or give --spool another folder, then resume",
    SpoolDamaged: "check that disk and this machine's memory, then resume",
    StreamBroken: f"check where the stream comes from, then resume: {_READ_AGAIN}",
    CommandFailed: (
        "nothing was completed; check the command, then resume: its output is read from its "
        "beginning, and what is stored alike is not sent again"
    ),
    StreamTooLong: _too_long,
    StreamDiffers: (
        "nothing was overwritten; give the stream with which the upload was begun, or start a new "
        "upload without --upload-id or --resume; to send this one to the open upload all the same, "
        "add --overwrite"
    ),
    HashMismatch: (
        "the file's disk, this machine's memory or the network corrupts data; check them, then "
        "resume"
    ),
    NotTheService: (
        "something between this machine and AWS answered instead; check the proxy, or the "
        "network's log-in page"
    ),
    ClockSkew: "set this machine's clock, then resume",
    NotPermitted: _no_credentials,
    AccessDenied: lambda _, aws: (
        f"allow this on the vault {aws.vault} in the IAM policy (docs/permissions.md has all that "
        "is needed)"
    ),
    AccountNotAccepted: (
        "since 2025-12-15 AWS accepts only accounts that already store something in vaults; use "
        "such an account"
    ),
    CertificateError: "check this machine's clock, its CA certificates, and any proxy on the way",
    BundleUnreadable: BUNDLE_STEP,
    ProxyUnusable: "check the proxy's address, user and password in HTTPS_PROXY",
    CredentialsExpired: lambda error, _: f"{renewal(error)}, then resume",
    ConnectionLost: _no_connection,
    VaultNotFound: _no_such_vault,
    UploadNotFound: _no_such_upload,
    ArchiveMismatch: "do not rely on this archive: upload the file again, then delete this one",
}

# What has to be so before the same command can help, where no upload was started. Likewise.
_RUN_AGAIN_ONCE: dict[type, str] = {
    TransientError: "the network and the service are back",
    ConnectionLost: "the connection is back",
    ServiceDown: "the service is back",
    SourceUnreadable: "the file can be read",
    SpoolFull: "there is room in the spool",
    StreamBroken: "the stream can be read",
    CommandFailed: "the command succeeds",
    CredentialsExpired: "the credentials are renewed",
    CredentialsRejected: "the credentials are accepted",
}


def next_step(error: UploadError, aws: AwsCli) -> str:
    """Return what to do about the error; empty where its message says it, or the ending does."""
    step = _most_specific(_STEPS, error, otherwise="")
    return step if isinstance(step, str) else step(error, aws)


def error_lines(error: UploadError, aws: AwsCli) -> list[str]:
    """Return what went wrong and what to do next, a line each."""
    return [line for line in (error.message, next_step(error, aws)) if line]


def run_again_once(error: UploadError | None) -> str:
    """Return what has to be so before the same command helps; empty where it never does."""
    return _most_specific(_RUN_AGAIN_ONCE, error, otherwise="")


def is_of_the_proxy(error: UploadError) -> bool:
    """Tell whether the proxy could not be reached: its address may be wrong."""
    return isinstance(error, TransientError) and error.code == "ProxyConnectionError"


def _most_specific(table: Mapping[type, T], error: object, *, otherwise: T) -> T:
    return next((table[kind] for kind in type(error).__mro__ if kind in table), otherwise)
