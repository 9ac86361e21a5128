"""What to do next: every error has a next step or is known to need none, and flags are named."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from glacier_mpu import errors
from glacier_mpu.cli.aws_cli import AwsCli
from glacier_mpu.cli.next_step import next_step
from glacier_mpu.cli.options import UsageError
from glacier_mpu.source.blocks import MIB
from glacier_mpu.vault import errors as of_vault

# Why they have none. What it comes to is said by the ending of the run, as `to resume, run:`.
ENDING = "it passes or not, and the ending says what to do"
NEVER_ALONE = "only its subclasses are raised"
NEEDS_NONE: dict[type[errors.UploadError], str] = {
    errors.UploadError: NEVER_ALONE,
    errors.BadInput: "the message says what is wrong with the input",
    errors.BlocksMissing: ENDING,
    of_vault.VaultError: NEVER_ALONE,
    of_vault.TransientError: ENDING,
    of_vault.TimedOut: ENDING,
    of_vault.ArrivedLate: ENDING,
    of_vault.Unreachable: ENDING,
    of_vault.Throttled: ENDING,
    of_vault.ServerError: ENDING,
    of_vault.ServiceDown: ENDING,
    of_vault.BareRefusal: ENDING,
    of_vault.Refused: "the service says why, in its own words",
    of_vault.CompletionUnknown: "the ending says how to find out",
}
AWS = AwsCli(
    vault="photos",
    upload_id="an-id",
    account_id="123456789012",
    profile="backup",
    region="eu-west-1",
)
AT = "--account-id 123456789012 --vault-name photos --region eu-west-1 --profile backup"
FACTS: list[tuple[errors.UploadError, list[str]]] = [
    (UsageError("wrong", next_step="use --vault"), ["use --vault"]),
    (errors.SourceIsFolder("x is a folder"), ["one file", "tar"]),
    (errors.SourceIsStream("x is a socket"), ["pipe the content in", "--source-path -"]),
    (errors.StreamEmpty("empty"), ["program"]),
    (errors.CommandUnusable("cannot run 'tra'"), ["command"]),
    (errors.SpoolUnusable("full", needed=3 << 30), ["--spool", "3.0 GiB", "--threads"]),
    (errors.SpoolFull("full"), ["--spool", "resume"]),
    (errors.SpoolLost("full"), ["--spool", "resume"]),
    (errors.SpoolDamaged("other bytes"), ["memory", "resume"]),
    (errors.StreamBroken("EIO"), ["resume", "from its beginning"]),
    (errors.CommandFailed("exit status 1"), ["nothing was completed", "resume"]),
    (
        errors.StreamTooLong("too long", block_size=128 * MIB),
        ["--expected-size", "--blocksize 256", "2.4 TiB", "abort-multipart-upload"],
    ),
    (errors.StreamDiffers("another"), ["--overwrite", "--upload-id or --resume"]),
    (errors.StreamTooShort("too short"), ["never", "abort-multipart-upload", "--upload-id=an-id"]),
    (
        errors.TooManyBlocks("too many", smallest=2 * MIB),
        ["--blocksize 2"],
    ),
    (errors.BlocksOutsideFile("outside"), ["--start", "--end"]),
    (errors.NotTheWholeFile("only some"), ["--finish-upload False"]),
    (errors.BlockSizeMismatch("other blocks"), ["--blocksize"]),
    (errors.FileTooShort("ends before"), ["--source-path", "--upload-id"]),
    (errors.RegionMissing("none"), ["--region", "AWS_DEFAULT_REGION"]),
    (errors.RegionMistyped("none", nearest="eu-west-1"), ["did you mean --region eu-west-1?"]),
    (errors.RegionMistyped("none", nearest=""), ["check --region"]),
    (errors.AddressInvalid("none"), ["--profile", "--region", "--endpoint-url"]),
    (errors.ProxyInvalid("senseless"), ["HTTPS_PROXY"]),
    (errors.BundleInvalid("missing"), ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"]),
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
        ["aws configure --profile backup", "aws sts get-caller-identity --profile backup"],
    ),
    (of_vault.SignatureRefused("no"), ["aws sts get-caller-identity"]),
    (of_vault.CredentialsRejected("no"), ["aws sts get-caller-identity"]),
    (of_vault.AccessDenied("no"), ["the vault photos", "IAM policy"]),
    (of_vault.AccountNotAccepted("no"), ["2025-12-15"]),
    (of_vault.CertificateError("self-signed"), ["clock", "CA certificates", "proxy"]),
    (of_vault.BundleUnreadable("missing"), ["AWS_CA_BUNDLE"]),
    (of_vault.ProxyUnusable("407"), ["HTTPS_PROXY", "password"]),
    (
        of_vault.CredentialsExpired("late", profile="work"),
        ["renew", "aws sso login --profile work"],
    ),
    (of_vault.CredentialsUnobtainable("none"), ["renew"]),
    (of_vault.ConnectionLost("x", code="ProxyConnectionError"), ["proxy", "HTTPS_PROXY"]),
    (of_vault.VaultNotFound("none"), ["--vault", f"aws glacier create-vault {AT}"]),
    (
        of_vault.UploadNotFound("none"),
        ["--upload-id", f"aws glacier list-multipart-uploads {AT}"],
    ),
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
    assert [fact for fact in facts if fact not in next_step(error, AWS)] == []


def test_every_error_has_a_next_step_or_is_known_to_need_none() -> None:
    assert {type(error) for error, _ in FACTS} == set(all_kinds()) - set(NEEDS_NONE)


@pytest.mark.parametrize("kind", sorted(NEEDS_NONE, key=str), ids=lambda kind: kind.__name__)
def test_an_error_that_needs_no_next_step_has_none(kind: type[errors.UploadError]) -> None:
    facts = {"sent": True} if kind is of_vault.CompletionUnknown else {}
    assert next_step(kind("a fact", **facts), AWS) == ""


def test_a_class_that_is_not_in_the_table_has_the_next_step_of_the_one_above() -> None:
    above = of_vault.CredentialsExpired("late")
    assert next_step(of_vault.CredentialsUnobtainable("none"), AWS) == next_step(above, AWS)


def test_no_next_step_holds_a_word_to_be_replaced_where_the_name_is_known() -> None:
    for error, _ in FACTS:
        assert not re.search(r"\b(NAME|VAULT|ID|REGION|PROFILE|FILE|DIR)\b", next_step(error, AWS))


def test_a_next_step_is_one_line() -> None:
    assert [error for error, _ in FACTS if "\n" in next_step(error, AWS)] == []


def test_a_lost_connection_blames_the_proxy_only_where_that_could_not_be_reached() -> None:
    assert next_step(of_vault.ConnectionLost("x", code="EndpointConnectionError"), AWS) == ""


def test_a_rehearsal_is_not_looked_for_at_aws() -> None:
    step = next_step(of_vault.UploadNotFound("none"), replace(AWS, rehearses=True))
    assert "aws glacier" not in step


def test_an_upload_is_aborted_by_hand_only_where_it_is_known_and_at_aws() -> None:
    for aws in (replace(AWS, rehearses=True), replace(AWS, upload_id="")):
        assert "aws" not in next_step(errors.StreamTooShort("too short"), aws)


def test_no_larger_block_than_the_largest_is_named() -> None:
    step = next_step(errors.StreamTooLong("too long", block_size=4096 * MIB), AWS)
    assert "--blocksize" not in step
    assert "abort-multipart-upload" in step


def test_a_usage_error_can_be_pickled_and_equals_its_copy() -> None:
    error = UsageError("--vault is wrong", next_step="use another")
    copy = pickle.loads(pickle.dumps(error))
    assert copy == error
    assert str(copy) == "--vault is wrong"
    assert copy != UsageError("--vault is wrong")
