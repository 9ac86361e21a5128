"""What to do next, in words for each error. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from glacier_mpu.cli.aws_cli import AwsCli
from glacier_mpu.cli.options import UsageError
from glacier_mpu.errors import (
    AddressInvalid,
    BlockSizeMismatch,
    BlocksOutsideFile,
    BundleInvalid,
    FileTooShort,
    InternalError,
    NotTheWholeFile,
    ProxyInvalid,
    RegionMissing,
    RegionMistyped,
    SourceChanged,
    SourceIsDevice,
    SourceIsFolder,
    SourceIsStream,
    SourceUnreadable,
    TooManyBlocks,
    TooManySlots,
    UploadError,
)
from glacier_mpu.source.blocks import MIB
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


# The entry of the most specific class counts. A text, or a function of the error and the vault.
_STEPS: dict[type, str | Callable[[Any, AwsCli], str]] = {
    UsageError: lambda error, _: str(error.next_step),
    SourceIsFolder: "pack it into one file first, for example with tar or zip, and upload that",
    SourceIsDevice: (
        "copy it to a file first, for example with dd or from a snapshot, and upload that"
    ),
    SourceIsStream: "write its content to a file first, and upload that",
    TooManyBlocks: lambda error, _: f"use --blocksize {error.smallest // MIB} or larger",
    BlocksOutsideFile: "choose --start and --end among these, with --start not above --end",
    NotTheWholeFile: "add --finish-upload False to keep the upload open for the other blocks",
    BlockSizeMismatch: "leave out --blocksize: an open upload keeps its own",
    FileTooShort: (
        "check --source-path and --upload-id: they do not belong together; to start a new upload, "
        "leave out --upload-id"
    ),
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
