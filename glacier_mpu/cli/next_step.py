"""What to do next, in words for each error. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from glacier_mpu.cli.options import UsageError
from glacier_mpu.cli.quoting import pasteable
from glacier_mpu.errors import (
    AddressInvalid,
    BlockSizeMismatch,
    BlocksOutsideFile,
    FileTooShort,
    InternalError,
    NotTheWholeFile,
    ProxyInvalid,
    RegionMissing,
    RegionMistyped,
    SourceChanged,
    SourceIsFolder,
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


def renewal(error: CredentialsExpired) -> str:
    """Say how to renew the credentials."""
    profile = f" --profile {pasteable([error.profile])}" if error.profile else ""
    return f"renew the credentials (aws sso login{profile}, or the way you obtained them)"


# The entry of the most specific class counts. A text, or a function of the error's facts.
_STEPS: dict[type, str | Callable[[Any], str]] = {
    UsageError: lambda error: str(error.next_step),
    SourceIsFolder: "pack it into one file first, such as a .zip or .tar",
    TooManyBlocks: lambda error: f"use --blocksize {error.smallest // MIB} or larger",
    BlocksOutsideFile: "choose --start and --end from these, with --start not above --end",
    NotTheWholeFile: "add --finish-upload False to leave the upload open for the other blocks",
    BlockSizeMismatch: "leave out --blocksize: an open upload keeps its own",
    FileTooShort: (
        "check --source-path and --upload-id: they do not belong together; to start a new upload, "
        "leave out --upload-id"
    ),
    RegionMissing: "add --region, or set AWS_DEFAULT_REGION",
    RegionMistyped: lambda error: (
        f"use --region {error.nearest}" if error.nearest else "check --region"
    ),
    AddressInvalid: "check --profile, --region and --endpoint-url",
    ProxyInvalid: "set HTTPS_PROXY (and HTTP_PROXY) to an address such as http://proxy:3128",
    TooManySlots: lambda error: (
        f"use --threads {error.most}, or allow more open files (ulimit -n)"
        if error.most
        else "allow more open files (ulimit -n)"
    ),
    InternalError: "please report it, with the lines above",
    SourceUnreadable: (
        "find out why the disk cannot be read (its cable, its health, its mount), then resume"
    ),
    SourceChanged: (
        "nothing was completed; once the file no longer changes, resume: only the blocks that "
        "differ are sent"
    ),
    HashMismatch: (
        "the file, this machine's memory or the network corrupts data; check them, then resume"
    ),
    NotTheService: (
        "something between this machine and AWS answered; check the proxy, or the network's "
        "log-in page"
    ),
    ClockSkew: "set this machine's clock (it is over five minutes off the service's), then resume",
    NotPermitted: (
        "set up credentials (aws configure, or --profile), and check them with: "
        "aws sts get-caller-identity"
    ),
    AccessDenied: "allow the action on this vault in the IAM policy (README lists them)",
    AccountNotAccepted: (
        "the vault service accepts only accounts that used it before 2025-12-15; use such an "
        "account"
    ),
    CertificateError: "check the clock, the CA certificates and any proxy of this machine",
    BundleUnreadable: (
        "check the file that AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or ca_bundle of the profile names"
    ),
    ProxyUnusable: "check the proxy's address, and its user and password, in HTTPS_PROXY",
    CredentialsExpired: lambda error: f"{renewal(error)}, then resume",
    VaultNotFound: (
        "check --vault, --region and --account-id, or create the vault: "
        "aws glacier create-vault --account-id - --vault-name NAME"
    ),
    UploadNotFound: (
        "check the id with: aws glacier list-multipart-uploads --account-id - --vault-name NAME; "
        "an upload that is not listed was completed, aborted, or expired after a day without "
        "activity; to start a new one, leave out --upload-id"
    ),
    ArchiveMismatch: "do not rely on this archive; upload the file again, then delete it",
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


def next_step(error: UploadError) -> str:
    """Return what to do about the error; empty where its message says it, or the ending does."""
    step = _most_specific(_STEPS, error, otherwise="")
    return step if isinstance(step, str) else step(error)


def run_again_once(error: UploadError | None) -> str:
    """Return what has to be so before the same command helps; empty where it never does."""
    return _most_specific(_RUN_AGAIN_ONCE, error, otherwise="")


def _most_specific(table: Mapping[type, T], error: object, *, otherwise: T) -> T:
    return next((table[kind] for kind in type(error).__mro__ if kind in table), otherwise)
