"""The command that resumes an upload: it asks for what is left, in whatever folder it is given."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace

import pytest

from glacier_mpu.cli.next_command import next_command, paste_hint
from glacier_mpu.cli.options import PATH_FLAGS, Options, parse
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.transfer.request import Outcome, Status
from tests.support.scripts import script_parser
from tests.support.shells import words_of

FOLDER = os.path.abspath("folder")
SOURCE = os.path.join(FOLDER, "a file.zip")
SCRIPT = os.path.join(FOLDER, "GlacierMPUP.py")
OPEN = Outcome(
    status=Status.OPEN,
    upload_id="-an-id",
    plan=Plan(5 * MIB, MIB),
    missing=(1, 2, 3, 4),
    unproven=(1, 2, 3, 4),
)


def options(*arguments: str, source: str = SOURCE, script: str = SCRIPT) -> Options:
    words = ["--source-path", source, "--vault", "photos", *arguments]
    command = [sys.executable, script]
    return replace(parse(script_parser("GlacierMPUP.py"), words, command=command), folder=FOLDER)


def resumed(outcome: Outcome, made: Options) -> Options:
    """Return what the next command asks for, read as a shell reads it."""
    python, script, *words = words_of(next_command(outcome, made))
    return parse(script_parser("GlacierMPUP.py"), words, command=[python, script])


def test_the_next_command_resumes_by_the_upload_id_with_the_same_flags() -> None:
    again = resumed(OPEN, options("--threads", "7", "--comment", "it's mine"))
    assert (again.upload_id, again.threads, again.comment) == ("-an-id", 7, "it's mine")
    assert again.source_path == SOURCE


def test_the_next_command_keeps_the_range_while_blocks_of_it_are_missing() -> None:
    again = resumed(OPEN, options("--start=2", "--end=3", "--finish-upload=False"))
    assert (again.first, again.last, again.finish) == (2, 3, False)


def test_the_next_command_keeps_the_range_while_blocks_of_it_are_not_compared() -> None:
    """Nothing is known to be missing; yet to finish was not asked for."""
    stopped = replace(OPEN, missing=())
    again = resumed(stopped, options("--start=2", "--end=3", "--finish-upload=False"))
    assert (again.first, again.last, again.finish) == (2, 3, False)


def test_the_next_command_asks_for_the_whole_file_once_the_range_is_stored() -> None:
    made = options("--end", "0", "--finish-upload", "False")
    for outcome in (OPEN, replace(OPEN, status=Status.STORED, missing=(0,))):
        again = resumed(outcome, made)
        assert (again.first, again.last, again.finish) == (None, None, True)


def test_the_next_command_keeps_the_range_where_the_vault_was_not_heard() -> None:
    unheard = Outcome(status=Status.OPEN)
    again = resumed(unheard, options("--resume", "--start=2", "--end=3", "--finish-upload=False"))
    assert (again.first, again.last, again.finish) == (2, 3, False)


def test_with_resume_the_next_command_is_the_same_command_again() -> None:
    again = resumed(OPEN, options("--resume"))
    assert (again.resume, again.upload_id) == (True, None)


def test_without_an_upload_the_next_command_begins_one_or_finds_the_one_that_may_have_begun() -> (
    None
):
    none = Outcome(status=Status.OPEN)
    for outcome, resumes in ((none, False), (replace(none, may_have_begun=True), True)):
        again = resumed(outcome, options("--end=0", "--finish-upload=False"))
        assert (again.resume, again.upload_id, again.last, again.finish) == (
            resumes,
            None,
            0,
            False,
        )


def test_what_became_of_this_very_upload_is_asked_by_its_id() -> None:
    again = resumed(replace(OPEN, status=Status.UNKNOWN), options("--resume"))
    assert (again.resume, again.upload_id) == (False, "-an-id")


def flags_with_paths() -> set[str]:
    """Return the flags whose value stands for a file or a folder in the help."""
    actions = script_parser("GlacierMPUP.py")._actions
    paths = re.compile(r"\b(DIR|FILE|SOURCE_PATH)\b")
    return {
        action.option_strings[-1]
        for action in actions
        if action.option_strings
        and action.nargs is None
        and paths.search(str(action.metavar or action.dest.upper()))
    }


def test_the_flags_that_take_a_path_are_known() -> None:
    assert flags_with_paths() - set(PATH_FLAGS) == set()


@pytest.mark.parametrize("flag", sorted(flags_with_paths()))
@pytest.mark.parametrize(
    ("path", "full"),
    [("a b", "a b"), ("./sub/x", "sub/x"), ("../x", "../x"), (SOURCE, SOURCE), ("none", "none")],
)
def test_the_next_command_names_every_path_from_the_root(flag: str, path: str, full: str) -> None:
    """With `..` as it is: behind a link to a folder it leads elsewhere than the text says."""
    words = words_of(next_command(OPEN, options(flag, path)))
    expected = path if (flag, path) == ("--ledger", "none") else in_folder(full)
    assert f"{flag}={expected}" in words


def test_the_next_command_names_the_script_from_the_root() -> None:
    assert words_of(next_command(OPEN, options(script="./GlacierMPUP.py")))[1] == SCRIPT


def in_folder(path: str) -> str:
    joined = os.path.join(FOLDER, path)
    return os.path.abspath(joined) if os.name == "nt" else joined


def test_the_next_command_keeps_the_description_that_a_relative_path_made() -> None:
    """By it --resume finds the upload."""
    for made in (options("--resume", source="a file.zip"), options(source="./a file.zip")):
        again = resumed(OPEN, made)
        assert again.source_path == SOURCE
        assert again.description == made.description == f"Archive for {made.source_path}"


def test_a_comment_that_was_given_is_not_given_twice() -> None:
    made = options("--comment", "mine", source="a file.zip")
    assert next_command(OPEN, made).count("--comment") == 1
    assert "--comment" not in next_command(OPEN, options())


@pytest.mark.parametrize("command", ["python x", '"python" x'])
def test_how_a_command_is_pasted_is_said_only_where_it_matters(command: str) -> None:
    in_powershell = os.name == "nt" and command[0] == '"'
    assert ("PowerShell" in paste_hint(command)) == in_powershell


@pytest.mark.parametrize(
    "command",
    [[sys.executable, SCRIPT], [os.path.abspath("bin/glacier-mpup")]],
    ids=["script", "installed"],
)
def test_the_next_command_begins_with_the_words_that_began_this_run(command: list[str]) -> None:
    made = replace(options(), command=tuple(command))
    assert words_of(next_command(OPEN, made))[: len(command)] == command
