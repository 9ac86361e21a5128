"""What to do next: every error has a next step or is known to need none, and flags are named."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from glacier_mpu import errors
from glacier_mpu.cli.next_step import next_step
from glacier_mpu.cli.options import UsageError
from glacier_mpu.source.blocks import MIB
from glacier_mpu.vault import errors as of_vault

# What the error says is enough, or the ending of the run says what to do.
NEEDS_NONE = {
    errors.UploadError,
    errors.BadInput,
    errors.BlocksMissing,
    of_vault.VaultError,
    of_vault.TransientError,
    of_vault.TimedOut,
    of_vault.ArrivedLate,
    of_vault.Unreachable,
    of_vault.Throttled,
    of_vault.ConnectionLost,
    of_vault.ServerError,
    of_vault.ServiceDown,
    of_vault.BareRefusal,
    of_vault.Refused,
    of_vault.CompletionUnknown,
}
FACTS: list[tuple[errors.UploadError, list[str]]] = [
    (UsageError("wrong", next_step="use --vault"), ["use --vault"]),
    (errors.SourceIsFolder("x is a folder"), [".tar"]),
    (
        errors.TooManyBlocks("too many", smallest=2 * MIB),
        ["--blocksize 2"],
    ),
    (errors.BlocksOutsideFile("outside"), ["--start", "--end"]),
    (errors.NotTheWholeFile("only some"), ["--finish-upload False"]),
    (errors.BlockSizeMismatch("other blocks"), ["--blocksize"]),
    (errors.FileTooShort("ends before"), ["--source-path", "--upload-id"]),
    (errors.RegionMissing("none"), ["--region", "AWS_DEFAULT_REGION"]),
    (errors.RegionMistyped("none", nearest="eu-west-1"), ["use --region eu-west-1"]),
    (errors.RegionMistyped("none", nearest=""), ["check --region"]),
    (errors.AddressInvalid("none"), ["--profile", "--region", "--endpoint-url"]),
    (errors.ProxyInvalid("senseless"), ["HTTPS_PROXY"]),
    (errors.TooManySlots("too many", most=7), ["--threads 7", "ulimit -n"]),
    (errors.InternalError("a bug"), ["report"]),
    (errors.SourceUnreadable("EIO"), ["disk", "resume"]),
    (errors.SourceLost("gone"), ["disk", "resume"]),
    (errors.SourceChanged("changed"), ["resume"]),
    (of_vault.HashMismatch("differs"), ["memory", "resume"]),
    (of_vault.NotTheService("a page"), ["proxy"]),
    (of_vault.ClockSkew("skewed"), ["clock"]),
    (
        of_vault.NotPermitted("no"),
        ["aws configure", "--profile", "aws sts get-caller-identity"],
    ),
    (of_vault.SignatureRefused("no"), ["aws sts get-caller-identity"]),
    (of_vault.CredentialsRejected("no"), ["aws sts get-caller-identity"]),
    (of_vault.AccessDenied("no"), ["IAM policy"]),
    (of_vault.AccountNotAccepted("no"), ["2025-12-15"]),
    (of_vault.CertificateError("self-signed"), ["clock", "CA certificates", "proxy"]),
    (of_vault.BundleUnreadable("missing"), ["AWS_CA_BUNDLE"]),
    (of_vault.ProxyUnusable("407"), ["HTTPS_PROXY", "password"]),
    (of_vault.CredentialsExpired("late"), ["renew"]),
    (of_vault.CredentialsUnobtainable("none"), ["renew"]),
    (of_vault.VaultNotFound("none"), ["--vault", "aws glacier create-vault"]),
    (of_vault.UploadNotFound("none"), ["aws glacier list-multipart-uploads", "--upload-id"]),
    (
        of_vault.ArchiveMismatch(
            "another hash", archive_id="a", location="l", size=1, tree_hash="0"
        ),
        ["do not rely"],
    ),
]


def all_kinds(kind: type[errors.UploadError] = errors.UploadError) -> Iterator[type]:
    if kind.__module__.startswith("glacier_mpu."):  # and not a test's own
        yield kind
    for below in kind.__subclasses__():
        yield from all_kinds(below)


@pytest.mark.parametrize(("error", "facts"), FACTS, ids=[type(row[0]).__name__ for row in FACTS])
def test_the_next_step_names_the_flag_or_the_command(
    error: errors.UploadError, facts: list[str]
) -> None:
    assert [fact for fact in facts if fact not in next_step(error)] == []


def test_every_error_has_a_next_step_or_is_known_to_need_none() -> None:
    assert {type(error) for error, _ in FACTS} == set(all_kinds()) - NEEDS_NONE


@pytest.mark.parametrize("kind", sorted(NEEDS_NONE, key=str), ids=lambda kind: kind.__name__)
def test_an_error_that_needs_no_next_step_has_none(kind: type[errors.UploadError]) -> None:
    facts = {"sent": True} if kind is of_vault.CompletionUnknown else {}
    assert next_step(kind("a fact", **facts)) == ""


def test_a_class_that_is_not_in_the_table_has_the_next_step_of_the_one_above() -> None:
    above = of_vault.CredentialsExpired("late")
    assert next_step(of_vault.CredentialsUnobtainable("none")) == next_step(above)


def test_a_usage_error_can_be_pickled_and_equals_its_copy() -> None:
    error = UsageError("--vault is wrong", next_step="use another")
    copy = pickle.loads(pickle.dumps(error))
    assert copy == error
    assert str(copy) == "--vault is wrong"
    assert copy != UsageError("--vault is wrong")
