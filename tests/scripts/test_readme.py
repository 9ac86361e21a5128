"""The README leads one reader from the first look to the licence, and CI runs what it says."""

from __future__ import annotations

import re
import subprocess

import pytest

from glacier_mpu.cli.report import ExitCode
from tests.support.documents import read, rows, section
from tests.support.scripts import ROOT


def test_it_is_short_enough_to_be_read_at_a_sitting() -> None:
    assert len(read("README.md").splitlines()) <= 175


def test_every_exit_code_is_in_the_table_and_no_other() -> None:
    told = [
        int(code)
        for first, *_ in rows(section("README.md", "Exit codes"))
        for code in re.findall(r"\b\d+\b", first)
    ]
    signals = [128 + 2, 128 + 15, 128 + 1, 128 + 21]
    assert told == [*map(int, ExitCode), *signals]


@pytest.mark.parametrize("name", ["tests", "rehearsal"])
def test_ci_runs_the_commands_of_the_readme(name: str) -> None:
    script = read(".ci/run")
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
    assert shown.stdout in read("README.md")


def test_the_copyright_line_is_kept() -> None:
    assert "Copyright Paul Tudor OPREA 2024. Open Source Code." in read("README.md").splitlines()
