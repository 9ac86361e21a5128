"""What a run says to people at its end: how it ended, and what to do next as the last line."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from glacier_mpu.cli.endings import ending_lines
from glacier_mpu.cli.options import Options, parse
from glacier_mpu.errors import (
    CommandFailed,
    SourceLost,
    SourceUnreadable,
    StreamBroken,
    StreamTooLong,
    StreamTooShort,
    UploadError,
)
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.transfer.deadline import StopAfter, StopAt
from glacier_mpu.transfer.request import Outcome, Status
from glacier_mpu.vault.answers import Archive
from glacier_mpu.vault.errors import (
    AccessDenied,
    BareRefusal,
    CompletionUnknown,
    ConnectionLost,
    CredentialsExpired,
    CredentialsRejected,
    ServiceDown,
    TransientError,
    Unreachable,
    VaultNotFound,
)
from tests.support.asked import asked
from tests.support.scripts import VAULT, script_parser

PLAN = Plan(5 * MIB, MIB)
ARCHIVE = Archive("an-archive", "/1/vaults/photos/archives/an-archive", "7d10", 5 * MIB)
NONE_SENT = CompletionUnknown("gone", sent=False)
SENT = CompletionUnknown("no answer", sent=True)
NO_LIST = CompletionUnknown("no answer, no list", sent=False, gone=False)
NIGHT = datetime(2026, 11, 24, 20, 33, 59, 999_999, tzinfo=timezone.utc)


def options(*arguments: str) -> Options:
    words = ["--source-path", "/a file.zip", "--vault", VAULT, *arguments]
    return parse(script_parser("GlacierMPUP.py"), words, command=("/GlacierMPUP.py",))


def outcome(status: Status, error: UploadError | None = None, **facts: object) -> Outcome:
    usual: dict[str, object] = {"upload_id": "an-id", "plan": PLAN, "description": "mine"}
    return Outcome(status=status, error=error, **(usual | facts))  # type: ignore[arg-type]


def ending(made: Outcome, *arguments: str, interrupted: bool = False) -> list[str]:
    return ending_lines(made, options(*arguments), interrupted=interrupted)


@pytest.mark.parametrize("missing", [(), (0, 3)])
@pytest.mark.parametrize("status", [Status.OPEN, Status.STORED])
def test_the_last_line_of_an_open_upload_is_the_command_that_resumes_it(
    status: Status, missing: tuple[int, ...]
) -> None:
    assert ending(outcome(status, missing=missing))[-1].endswith("--upload-id=an-id")


@pytest.mark.usefixtures("in_india")
@pytest.mark.parametrize("status", [Status.OPEN, Status.STORED])
def test_an_open_upload_says_when_it_may_expire_by_this_machines_time(
    status: Status,
) -> None:
    line = ending(outcome(status, expires=NIGHT))[-3]
    assert "may expire on 2026-11-25 at 02:03, a day after its last activity" in line


@pytest.mark.parametrize("status", [Status.OPEN, Status.STORED])
def test_where_the_last_activity_is_not_known_no_time_is_said(status: Status) -> None:
    line = ending(outcome(status))[-3]
    assert "may expire a day after its last activity" in line


def test_where_no_upload_is_known_none_expires() -> None:
    lines = ending(Outcome(status=Status.OPEN), "--resume")
    assert not any("expire" in line for line in lines)
    assert lines[-1].endswith("--resume")


@pytest.mark.parametrize("status", [Status.OPEN, Status.STORED])
def test_where_every_block_is_stored_the_command_is_to_finish(status: Status) -> None:
    lines = ending(outcome(status, ServiceDown("503"), unproven=()))
    assert lines[-2] == "every block is stored; to finish, run:"
    left = ending(outcome(Status.OPEN, ServiceDown("503"), unproven=(3,)))
    assert left[-2] == "to resume, run:"


def test_the_command_comes_after_the_error_its_next_step_and_the_failed_blocks() -> None:
    left = {"failed": (2, 4), "missing": (2, 4), "unproven": (2, 4)}
    made = outcome(Status.OPEN, SourceUnreadable("EIO"), **left)
    lines = ending(made, interrupted=True)
    assert lines[:2] == ["interrupted", "error: EIO"]
    assert "disk" in lines[2]
    assert lines[3:5] == ["failed blocks: 2, 4", "2 of 5 blocks left (2, 4)"]
    assert lines[-2] == "to resume, run:"
    assert "--upload-id=an-id" in lines[-1]


def test_an_interrupted_run_says_whether_an_upload_may_have_been_started() -> None:
    none = Outcome(status=Status.FAILED)
    assert ending(none, interrupted=True) == ["interrupted", "no upload was started"]
    maybe = Outcome(status=Status.FAILED, may_have_begun=True)
    _, what, command = ending(maybe, interrupted=True)
    assert what == "an upload may have been started; to resume it or start one, run:"
    assert command.endswith(" --resume")


def test_a_failure_after_which_there_may_be_an_upload_does_not_deny_it() -> None:
    lost = Outcome(status=Status.FAILED, error=ConnectionLost("no route"), may_have_begun=True)
    maybe = "an upload may have been started; "
    find = "to resume it or start one, run:"
    assert ending(lost)[-2] == f"{maybe}once the connection is back, {find}"
    assert ending(lost)[-1].endswith(" --resume")
    denied = Outcome(status=Status.FAILED, error=AccessDenied("403"), may_have_begun=True)
    assert ending(denied)[-2] == f"{maybe}{find}"


def test_a_run_with_resume_says_that_there_may_be_an_upload_only_where_there_may_be() -> None:
    assert ending(Outcome(status=Status.OPEN), "--resume")[-2] == "to try again, run:"
    maybe = Outcome(status=Status.OPEN, may_have_begun=True)
    assert ending(maybe, "--resume")[-2] == "an upload may have been started; to try again, run:"


@pytest.mark.parametrize(
    ("error", "once"),
    [
        (TransientError("503"), "the network and the service are back"),
        (Unreachable("no route"), "the network and the service are back"),
        (ConnectionLost("no route"), "the connection is back"),
        (ServiceDown("503"), "the service is back"),
        (SourceLost("ESTALE"), "the file can be read"),
        (CredentialsRejected("403"), "the credentials are accepted"),
        (CredentialsExpired("403"), "the credentials are renewed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, UploadError) else "",
)
def test_a_failure_that_may_pass_says_that_no_upload_was_started_and_when_to_run_it_again(
    error: UploadError, once: str
) -> None:
    lines = ending(Outcome(status=Status.FAILED, error=error))
    assert lines[-1] == f"no upload was started; run this again once {once}"


def test_a_failure_that_will_not_pass_is_not_to_be_run_again() -> None:
    lines = ending(Outcome(status=Status.FAILED, error=AccessDenied("403")))
    assert not any("run this again" in line for line in lines)


def test_an_aborted_upload_says_what_would_have_kept_it() -> None:
    line = ending(outcome(Status.ABORTED, BareRefusal("400")))[-1]
    assert "aborted" in line
    assert "--finish-upload False" in line


@pytest.mark.parametrize(
    ("error", "probably", "may_be_open"),
    [(SENT, True, False), (NONE_SENT, False, False), (NO_LIST, False, True), (None, False, True)],
    ids=["completion sent", "gone", "no list", "another error"],
)
def test_an_unknown_ending_says_how_to_find_out(
    error: UploadError | None, *, probably: bool, may_be_open: bool
) -> None:
    made = outcome(Status.UNKNOWN, error, tree_hash="7d10", region="eu-west-1")
    lines = ending(made, "--account-id=123456789012", "--profile=backup")
    text = "\n".join(lines)
    assert ("very probably stored" in text) is probably
    assert ("It is not known whether the archive was stored." in lines) is not probably
    for fact in ("tree hash: 7d10", "description: mine", f"size: {5 * MIB}"):
        assert fact in lines
    (look,) = [line for line in lines if "inventory" in line]
    assert look.endswith(
        f": aws glacier initiate-job --account-id 123456789012 --vault-name {VAULT} "
        "--job-parameters Type=inventory-retrieval --region eu-west-1 --profile backup"
    )
    assert ("--upload-id=an-id" in lines[-1]) is may_be_open


def test_a_rehearsal_whose_end_is_not_known_is_looked_for_in_its_folder() -> None:
    text = "\n".join(ending(outcome(Status.UNKNOWN, NONE_SENT), "--rehearse", "stand-in"))
    assert str(Path("stand-in", "archives")) in text
    assert "aws glacier" not in text


def test_a_completed_upload_says_what_the_archive_id_is_for() -> None:
    assert ending(outcome(Status.COMPLETED, archive=ARCHIVE)) == [
        "Done. Keep the archive id: you need it to retrieve or delete the archive."
    ]


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.STORED])
def test_an_interruption_that_came_too_late_says_so(status: Status) -> None:
    line, *_ = ending(outcome(status, archive=ARCHIVE), interrupted=True)
    assert line.startswith("interrupted, but too late: ")


def test_an_upload_whose_blocks_are_all_stored_is_to_be_finished() -> None:
    *_, before, command = ending(outcome(Status.STORED))
    assert before == "every block is stored; to finish, run:"
    assert "--upload-id=an-id" in command


def test_an_upload_of_which_a_part_was_asked_for_says_what_is_left() -> None:
    first, *_, before, _ = ending(outcome(Status.STORED, missing=(0, 3)))
    assert first == "every block that was asked for is stored; 2 of 5 blocks left (0, 3)"
    assert before == "to resume, run:"


def test_a_vault_that_is_not_there_is_named_in_the_command_that_makes_it() -> None:
    made = Outcome(status=Status.FAILED, error=VaultNotFound("no vault"), region="eu-west-1")
    what, step = ending(made, "--profile", "backup")
    assert what == "error: no vault"
    assert step.endswith(
        f"aws glacier create-vault --account-id - --vault-name {VAULT} --region eu-west-1 "
        "--profile backup"
    )


def test_a_rehearsal_names_the_archives_file() -> None:
    made = outcome(Status.COMPLETED, archive=ARCHIVE)
    line = ending(made, "--rehearse", "stand-in")[-1]
    assert line.endswith(f"'{Path('stand-in', 'archives', 'an-archive')}'")


def test_a_run_that_ended_at_its_stop_time_says_so_and_is_no_failure() -> None:
    at = outcome(Status.OPEN, stop_time=StopAt(datetime(2026, 11, 24, 7)), missing=(3,))
    assert ending(at, "--stop-at=07:00")[0] == "stopped at 07:00 as asked"
    assert "--stop-at=07:00" in ending(at, "--stop-at=07:00")[-1]
    after = outcome(Status.OPEN, stop_time=StopAfter(5400))
    assert ending(after)[0] == "stopped after 1:30:00 as asked"
    assert ending(after, interrupted=True)[:1] == ["interrupted"]
    nothing = Outcome(status=Status.OPEN, stop_time=StopAfter(1))
    assert ending(nothing)[:2] == ["stopped after 0:00:01 as asked", "to try again, run:"]


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.UNKNOWN])
def test_the_folder_of_a_rehearsal_ends_no_line_whatever_its_name(status: Status) -> None:
    made = outcome(status, NONE_SENT if status is Status.UNKNOWN else None, archive=ARCHIVE)
    text = "\n".join(ending(made, "--rehearse=a\x1b[31m\nb"))
    assert r"'a\x1b[31m\nb" in text
    assert "\x1b" not in text


# -- a stream


def of_stream(made: Outcome, *arguments: str) -> list[str]:
    return ending_lines(made, asked(*arguments), interrupted=False)


def test_a_stream_that_was_not_read_to_its_end_has_no_blocks_left_and_is_to_be_given_again() -> (
    None
):
    made = outcome(Status.OPEN, StreamBroken("EIO"), plan=None)
    *_, stays, what, command = of_stream(made, "--source-path=-")
    assert stays.startswith("the upload stays open")
    assert what == ("to resume, run with the same stream, from its beginning, on standard input:")
    assert command.endswith("--upload-id=an-id")


@pytest.mark.parametrize("quiet", [True, False])
def test_what_a_failed_command_said_is_shown_where_it_was_not_before(*, quiet: bool) -> None:
    failed = CommandFailed("exit status 2", said=("tar: /data: no such file", "giving up"))
    flags = ["--quiet"] if quiet else []
    lines = of_stream(outcome(Status.OPEN, failed, plan=None), *flags, "--", "/bin/tar", "c", "x")
    said = ["tar: /data: no such file", "tar: giving up"] if quiet else []
    assert lines[: len(said) + 1] == [*said, "error: exit status 2"]
    in_shell = of_stream(
        outcome(Status.OPEN, failed, plan=None), *flags, "--source-command=tar c x"
    )
    assert ("command: giving up" in in_shell) is quiet


def test_a_command_that_failed_before_an_upload_was_begun_may_be_run_again() -> None:
    lines = of_stream(
        Outcome(status=Status.FAILED, error=CommandFailed("exit status 2")), "--", "x"
    )
    assert lines[-1] == "no upload was started; run this again once the command succeeds"


def test_a_stream_that_does_not_fit_is_not_resumed_but_begun_anew() -> None:
    made = outcome(Status.OPEN, StreamTooLong("too long", block_size=MIB), plan=None)
    *_, what, command = of_stream(made, "--upload-id=an-id", "--", "tar", "c", "x")
    assert what.startswith("to start a new upload with larger blocks, run")
    assert command.endswith("--blocksize=2 -- tar c x")
    assert not any(line.startswith("to resume") for line in of_stream(made, "--", "x"))
    largest = replace(made, error=StreamTooLong("too long", block_size=4096 * MIB))
    assert of_stream(largest, "--", "x")[-1].startswith("the upload stays open")


def test_an_upload_that_holds_more_than_the_stream_is_not_to_be_finished() -> None:
    made = outcome(Status.OPEN, StreamTooShort("too short"), unproven=())
    text = "\n".join(of_stream(made, "--source-path=-"))
    assert "to finish" not in text
    assert "to resume, run with the same stream" in text
