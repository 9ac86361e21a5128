"""The documents promise what the code does: flags, JSON, permissions, faults, links."""

from __future__ import annotations

import json
import re
from argparse import SUPPRESS, Action, ArgumentTypeError
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

import GlacierMPU
import GlacierMPUP
from glacier_mpu.cli.snapshot import Phase
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.table import KINDS, read_faults
from glacier_mpu.transfer.request import Status
from tests.support import scripts
from tests.support.documents import (
    MANUAL,
    files_linked_from,
    headings,
    quoted,
    read,
    rows,
    section,
)
from tests.support.in_process import MIB, End, MakeFile
from tests.support.scripts import ROOT, VAULT

FLAGS = {
    flag: action
    for build in (GlacierMPU.build_parser, GlacierMPUP.build_parser)
    for action in build()._actions
    for flag in action.option_strings
    if flag != "-h"
}


def told_flags(text: str) -> dict[str, str]:
    """Return each flag of the tables in a text, with its default as it is told there."""
    return {
        flag: default
        for first, *_, default in rows(text)
        for flag in re.findall(r"--[a-z-]+", first)
    }


def as_told(action: Action) -> str | None:
    """Return how a default is told; None where there is none, and the words are free."""
    if action.required:
        return "required"
    if action.default == SUPPRESS:
        return ""
    if action.nargs == 0:
        return "off"
    return str(action.default).removesuffix(".0") if action.default is not None else None


def test_every_flag_is_in_the_table_and_no_other() -> None:
    assert set(told_flags(read("docs/flags.md"))) == set(FLAGS)


@pytest.mark.parametrize("name", ["README.md", "docs/flags.md"])
def test_every_default_is_told_as_it_is(name: str) -> None:
    for flag, told in told_flags(read(name)).items():
        default = as_told(FLAGS[flag])
        if default is None:
            assert not re.fullmatch(r"required|\d*", told), flag
        else:
            assert told.replace("`", "").split(",")[0] == default, flag


@pytest.mark.parametrize("name", ["README.md", "docs/flags.md"])
def test_every_example_of_a_size_a_rate_or_a_time_is_one_that_its_flag_takes(name: str) -> None:
    exemplary = {"--blocksize", "--max-bandwidth", "--stop-at", "--stop-after"}
    for first, meaning, _ in (row for row in rows(read(name)) if len(row) == 3):
        flags = set(re.findall(r"--[a-z-]+", first)) & exemplary
        for value in quoted(meaning) if flags else ():
            if not value.startswith("--"):
                assert any(takes(FLAGS[flag], value.strip('"')) for flag in flags), value


def takes(action: Action, value: str) -> bool:
    assert callable(action.type)
    try:
        action.type(value)
    except ArgumentTypeError:
        return False
    return True


def test_the_short_table_of_the_readme_has_flags_that_exist() -> None:
    told = set(told_flags(section("README.md", "Flags")))
    assert told
    assert told < set(FLAGS)


def members(title: str) -> list[str]:
    return [name for first, *_ in rows(section("docs/json.md", title)) for name in quoted(first)]


def test_every_member_of_the_json_is_in_the_tables_and_no_other(
    run: Callable[..., End], server: RehearsalServer, make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(MIB)
    receipts = tmp_path / "receipts.jsonl"
    planned = run("GlacierMPUP.py", server, source, "--dry-run")
    status = tmp_path / "status.json"
    keeps = ["--receipts", receipts, "--status-file", status]
    done = run("GlacierMPUP.py", server, source, *keeps)
    assert done.code == 0
    result = members("The result")
    assert sorted(result) == sorted(done.record)
    assert sorted(result + members("A receipt")) == sorted(json.loads(receipts.read_text()))
    assert sorted(members("The status file")) == sorted(json.loads(status.read_text()))
    assert sorted(members("A dry run")) == sorted(planned.record)


def test_every_status_and_every_phase_is_told() -> None:
    for status in Status:
        assert f"`{status.value}`" in section("docs/json.md", "The result")
    told = dict(rows(section("docs/json.md", "The status file")))
    assert quoted(told["`phase`"]) == [phase.value for phase in Phase]


def test_the_readme_shows_the_lines_that_a_completed_upload_prints(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    words = ["--source-path", make_file(MIB), "--vault", VAULT]
    done = scripts.run("GlacierMPUP.py", *words, server=server)
    (example,) = re.findall(r"```\n(archive-id: .*?)```", read("README.md"), re.DOTALL)
    key = re.compile(r"^[a-z-]+: ", re.MULTILINE)
    assert key.findall(example) == key.findall(done.out)


def test_the_permissions_are_valid_json_and_name_what_is_called() -> None:
    policy = json.loads(read("docs/permissions.md").partition("```json")[2].partition("```")[0])
    vault = read("glacier_mpu/vault/calls.py")
    called = set(re.findall(r"_client\.((?:\w+_multipart_\w+)|list_parts)", vault))
    actions = {"glacier:" + "".join(word.title() for word in name.split("_")) for name in called}
    assert set(policy["Statement"][0]["Action"]) == actions


def test_the_example_of_faults_is_a_table_that_the_stand_in_takes(tmp_path: Path) -> None:
    example = section("docs/rehearsal.md", "Faults on purpose").split("```\n")[1]
    (tmp_path / "table").write_text(example, encoding="utf-8")
    faults = read_faults(tmp_path / "table")
    assert [fault.operation for fault in faults] == [
        "UploadMultipartPart",
        "CompleteMultipartUpload",
        "ListParts",
    ]


def test_every_kind_of_fault_is_in_the_table_with_its_members() -> None:
    told = {
        kind: set(quoted(own)) - {"before", "after"}
        for cell, _, own in rows(section("docs/rehearsal.md", "Faults on purpose"))
        for kind in quoted(cell)
    }
    told["refuse-early"] = told["refuse"]  # "the same"
    assert told == {name: {f.name for f in fields(kind)} for name, kind in KINDS.items()}


def test_the_documents_and_the_greeting_name_the_same_aws_clis() -> None:
    assert "since 1.29 and 2.13" in read("glacier_mpu/rehearsal/__main__.py")
    told = " ".join(read("docs/rehearsal.md").split())
    assert "older than 1.29 or 2.13" in told
    assert "--endpoint-url" in told


def test_every_package_that_is_installed_has_its_reason() -> None:
    required = re.findall(
        r"^[a-z0-9-]+", read("requirements.txt") + read("requirements-dev.txt"), re.M
    )
    told = read("docs/dependencies.md")
    for name in required:
        if not name.startswith(("-", "types-")) and not name.endswith("-stubs"):
            assert f"https://pypi.org/project/{name}/" in told, name


def test_the_benchs_table_is_the_one_that_was_measured() -> None:
    table = section("bench/results.md", "In short").strip()
    assert table in read("docs/bench.md")


@pytest.mark.parametrize(
    "name", [*MANUAL, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md"]
)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(name: str) -> None:
    for path, anchor in files_linked_from(name):
        assert path.exists(), f"{name}: {path}"
        if anchor:
            assert anchor in headings(str(path.relative_to(ROOT))), f"{name}: #{anchor}"


def test_every_document_is_linked_from_the_readme() -> None:
    linked = {path for path, _ in files_linked_from("README.md")}
    assert {ROOT / name for name in MANUAL} - {ROOT / "README.md"} <= linked


def test_every_capture_fits_into_its_terminal() -> None:
    captures = dict(
        re.findall(
            r"<!-- capture: (\S+) -->\n```text\n(.*?)```", read("docs/screens.md"), re.DOTALL
        )
    )
    for columns in (60, 80, 120):
        lines = captures[f"session-{columns}"].splitlines()
        assert 0.9 * columns < max(map(len, lines)) <= columns
    for moment in ("sending", "stalled", "resumed"):
        narrow, usual, wide = map(len, captures[moment].splitlines())
        assert narrow <= 60 < usual <= 80 < wide <= 120, moment
    assert "warning: " not in captures["quiet"]


@pytest.mark.parametrize("wing", ["cli", "transfer", "vault", "source"])
def test_the_tree_of_the_architecture_names_every_room_in_the_order_of_the_layers(
    wing: str,
) -> None:
    contract = read("pyproject.toml").partition(f'name = "inside {wing}"')[2].partition("\n]")[0]
    layers = [layer.split(" | ") for layer in re.findall(r'^    "(.+)",$', contract, re.MULTILINE)]
    told = read("ARCHITECTURE.md").partition(f"\n      {wing}/ ")[2].partition("/  ")[0]
    rooms = re.findall(r"^        (\w+)\.py", told, re.MULTILINE)
    for layer in layers:
        assert set(rooms[: len(layer)]) == set(layer)
        del rooms[: len(layer)]
    assert rooms == []


def test_the_picture_calls_no_other_host() -> None:
    named = set(re.findall(r"https?://[^\"' )]+", read("docs/picture.svg")))
    assert named == {"http://www.w3.org/2000/svg"}
