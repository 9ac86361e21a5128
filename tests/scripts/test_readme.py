"""The README promises what the code does: flags, exit codes, JSON, permissions, commands."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import GlacierMPUP
from glacier_mpu.cli.report import ExitCode, as_record
from glacier_mpu.rehearsal.table import KINDS, read_faults
from glacier_mpu.transfer.request import Outcome, Status
from tests.support.scripts import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.partition(f"## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("|---"):
            yield re.split(r"(?<!\\)\|", line)[1].strip()


def test_every_flag_is_in_the_table_and_no_other() -> None:
    told = set(re.findall(r"--[a-z-]+", " ".join(first_cells(section("Flags")))))
    parser = GlacierMPUP.build_parser()
    known = {flag for action in parser._actions for flag in action.option_strings}
    assert told == known - {"-h"}


def test_every_exit_code_is_in_the_table_and_no_other() -> None:
    told = [
        int(code) for code in re.findall(r"\b\d+\b", " ".join(first_cells(section("Exit codes"))))
    ]
    signals = [128 + 2, 128 + 15, 128 + 1]
    assert told == [*map(int, ExitCode), *signals]


def test_every_member_of_the_json_object_is_in_the_table_in_order() -> None:
    told = re.findall(r"`(\w+)`", " ".join(first_cells(section("JSON"))))
    record = as_record(Outcome(status=Status.FAILED), None, seconds=0)
    assert sorted(told) == sorted(record)


def test_every_status_is_told() -> None:
    for status in Status:
        assert f"`{status.value}`" in section("JSON")


def test_the_permissions_are_valid_json_and_name_what_is_called() -> None:
    policy = json.loads(section("Permissions").partition("```json")[2].partition("```")[0])
    vault = (ROOT / "glacier_mpu" / "vault" / "calls.py").read_text()
    called = set(re.findall(r"_client\.((?:\w+_multipart_\w+)|list_parts)", vault))
    actions = {"glacier:" + "".join(word.title() for word in name.split("_")) for name in called}
    assert set(policy["Statement"][0]["Action"]) == actions


def test_the_example_of_faults_is_a_table_that_the_stand_in_takes(tmp_path: Path) -> None:
    example = section("The stand-in").partition("### Faults on purpose")[2].split("```\n")[1]
    (tmp_path / "table").write_text(example, encoding="utf-8")
    faults = read_faults(tmp_path / "table")
    assert [fault.operation for fault in faults] == [
        "UploadMultipartPart",
        "CompleteMultipartUpload",
        "ListParts",
    ]


def test_every_kind_of_fault_is_in_the_table_with_its_members() -> None:
    cells = re.findall(r"^\| `([a-z-]+)` \|.*\|(.*)\|$", section("The stand-in"), re.MULTILINE)
    told = {kind: set(re.findall(r"`(\w+)`", own)) - {"before", "after"} for kind, own in cells}
    told["refuse-early"] = told["refuse"]  # "the same"
    assert told == {name: {f.name for f in fields(kind)} for name, kind in KINDS.items()}


def test_the_readme_and_the_greeting_name_the_same_aws_clis() -> None:
    greeting = (ROOT / "glacier_mpu" / "rehearsal" / "__main__.py").read_text(encoding="utf-8")
    assert "since 1.29 and 2.13" in greeting
    assert "older\nthan 1.29 or 2.13" in section("The stand-in")
    assert "--endpoint-url" in section("The stand-in")


@pytest.mark.parametrize("name", ["tests", "rehearsal"])
def test_ci_runs_the_commands_of_the_readme(name: str) -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert f'bash -c "$(readme_command {name})"' in script
    function = script.partition("readme_command() {")[2].partition("\n}")[0]
    shown = subprocess.run(
        ["bash", "-c", f"f() {{ {function}\n}}; f {name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.startswith("python3 -m venv .venv && .venv/bin/pip install -q -r ")
    assert shown.stdout in README


def test_the_copyright_line_is_kept() -> None:
    assert "Copyright Paul Tudor OPREA 2024. Open Source Code." in README.splitlines()


def test_the_benchs_table_is_the_one_that_was_measured() -> None:
    results = (ROOT / "bench" / "results.md").read_text(encoding="utf-8")
    table = results.partition("## In short\n")[2].partition("\n## ")[0].strip()
    assert table
    assert table in section("The bench")
