"""What `--quiet` shows: nothing, until there is trouble."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from glacier_mpu.cli.progress import QuietDisplay
from glacier_mpu.source.blocks import MIB
from glacier_mpu.transfer.events import (
    AbortFailed,
    Completing,
    Connected,
    Event,
    KnownBlocks,
    LedgerUnusable,
    OtherUpload,
)
from glacier_mpu.transfer.stream_events import (
    BlocksRunningOut,
    CommandSaid,
    MoreThanExpected,
    SourceSilent,
    StreamOpened,
)
from glacier_mpu.vault.answers import OpenUpload
from glacier_mpu.vault.errors import TransientError
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.regions import UnknownRegion
from glacier_mpu.vault.retry import Retry
from tests.support.displays import NOTE, UNREADABLE, Run, differs, failed, opened, starts

OTHER = OpenUpload("other-id", "mine", MIB, datetime(2026, 1, 2, 3, tzinfo=timezone.utc))
RETRY = Retry("send_block", TransientError("HTTP 503: busy"), 12.4, 7)


@pytest.fixture
def quiet() -> Run:
    run = Run(QuietDisplay)
    run.display.introduce("uploading 'f'", tells_blocks=True)
    return run


def test_a_clean_run_says_nothing(quiet: Run) -> None:
    quiet.hear(Connected("https://glacier.example"), *starts(to_send=2, to_compare=2))
    quiet.hear(KnownBlocks([0], MIB), RETRY, NOTE, differs(0))
    quiet.sends(2, seconds=900)
    quiet.compares(1, seconds=900)
    quiet.hear(Completing())
    quiet.display.close()
    assert quiet.lines == []
    assert quiet.display.is_silent


@pytest.mark.parametrize(
    ("trouble", "fact"),
    [
        (Connected("http://glacier.example"), "unencrypted"),
        (UnknownRegion("eu-west-9", "eu-west-1"), "eu-west-9"),
        (OtherUpload(OTHER, stored=2, count=5), "--upload-id=other-id"),
        (failed(1), "block 1 failed: EIO"),
        (AbortFailed(UNREADABLE), "could not be aborted"),
        (LedgerUnusable("/srv/l", "No space left"), "/srv/l"),
        (Outage(UNREADABLE, datetime(2026, 11, 24, 6, 34)), "until 06:34"),
        (OutageOver(UNREADABLE, 305), "read again"),
        (BlocksRunningOut(8000, 10_000, 2000 * MIB), "8,000"),
        (MoreThanExpected(MIB, 10 * MIB), "--expected-size"),
        (SourceSilent(3600, OTHER.created), "may expire"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_trouble_is_said_after_the_file_and_the_upload(
    quiet: Run, trouble: Event, fact: str
) -> None:
    quiet.hear(opened(4), trouble)
    name, upload_id, line = quiet.lines
    assert name.endswith("uploading 'f'")
    assert upload_id.endswith("upload-id: an-id")
    assert fact in line
    assert not quiet.display.is_silent


def test_the_file_and_the_upload_are_said_once(quiet: Run) -> None:
    quiet.hear(opened(4), failed(1), failed(2))
    quiet.display.say("error: that was it")
    assert len(quiet.lines) == 5


def test_what_is_refused_before_the_run_begins_is_one_line(quiet: Run) -> None:
    quiet.display.say("error: no such profile")
    assert [line.split(" ", 2)[2] for line in quiet.lines] == ["error: no such profile"]


def test_what_a_command_says_is_not_shown(quiet: Run) -> None:
    quiet.hear(CommandSaid("tar", "Removing leading '/'"))
    assert quiet.lines == []


def test_of_the_cautions_only_warnings_are_shown(quiet: Run) -> None:
    cautions = ["a pipe cannot tell", "warning: it is mounted"]
    quiet.display.introduce("uploading 'f'", tells_blocks=True, cautions=cautions)
    quiet.hear(Completing())
    assert [line.split(" ", 2)[2] for line in quiet.lines] == [
        "uploading 'f'",
        "warning: it is mounted",
    ]


def test_a_stream_that_opens_after_trouble_is_said(quiet: Run) -> None:
    quiet.display.introduce("uploading 'f'", tells_blocks=True, is_stream=True)
    quiet.hear(Connected("http://glacier.example"), StreamOpened("an-id", MIB, 10 * MIB))
    assert quiet.lines[-1].endswith("upload-id: an-id")


def test_an_upload_that_opens_after_trouble_is_said(quiet: Run) -> None:
    quiet.hear(Connected("http://glacier.example"), opened(4))
    assert len(quiet.lines) == 3
    assert quiet.lines[-1].endswith("upload-id: an-id")


def test_what_is_said_at_the_end_comes_after_the_file_and_the_upload(quiet: Run) -> None:
    quiet.hear(opened(4))
    quiet.display.close()
    quiet.display.say("interrupted")
    assert [line.split(" ", 2)[2] for line in quiet.lines] == [
        "uploading 'f'",
        "upload-id: an-id",
        "interrupted",
    ]
