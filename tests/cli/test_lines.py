"""The time in front of each line, and its colour."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime

import pytest

from glacier_mpu.cli.console import Console
from glacier_mpu.cli.lines import Lines, takes_colour
from tests.support.displays import NOON, Terminal


def said(text: str, stream: io.StringIO, environment: Mapping[str, str]) -> str:
    Lines(Console(stream), now=lambda: NOON, environment=environment).say(text)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("error: no", "\x1b[31merror: no\x1b[0m"),
        ("warning: perhaps", "\x1b[33mwarning: perhaps\x1b[0m"),
        ("Done. Keep it", "\x1b[32mDone. Keep it\x1b[0m"),
        ("no error: fine", "no error: fine"),
    ],
)
def test_a_terminal_shows_what_kind_of_line_it_is_by_colour(text: str, shown: str) -> None:
    assert said(text, Terminal(), {}) == f"12:00:00 {shown}\n"


@pytest.mark.parametrize(
    "environment", [{"NO_COLOR": "1"}, {"NO_COLOR": "0"}, {"TERM": "dumb"}], ids=str
)
def test_no_colour_where_it_is_not_wanted_or_not_shown(environment: Mapping[str, str]) -> None:
    assert said("error: no", Terminal(), environment) == "12:00:00 error: no\n"


def test_an_empty_no_color_is_none() -> None:
    assert "\x1b[31m" in said("error: no", Terminal(), {"NO_COLOR": ""})


def test_without_a_terminal_there_is_no_colour_and_the_date_too() -> None:
    assert said("error: no", io.StringIO(), {}) == "2026-01-02 12:00:00 error: no\n"


@pytest.mark.parametrize(
    ("environment", "colour"), [({}, False), ({"WT_SESSION": "a"}, True), ({"ANSICON": "1"}, True)]
)
def test_on_windows_only_terminals_that_are_known_to_take_it_get_colour(
    environment: Mapping[str, str], *, colour: bool
) -> None:
    assert takes_colour(Console(Terminal()), environment, platform="win32") is colour


def test_the_time_is_that_of_the_line() -> None:
    times = iter([datetime(2026, 1, 2, 23, 59, 59), datetime(2026, 1, 3)])
    stream = io.StringIO()
    lines = Lines(Console(stream), now=lambda: next(times))
    lines.say("a")
    lines.say("b")
    assert stream.getvalue() == "2026-01-02 23:59:59 a\n2026-01-03 00:00:00 b\n"
