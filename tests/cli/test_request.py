"""What is asked for becomes a Request of a file or of a stream, with the flags that go with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glacier_mpu.cli.options import UsageError
from glacier_mpu.cli.request import look
from glacier_mpu.errors import SourceIsFolder
from glacier_mpu.source.blocks import MIB
from glacier_mpu.source.command import Command
from glacier_mpu.transfer.request import FileRequest, StreamRequest
from tests.support.asked import asked

GIB = 1024 * MIB
STREAM = ("--source-path", "-")
# A stream by each of its names.
STREAMS = [STREAM, ("--source-command", "tar c /data | zstd"), ("--", "tar", "c", "/data")]
streams = pytest.mark.parametrize("source", STREAMS, ids=["stdin", "line", "program"])


def request(*arguments: str, script: str = "GlacierMPUP.py") -> StreamRequest:
    _, made = look(asked(*arguments, script=script))
    assert isinstance(made, StreamRequest)
    return made


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "f").write_bytes(b"12345")
    return str(tmp_path / "f")


@pytest.mark.parametrize(
    ("source", "path", "command"),
    [
        (STREAMS[0], "-", None),
        (STREAMS[1], None, Command(("tar c /data | zstd",), in_shell=True)),
        (STREAMS[2], None, Command(("tar", "c", "/data"))),
    ],
    ids=["stdin", "line", "program"],
)
def test_a_stream_is_standard_input_a_line_for_the_shell_or_a_program(
    source: tuple[str, ...], path: str | None, command: Command | None
) -> None:
    made = request(*source).source
    assert (made.path, made.command) == (path, command)


@streams
def test_the_archive_of_a_stream_has_a_description_of_its_own(source: tuple[str, ...]) -> None:
    assert request(*source).description == "Archive from a stream"
    assert request("--comment=mine", *source).description == "mine"


def test_a_stream_has_the_same_wishes_as_a_file() -> None:
    made = request(
        *("--expected-size", "8TB", "--spool", "/spool", "--overwrite", "--upload-id", "x"),
        *("--threads", "7", "--finish-upload", "False", "--stop-after", "1h", *STREAM),
    )
    assert (made.expected_size, made.spool, made.overwrite) == (8 * 10**12, "/spool", True)
    assert (made.upload_id, made.slots, made.finish) == ("x", 7, False)
    assert made.stop_time is not None


@pytest.mark.parametrize("script", ["GlacierMPU.py", "GlacierMPUP.py"])
def test_a_failed_block_never_aborts_the_upload_of_a_stream(script: str, file: str) -> None:
    """What was read of it cannot be read again. The serial script aborts that of a file."""
    assert not request(*STREAM, script=script).abort
    _, of_file = look(asked("--source-path", file, script=script))
    assert of_file.abort == (script == "GlacierMPU.py")
    assert of_file.keep_going == request(*STREAM, script=script).keep_going


@streams
@pytest.mark.parametrize(
    ("arguments", "fact", "step"),
    [
        (["--start=0"], "--start", "leave it out"),
        (["--end=3"], "--end", "leave it out"),
        (["--resume"], "--comment", "--comment"),
        (["--overwrite"], "open upload", "--upload-id or --resume"),
        (["--expected-size=1TB", "--blocksize=64"], "--expected-size", "--blocksize 128 or larger"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_that_do_not_go_with_a_stream_are_refused_with_what_to_do(
    source: tuple[str, ...], arguments: list[str], fact: str, step: str
) -> None:
    with pytest.raises(UsageError) as caught:
        look(asked(*arguments, *source))
    assert fact in caught.value.message
    assert step in caught.value.next_step


@pytest.mark.parametrize("flag", ["--expected-size=1TB", "--spool=d", "--overwrite"])
def test_what_only_a_stream_can_have_is_refused_with_a_file(flag: str, file: str) -> None:
    with pytest.raises(UsageError, match=flag.partition("=")[0]):
        look(asked("--source-path", file, flag))


def test_flags_of_the_ledger_and_of_a_later_finish_go_with_a_stream() -> None:
    words = ("--recheck", "--ledger=none", "--finish-upload=False", "--resume", "--comment=mine")
    assert request(*words, *STREAM).resume


def test_a_file_is_looked_at_and_a_folder_is_refused(file: str, tmp_path: Path) -> None:
    options, made = look(asked("--source-path", file))
    assert isinstance(made, FileRequest)
    assert (made.source.size, options.is_stream) == (5, False)
    with pytest.raises(SourceIsFolder):
        look(asked("--source-path", str(tmp_path)))


def test_the_expected_size_chooses_the_smallest_block_that_holds_it() -> None:
    assert request("--expected-size=8TB", *STREAM).new_block_size == GIB
    assert request(*STREAM).new_block_size == 128 * MIB
    assert request("--expected-size=8TB", "--blocksize=4096", *STREAM).new_block_size == 4 * GIB


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_a_stream_once_it_was_looked_at(tmp_path: Path) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    before = asked("--source-path", pipe)
    options, made = look(before)
    assert isinstance(made, StreamRequest)
    assert (made.source.path, made.source.command) == (pipe, None)
    assert made.description == options.description == "Archive from a stream"
    assert (before.is_stream, options.is_stream) == (False, True)


def test_a_dry_run_needs_no_standard_input_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real run looks at it, and refuses a terminal."""
    monkeypatch.setattr(os, "isatty", lambda _: True)
    assert request("--dry-run", *STREAM).source.path == "-"
