"""Streams that go away: nothing that is said there ends a run or changes its exit code."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from typing import TextIO

import pytest

from glacier_mpu.cli.console import Console, use_utf8_in_files
from tests.support.scripts import ROOT


class Gone(io.StringIO):
    """A stream on which every call fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.asked = 0

    def write(self, _: str) -> int:
        self.asked += 1
        raise self.error

    def isatty(self) -> bool:
        raise self.error


def closed() -> TextIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS: dict[str, Callable[[], TextIO | None]] = {
    "broken pipe": lambda: Gone(BrokenPipeError()),
    "full disk": lambda: Gone(OSError(28, "No space left on device")),
    "closed": closed,
    "none": lambda: None,
}


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
def test_writing_to_a_stream_that_is_gone_does_not_raise(
    make: Callable[[], TextIO | None],
) -> None:
    console = Console(make())
    console.line("a")
    assert console.write("bc") == 2
    console.flush()


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
def test_whether_the_stream_took_a_text_is_known(make: Callable[[], TextIO | None]) -> None:
    assert Console(make()).take("a") is False
    assert Console(io.StringIO()).take("a") is True


@pytest.mark.parametrize("make", [STREAMS["closed"], STREAMS["none"]], ids=["closed", "none"])
def test_a_stream_that_is_gone_is_not_a_terminal(make: Callable[[], TextIO | None]) -> None:
    assert Console(make()).isatty() is False


def test_a_stream_whose_isatty_fails_is_not_a_terminal() -> None:
    assert Console(Gone(OSError(5, "Input/output error"))).isatty() is False


def test_a_stream_that_failed_once_is_not_asked_again() -> None:
    stream = Gone(BrokenPipeError())
    console = Console(stream)
    console.line("a")
    console.line("b")
    assert stream.asked == 1


def test_a_character_that_the_stream_cannot_write_does_not_silence_it() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii", newline="\n") as stream:
        console = Console(stream)
        console.line("caf\u00e9")
        console.line("archive-id: x")
        assert b"archive-id: x\n" in raw.getvalue()


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
@pytest.mark.parametrize("which", ["stdout", "stderr"])
@pytest.mark.parametrize("gone", ["closed pipe", "full disk"])
def test_a_stream_that_is_gone_does_not_change_the_exit_code(which: str, gone: str) -> None:
    if gone == "closed pipe":
        read, descriptor = os.pipe()
        os.close(read)
    else:
        descriptor = os.open("/dev/full", os.O_WRONLY)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {which: descriptor}
    environment = {name: v for name, v in os.environ.items() if name != "PYTHONUNBUFFERED"}
    program = (
        "import sys; from glacier_mpu.cli.console import Console; "
        f"Console(sys.{which}).line('x'); sys.exit(3)"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            cwd=ROOT,
            timeout=30,
            check=False,
            stdout=streams["stdout"],
            stderr=streams["stderr"],
        )
    finally:
        os.close(descriptor)
    assert (done.returncode, done.stdout or b"", done.stderr or b"") == (3, b"", b"")


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("kind", "windows", "encoding"),
    [
        (io.TextIOWrapper, True, "utf-8"),
        (io.TextIOWrapper, False, "cp1252"),
        (Terminal, True, "cp1252"),
    ],
    ids=["a file on Windows", "a file elsewhere", "a terminal"],
)
def test_a_file_of_windows_takes_every_name(
    kind: type[io.TextIOWrapper],
    windows: bool,
    encoding: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    stream = kind(io.BytesIO(), encoding="cp1252", errors="backslashreplace")
    use_utf8_in_files(stream, windows=windows)
    assert (stream.encoding, stream.errors) == (encoding, "backslashreplace")


def test_an_encoding_that_was_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "cp437")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp437")
    use_utf8_in_files(stream, windows=True)
    assert stream.encoding == "cp437"
