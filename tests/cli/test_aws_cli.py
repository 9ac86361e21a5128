"""Commands of the AWS CLI: about the vault that the run was given, and as they are pasted."""

from __future__ import annotations

import os

import pytest

from glacier_mpu.cli.aws_cli import AwsCli
from glacier_mpu.cli.options import Options, parse
from tests.support.scripts import script_parser


def options(*arguments: str) -> Options:
    words = ["--source-path", "/a file.zip", "--vault", "photos", *arguments]
    return parse(script_parser("GlacierMPUP.py"), words, command=("/GlacierMPUP.py",))


@pytest.mark.skipif(os.name == "nt", reason="POSIX quoting")
def test_a_command_of_the_aws_cli_has_the_vault_as_the_run_was_given_it() -> None:
    made = options("--profile", "my backup", "--region", "eu-west-1")
    assert AwsCli.of(made).glacier("create-vault") == (
        "aws glacier create-vault --account-id - --vault-name photos --region eu-west-1 "
        "--profile 'my backup'"
    )


def test_a_command_of_the_aws_cli_names_the_region_that_was_called_and_the_endpoint() -> None:
    made = options("--endpoint-url", "http://127.0.0.1:8080")
    command = AwsCli.of(made, region="us-west-2").glacier("create-vault")
    assert command.endswith("--region us-west-2 --endpoint-url http://127.0.0.1:8080")
    assert "--region" not in AwsCli.of(made).glacier("create-vault")


def test_a_vault_that_begins_with_a_hyphen_is_joined_to_its_flag() -> None:
    assert "--vault-name=-odd " in AwsCli(vault="-odd", region="r").glacier("create-vault")


def test_a_command_that_is_about_no_vault_needs_no_options() -> None:
    assert AwsCli.of(None).command("configure") == "aws configure"
