"""The man pages are those of the parsers, and tell every flag and exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from glacier_mpu.cli.report import ExitCode
from tests.support.in_process import SCRIPTS
from tests.support.scripts import ROOT

PAGES = {"glacier-mpu.1": "GlacierMPU.py", "glacier-mpup.1": "GlacierMPUP.py"}


def text_of(page: str) -> str:
    return (ROOT / "docs" / "man" / page).read_text(encoding="utf-8")


def test_the_man_pages_are_up_to_date(tmp_path: Path) -> None:
    """If not: .venv/bin/python docs/make_man.py."""
    subprocess.run([sys.executable, ROOT / "docs" / "make_man.py", tmp_path], check=True)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert made == {page: text_of(page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_and_every_exit_code_is_told(page: str) -> None:
    entries = re.findall(r"^\.TP\n\\fB(.+?)\\fR", text_of(page).replace("\\-", "-"), re.MULTILINE)
    flags = SCRIPTS[PAGES[page]]()._option_string_actions
    assert set(flags) - set(entries) == {"-h", "--help"}
    codes = ", ".join(entries[len(flags) - 2 :]).split(", ")
    signals = [128 + 1, 128 + 2, 128 + 15, 128 + 21]
    assert list(map(int, codes)) == [*map(int, ExitCode), *signals]
