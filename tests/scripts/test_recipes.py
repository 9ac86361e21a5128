"""The recipes of the documents, run as they stand there, for rehearsals.

Programs that are not here, or would want a server, are stood in for by scripts on the PATH.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.cli.figures import as_size
from glacier_mpu.source.blocks import MIB, MOST_BLOCKS
from tests.support.documents import Recipe, read, recipes, rows, section
from tests.support.scripts import ROOT

RECIPES = list(recipes())
RUN_BY_US = [recipe for recipe in RECIPES if "--source-path -" not in recipe.upload]
FED_BY_A_PIPE = [recipe for recipe in RECIPES if recipe not in RUN_BY_US]
RESUMED = [recipe for recipe in RUN_BY_US if "--resume" in recipe.upload]

_DUMPS = 'exec cat "$HOME/dump"'
_RESTORES = 'exec cat > "$HOME/restored"'
# Encryption that is none, but is other bytes each time, as age's.
_SWAP = r"LC_ALL=C tr '\000-\177\200-\377' '\200-\377\000-\177'"
_AGE = f"""case $1 in
-d) [ -r "$3" ] && tail -c +17 | {_SWAP} ;;
-R) [ -r "$2" ] && head -c 16 /dev/urandom && {_SWAP} ;;
*) exit 64 ;;
esac"""
STAND_INS = {
    "age": _AGE,
    "btrfs": f"case $1 in send) {_DUMPS} ;; receive) {_RESTORES} ;; *) exit 64 ;; esac",
    "mysql": _RESTORES,
    "mysqldump": _DUMPS,
    "pg_dump": _DUMPS,
    "pg_restore": _RESTORES,
    "ssh": 'while [ "$1" != backup@server ]; do shift; done; shift; exec sh -c "$*"',
    "zfs": f"case $1 in send) {_DUMPS} ;; receive) {_RESTORES} ;; *) exit 64 ;; esac",
}
# What the script is told besides, which stands in front of all that a recipe tells it.
_PYTHON = """#!/bin/sh
script=$1; shift
exec {python} "$script" --rehearse rehearsal --blocksize 1 --output json "$@"
"""
_FAILING = """#!/bin/sh
{program} "$@" | head -c 3000000
kill -KILL $$
"""


@dataclass
class Machine:
    """A machine on which the recipes are run: a home with data, programs, and the two scripts."""

    folder: Path

    def __post_init__(self) -> None:
        bits = random.Random(11)  # which do not become smaller when they are compressed
        photos = self.home / "photos"
        for path in (photos / "may" / "a.jpg", photos / "b.jpg", self.home / "dump"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bits.randbytes(2 * MIB + 77))
        for name in ("backup.key", "backup.pub"):
            (self.home / name).write_text("correct horse battery staple\n")
        for name, script in STAND_INS.items():
            executable(self.folder / "bin" / name, f"#!/bin/sh\n{script}\n")
        python = _PYTHON.format(python=shlex.quote(sys.executable))
        executable(self.folder / ".venv" / "bin" / "python", python)
        for script in ("GlacierMPUP.py", "GlacierMPU.py"):
            (self.folder / script).symlink_to(ROOT / script)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def run(self, line: str, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        return subprocess.run(
            ["bash", "-c", line],
            cwd=cwd or self.folder,
            env=os.environ | {"HOME": str(self.home), "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=100,
            check=False,
        )

    def upload(self, recipe: Recipe, *, code: int = 0) -> dict[str, Any]:
        done = self.run(recipe.upload)
        assert done.returncode == code, done.stderr.decode()
        result = json.loads(done.stdout)
        assert isinstance(result, dict)
        return result

    def break_midway(self, program: str) -> None:
        """Have a program killed after it has written its first 3 MB."""
        stand_in = self.folder / "bin" / program
        whole = self.folder / "whole" / program
        if stand_in.exists():
            whole.parent.mkdir()
            stand_in.rename(whole)
        elif real := shutil.which(program):
            whole = Path(real)
        executable(stand_in, _FAILING.format(program=shlex.quote(str(whole))))

    def mend(self, program: str) -> None:
        (self.folder / "bin" / program).unlink()
        if (whole := self.folder / "whole" / program).exists():
            whole.rename(self.folder / "bin" / program)

    @property
    def archives(self) -> list[bytes]:
        return [path.read_bytes() for path in (self.folder / "rehearsal" / "archives").iterdir()]

    def assert_restores(self, line: str, archive: bytes) -> None:
        back = self.folder / "back"
        back.mkdir()
        (back / "archive").write_bytes(archive)
        done = self.run(f"set -o pipefail; {line}", back)
        assert done.returncode == 0, done.stderr.decode()
        if (restored := self.home / "restored").exists():
            assert restored.read_bytes() == (self.home / "dump").read_bytes()
        else:
            assert contents(back / "photos") == contents(self.home / "photos")


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o700)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def first_program(recipe: Recipe) -> str:
    """Return the program with which the data begins."""
    if recipe in FED_BY_A_PIPE:
        return recipe.upload.split()[0]
    words = shlex.split(recipe.upload)
    at = words.index("--source-command" if "--source-command" in words else "--")
    return words[at + 1].split()[0]


@cache
def version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return done.stdout


def missing(recipe: Recipe) -> str:
    """Say what a recipe needs that is not here; empty if nothing."""
    text = f"{recipe.upload} {recipe.restore}"
    for program in ("tar", "openssl", "zstd"):
        if re.search(rf"\b{program} ", text) and shutil.which(program) is None:
            return f"needs {program}"
    if "--sort=name" in text and "GNU" not in version("tar"):
        return "needs GNU tar"
    return ""


def each(chosen: list[Recipe]) -> pytest.MarkDecorator:
    assert chosen
    return pytest.mark.parametrize("recipe", chosen, ids=str)


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Machine:
    if reason := missing(request.getfixturevalue("recipe")):
        pytest.skip(reason)
    return Machine(tmp_path / "machine")


@each(RECIPES)
def test_a_recipe_stores_all_that_its_programs_write_and_gives_it_back(
    recipe: Recipe, machine: Machine
) -> None:
    assert machine.upload(recipe)["status"] == "completed"
    (archive,) = machine.archives
    if recipe.restore is not None:
        machine.assert_restores(recipe.restore, archive)
    if recipe in RESUMED:
        assert archive == machine.run(producer(recipe)).stdout


def producer(recipe: Recipe) -> str:
    """Return a recipe's command alone, for bash."""
    words = shlex.split(recipe.upload.replace("~", "'~'"))
    if "--source-command" in words:
        return words[words.index("--source-command") + 1]
    return recipe.upload.partition(" -- ")[2]


@each(RUN_BY_US)
def test_a_recipe_whose_program_is_killed_midway_completes_nothing(
    recipe: Recipe, machine: Machine
) -> None:
    machine.break_midway(first_program(recipe))
    result = machine.upload(recipe, code=3)
    assert result["status"] == "open"
    assert result["error"]["code"] == "CommandFailed"
    assert machine.archives == []


@each(RESUMED)
def test_a_recipe_that_resumes_sends_the_rest_of_the_same_upload(
    recipe: Recipe, machine: Machine
) -> None:
    machine.break_midway(first_program(recipe))
    begun = machine.upload(recipe, code=3)
    machine.mend(first_program(recipe))
    done = machine.upload(recipe)
    assert done["uploadId"] == begun["uploadId"]
    assert done["bytesSkipped"] >= 2 * MIB
    assert done["bytesSent"] + done["bytesSkipped"] == done["size"]
    assert machine.archives == [machine.run(producer(recipe)).stdout]


@each(FED_BY_A_PIPE)
def test_a_pipe_does_not_tell_that_its_writer_was_killed_as_the_documents_warn(
    recipe: Recipe, machine: Machine
) -> None:
    machine.break_midway(first_program(recipe))
    assert machine.upload(recipe)["status"] == "completed"
    (archive,) = machine.archives
    assert len(archive) == 3_000_000
    assert "cannot tell" in read(recipe.document)


def test_the_table_of_block_sizes_says_what_fits_and_what_the_spool_needs() -> None:
    told = list(rows(section("docs/streams.md", "How long it may be")))
    assert len(told) > 5
    for block_size, largest, spool in told:
        size = int(block_size) * MIB
        assert as_size(size * MOST_BLOCKS) == largest
        assert as_size(4 * size).replace(".0", "") == spool
