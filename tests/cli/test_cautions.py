"""What is said of a source before it is uploaded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glacier_mpu.cli.cautions import cautions
from tests.support.asked import asked

PIPE = ["a pipe cannot tell that the program which writes to it failed; --source-command can"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--source-path", "-"], PIPE),
        (["--source-command", "tar c /data"], []),
        (["--", "tar", "c", "/data"], []),
        (["--source-path", "a file"], []),
    ],
    ids=["stdin", "line", "program", "file"],
)
def test_a_pipe_is_said_to_hide_how_its_writer_ended(
    arguments: list[str], expected: list[str]
) -> None:
    assert cautions(asked(*arguments)) == expected


def test_a_named_pipe_is_likewise() -> None:
    assert cautions(replace(asked("--source-path", "pipe"), is_named_pipe=True)) == PIPE


def test_a_line_whose_failures_the_shell_hides_is_warned_of() -> None:
    (line,) = cautions(asked("--source-command", "tar c / | zstd"), hides_failures=True)
    assert line.startswith("warning: ")
    assert "bash" in line


def test_a_device_that_is_mounted_to_be_written_to_is_warned_of() -> None:
    assert cautions(asked("--source-path", "/dev/sdb1"), mounted_at="/mnt/a b") == [
        "warning: '/dev/sdb1' is mounted read-write at '/mnt/a b': what is uploaded may be "
        "inconsistent; upload a snapshot instead"
    ]
