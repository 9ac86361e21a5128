"""The command that resumes an upload: it asks for what is left, in whatever folder it is given."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from glacier_mpu.cli.next_command import command_anew, next_command, paste_hint, run_it
from glacier_mpu.cli.options import PATH_FLAGS, Options, parse
from glacier_mpu.errors import quoted
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


# -- a stream

STREAMS = {
    "stdin": ("--source-path", "-"),
    "line": ("--source-command", "tar c 'a b' | zstd"),
    "program": ("--", "tar", "c", "a b", "--", "--quiet", "$HOME"),
}
of_each_stream = pytest.mark.parametrize("source", STREAMS.values(), ids=STREAMS)
needs_bash = pytest.mark.skipif(os.name == "nt", reason="needs a shell of POSIX")


def stream(*arguments: str, script: str = SCRIPT) -> Options:
    words = ["--vault", "photos", *arguments]
    made = parse(script_parser("GlacierMPUP.py"), words, command=[sys.executable, script])
    return replace(made, folder=FOLDER)


def pasted(outcome: Outcome, made: Options) -> Options:
    """Return what the next command asks for, without the folder in which it is to run."""
    line = next_command(outcome, made).rpartition(" && ")[2]
    python, script, *words = words_of(line)
    return parse(script_parser("GlacierMPUP.py"), words, command=[python, script])


@of_each_stream
def test_the_next_command_makes_the_same_stream_again(source: tuple[str, ...]) -> None:
    made = stream("--spool=s", "--expected-size=8TB", *source)
    again = pasted(replace(OPEN, plan=None), made)
    assert (again.source_path, again.source_command) == (made.source_path, made.source_command)
    assert (again.argv, again.upload_id) == (made.argv, "-an-id")
    assert (again.expected_size, again.spool) == (8 * 10**12, os.path.join(FOLDER, "s"))


def test_what_is_added_stands_before_the_two_hyphens() -> None:
    line = next_command(OPEN, stream("--", "tar", "c", "/data"))
    assert line.endswith(" --vault=photos --upload-id=-an-id -- tar c /data")


@of_each_stream
def test_an_upload_of_a_stream_that_may_have_begun_is_found_by_its_description(
    source: tuple[str, ...],
) -> None:
    maybe = Outcome(status=Status.FAILED, may_have_begun=True)
    again = pasted(maybe, stream(*source))
    assert (again.resume, again.comment) == (True, "Archive from a stream")
    again = pasted(maybe, stream("--comment=mine", *source))
    assert (again.resume, again.comment) == (True, "mine")


@needs_bash
@pytest.mark.parametrize("kind", ["line", "program"])
def test_a_command_runs_in_the_folder_in_which_it_was_given(kind: str, tmp_path: Path) -> None:
    """It may have relative paths."""
    folder, elsewhere = tmp_path / "it's here", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    tell = folder / "tell.py"
    tell.write_text("import os, sys\nprint(os.getcwd(), *sys.argv[1:], sep='\\n')\n")
    made = replace(stream(*STREAMS[kind], script=str(tell)), folder=str(folder))
    line = next_command(OPEN, made)
    done = subprocess.run(
        ["bash", "-c", line], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    where, *words = done.stdout.splitlines()
    assert where == str(folder.resolve())
    assert parse(script_parser("GlacierMPUP.py"), words, command=["x"]).argv == made.argv


def test_a_stream_on_standard_input_runs_in_any_folder() -> None:
    assert "cd " not in next_command(OPEN, stream("--source-path", "-"))


@pytest.mark.parametrize(
    ("kind", "fact"),
    [("stdin", "with the same stream, from its beginning, on standard input:"), ("line", "run")],
)
def test_how_a_stream_is_given_again_is_said(kind: str, fact: str) -> None:
    made = stream(*STREAMS[kind])
    said = run_it(next_command(OPEN, made), made)
    assert fact in said
    if os.name == "nt" and kind == "line":
        assert quoted(FOLDER) in said
    pipe = replace(options(), is_named_pipe=True)
    assert "through the pipe" in run_it(next_command(OPEN, pipe), pipe)
    assert run_it(next_command(OPEN, options()), options()).startswith("run")


def test_a_stream_that_does_not_fit_is_begun_anew_with_larger_blocks() -> None:
    made = stream("--resume", "--comment=mine", "--blocksize=1", "--expected-size=1GiB", "--", "x")
    line = command_anew(2 * MIB, made).rpartition(" && ")[2]
    again = parse(script_parser("GlacierMPUP.py"), words_of(line)[2:], command=["x"])
    assert (again.resume, again.upload_id, again.expected_size) == (False, None, None)
    assert (again.block_size, again.comment, again.argv) == (2 * MIB, "mine", ("x",))
