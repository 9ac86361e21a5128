"""Every command of the documents is one that its program takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from glacier_mpu.cli.options import parse
from glacier_mpu.rehearsal import __main__ as stand_in
from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.documents import MANUAL, Command, commands, read, recipes, without_fences
from tests.support.in_process import MIB, SCRIPTS, End, MakeFile
from tests.support.scripts import ROOT
from tests.support.wire_client import tree_hash

COMMANDS = list(commands())
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
# Run as they stand by .ci/run, by whoever sets up Python on Windows or remakes the captures, or,
# with the metrics for Prometheus, by a test of its own; and what needs a volume of LVM.
ELSEWHERE = re.compile(
    r"python3 -m venv|py -m venv|\S*pipx? install|uv tool install \.$|head -c|\.venv/bin/pytest$"
    r"|python3 bench/run\.py$|\.venv/bin/python docs/screens\.py$|mv glacier\.prom"
    r"|lvcreate |lvremove "
)


def of(program: str) -> list[Command]:
    return [command for command in COMMANDS if program in command.words[:3]]


def of_python() -> list[Command]:
    return [command for command in of("-c") if "python" in command.words[0]]


def each(commands: list[Command]) -> pytest.MarkDecorator:
    assert commands
    return pytest.mark.parametrize("command", commands, ids=str)


@each([command for command in COMMANDS if command.script])
def test_a_command_of_a_script_is_read_by_its_parser(command: Command) -> None:
    with suppress(SystemExit):  # of what only prints something
        parse(SCRIPTS[command.script](), command.arguments, command=[command.script])


def test_the_flags_of_every_line_for_cron_are_read_by_the_parser() -> None:
    text = "".join(map(read, [*MANUAL, "docs/cron.sh"]))
    lines = re.findall(r"^(?:# +)?\d+ \d+ \* \* \* /srv/glacier/cron\.sh (.*)$", text, re.MULTILINE)
    assert len(lines) >= 3
    for flags in lines:
        words = ["--source-path", "f", "--vault", "v", "--resume", *flags.split()]
        parse(SCRIPTS["GlacierMPUP.py"](), words, command=["GlacierMPUP.py"])


@each(of("glacier_mpu.rehearsal"))
def test_a_command_of_the_stand_in_is_read_by_its_parser(command: Command) -> None:
    stand_in._parser().parse_args(command.words[3:])


def test_the_aws_cli_takes_every_command_also_with_ids_that_begin_with_a_hyphen(
    tmp_path: Path,
) -> None:
    lines = [command.words for command in of("aws")]
    lines += [tuple(re.sub(r"=(ID|JOB)\b", "=-x_-Y", word) for word in line) for line in lines]
    assert lines
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "unsent_aws.py"],
        input=json.dumps(lines),
        cwd=tmp_path,
        env=os.environ | {"AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [], done.stderr


@each(of_python())
def test_a_line_of_python_computes_the_tree_hash_of_what_came_back(
    command: Command, make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(3 * MIB + 1, "photos-2024.zip")
    done = subprocess.run(
        [sys.executable, *command.words[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == tree_hash(source.read_bytes())


def by_jq(file: str, record: object, folder: Path) -> str:
    """Return what the command that reads this file makes of a record in it."""
    (command,) = [command for command in of("jq") if command.words[-1] == file]
    (folder / file).write_text(json.dumps(record))
    done = subprocess.run(command.words, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")


@needs_jq
def test_jq_finds_the_archive_id_or_what_went_wrong_in_the_result(
    run: Callable[..., End], server: RehearsalServer, make_file: MakeFile, tmp_path: Path
) -> None:
    done = run("GlacierMPUP.py", server, make_file(MIB))
    assert by_jq("result.json", done.record, tmp_path) == done.record["archiveId"]
    failed = run("GlacierMPUP.py", server, make_file(MIB), "--start", 7, "--end", 9)
    assert by_jq("result.json", failed.record, tmp_path).startswith("failed: ")


@needs_jq
def test_jq_lists_the_archives_of_an_inventory(tmp_path: Path) -> None:
    archive = {
        "ArchiveId": "Hx3",
        "ArchiveDescription": "Photos of 2024",
        "CreationDate": "2014-07-30T15:34:15Z",
        "Size": 217,
        "SHA256TreeHash": "7d10",
    }
    line = by_jq("inventory.json", {"ArchiveList": [archive]}, tmp_path)
    assert line.split("\t") == ["Hx3", "217", "2014-07-30T15:34:15Z", "7d10", "Photos of 2024"]


def test_no_command_is_left_untried() -> None:
    tried = [*of("aws"), *of("jq"), *of_python(), *of("glacier_mpu.rehearsal")]
    tried += [command for recipe in recipes() for command in recipe.commands()]
    for command in COMMANDS:
        if not command.script and command not in tried:
            assert ELSEWHERE.match(" ".join(command.words)), command


def flags_of_other_programs() -> set[str]:
    """Return the flags of the stand-in, and of other programs where a command has them."""
    own = {flag for action in stand_in._parser()._actions for flag in action.option_strings}
    aws = {word.partition("=")[0] for command in of("aws") for word in command.words}
    lines = [line for recipe in recipes() for line in (recipe.upload, recipe.restore or "")]
    return own | aws | {flag for line in lines for flag in re.findall(FLAG, line)}


@pytest.mark.parametrize("name", MANUAL)
def test_every_flag_in_a_sentence_exists(name: str) -> None:
    known = flags_of_other_programs()
    for build in SCRIPTS.values():
        known |= {flag for action in build()._actions for flag in action.option_strings}
    assert set(re.findall(FLAG, without_fences(read(name)))) <= known
