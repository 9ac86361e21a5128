"""What is said at the end: exit codes, lines, the JSON object; and what no output may contain."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from glacier_mpu.cli.options import Options, UsageError, parse
from glacier_mpu.cli.report import (
    ExitCode,
    as_record,
    ending_lines,
    exit_code,
    plan_lines,
    plan_record,
    result_lines,
)
from glacier_mpu.errors import SourceLost, SourceUnreadable, UploadError
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import SECRET_KEY
from glacier_mpu.source.blocks import MIB, Plan
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
)
from tests.support.scripts import VAULT, Ended, run, script_parser

MakeFile = Callable[..., Path]
MEMBERS = [
    *("status", "archiveId", "location", "treeHash", "size", "uploadId", "blockSize", "blocks"),
    *("failedBlocks", "missingBlocks", "seconds", "bytesSent", "bytesSkipped", "retries"),
    *("resumeCommand", "expires", "error"),
]
PLAN = Plan(5 * MIB, MIB)
ARCHIVE = Archive("an-archive", "/1/vaults/photos/archives/an-archive", "7d10", 5 * MIB)
NONE_SENT = CompletionUnknown("gone", sent=False)
SENT = CompletionUnknown("no answer", sent=True)
NO_LIST = CompletionUnknown("no answer, no list", sent=False, gone=False)


def options(*arguments: str) -> Options:
    words = ["--source-path", "/a file.zip", "--vault", VAULT, *arguments]
    return parse(script_parser("GlacierMPUP.py"), words, command=["/GlacierMPUP.py"])


def outcome(status: Status, error: UploadError | None = None, **facts: object) -> Outcome:
    usual: dict[str, object] = {"upload_id": "an-id", "plan": PLAN, "description": "mine"}
    return Outcome(status=status, error=error, **(usual | facts))  # type: ignore[arg-type]


def ending(made: Outcome, *arguments: str, interrupted: bool = False) -> list[str]:
    return ending_lines(made, options(*arguments), interrupted=interrupted)


# -- the exit code


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (Status.COMPLETED, None, ExitCode.DONE),
        (Status.STORED, None, ExitCode.DONE),
        (Status.OPEN, SourceUnreadable("EIO"), ExitCode.OPEN),
        (Status.ABORTED, BareRefusal("400"), ExitCode.FAILED),
        (Status.FAILED, TransientError("503"), ExitCode.FAILED),
        (Status.FAILED, None, ExitCode.FAILED),
        (Status.FAILED, UsageError("--vault"), ExitCode.BAD_INPUT),
        (Status.UNKNOWN, NONE_SENT, ExitCode.UNKNOWN),
    ],
)
def test_the_exit_code_says_what_the_caller_can_do(
    status: Status, error: UploadError | None, code: int
) -> None:
    assert exit_code(Outcome(status=status, error=error)) == code


@pytest.mark.parametrize("status", Status)
def test_an_interrupted_run_says_so_unless_it_is_done_or_nobody_knows(status: Status) -> None:
    code = exit_code(Outcome(status=status), signal=15)
    said_otherwise = {Status.COMPLETED: 0, Status.STORED: 0, Status.UNKNOWN: 4}
    assert code == said_otherwise.get(status, 128 + 15)


# -- the lines


def test_stdout_has_the_archive() -> None:
    assert result_lines(outcome(Status.COMPLETED, archive=ARCHIVE)) == [
        "archive-id: an-archive",
        "location: /1/vaults/photos/archives/an-archive",
        "tree-hash: 7d10",
        f"size: {5 * MIB}",
    ]


@pytest.mark.parametrize("status", [Status.OPEN, Status.STORED])
def test_stdout_has_the_open_upload_and_its_missing_blocks(status: Status) -> None:
    made = outcome(status, missing=(0, 3, 4))
    assert result_lines(made) == ["upload-id: an-id", "blocks-missing: 0, 3-4"]
    assert result_lines(outcome(status))[1] == "blocks-missing: none"


def test_stdout_names_no_blocks_of_an_upload_that_is_not_known() -> None:
    """`--resume` whose list of open uploads fails: there may be an upload, or none."""
    assert result_lines(Outcome(status=Status.OPEN)) == []


def test_stdout_calls_no_block_stored_before_the_vault_was_heard() -> None:
    """`--upload-id` whose list of stored blocks fails: every block may be missing."""
    assert result_lines(Outcome(status=Status.OPEN, upload_id="an-id")) == ["upload-id: an-id"]


@pytest.mark.parametrize("status", [Status.FAILED, Status.ABORTED, Status.UNKNOWN])
def test_stdout_is_empty_where_there_is_no_result(status: Status) -> None:
    assert result_lines(outcome(status)) == []


@pytest.mark.parametrize("missing", [(), (0, 3)])
@pytest.mark.parametrize("status", [Status.OPEN, Status.STORED])
def test_the_last_line_of_an_open_upload_is_the_command_that_resumes_it(
    status: Status, missing: tuple[int, ...]
) -> None:
    assert ending(outcome(status, missing=missing))[-1].endswith("--upload-id=an-id")


@pytest.fixture
def in_india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine stand where the time is 5:30 hours ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "IST-5:30")
        time.tzset()
        yield
    time.tzset()


NIGHT = datetime(2026, 11, 24, 20, 33, 59, 999_999, tzinfo=timezone.utc)


@pytest.mark.usefixtures("in_india")
@pytest.mark.parametrize("status", [Status.OPEN, Status.STORED])
def test_the_line_before_the_command_says_when_the_upload_may_expire_by_this_machines_time(
    status: Status,
) -> None:
    line = ending(outcome(status, expires=NIGHT))[-2]
    assert "may expire on 2026-11-25 at 02:03, a day after its last activity" in line


@pytest.mark.parametrize("status", [Status.OPEN, Status.STORED])
def test_where_the_last_activity_is_not_known_no_time_is_said(status: Status) -> None:
    line = ending(outcome(status))[-2]
    assert "may expire a day after its last activity" in line


def test_where_no_upload_is_known_none_expires() -> None:
    lines = ending(Outcome(status=Status.OPEN), "--resume")
    assert not any("expire" in line for line in lines)
    assert lines[-1].endswith("--resume")


@pytest.mark.usefixtures("in_india")
def test_the_record_says_when_the_upload_may_expire_with_its_offset() -> None:
    record = as_record(outcome(Status.OPEN, expires=NIGHT), options(), seconds=1)
    assert record["expires"] == "2026-11-24T20:33:59+00:00"
    assert as_record(outcome(Status.OPEN), options(), seconds=1)["expires"] is None


def test_the_command_comes_after_the_error_its_next_step_and_the_failed_blocks() -> None:
    made = outcome(Status.OPEN, SourceUnreadable("EIO"), failed=(2, 4), missing=(2, 4))
    lines = ending(made, interrupted=True)
    assert lines[:2] == ["interrupted", "EIO"]
    assert "disk" in lines[2]
    assert lines[3] == "failed blocks: 2, 4"
    assert "--upload-id=an-id" in lines[-1]


def test_an_interrupted_run_says_whether_an_upload_may_have_been_started() -> None:
    none = Outcome(status=Status.FAILED)
    assert ending(none, interrupted=True) == ["interrupted", "no upload was started"]
    maybe = Outcome(status=Status.FAILED, may_have_begun=True)
    assert ending(maybe, interrupted=True)[1:] == [
        "an upload may have been started; --resume finds it, or starts one"
    ]


def test_a_failure_after_which_there_may_be_an_upload_does_not_deny_it() -> None:
    lost = Outcome(status=Status.FAILED, error=ConnectionLost("no route"), may_have_begun=True)
    maybe = "an upload may have been started; "
    assert (
        ending(lost)[-1] == f"{maybe}once the connection is back, --resume finds it, or starts one"
    )
    denied = Outcome(status=Status.FAILED, error=AccessDenied("403"), may_have_begun=True)
    assert ending(denied)[-1] == f"{maybe}--resume finds it, or starts one"


def test_a_run_with_resume_says_that_there_may_be_an_upload_only_where_there_may_be() -> None:
    assert ending(Outcome(status=Status.OPEN), "--resume")[-2] == "to try again:"
    maybe = Outcome(status=Status.OPEN, may_have_begun=True)
    assert ending(maybe, "--resume")[-2] == "an upload may have been started; to try again:"


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
    lines = ending(outcome(Status.UNKNOWN, error, tree_hash="7d10"), "--account-id=123456789012")
    text = "\n".join(lines)
    assert ("very probably stored" in text) is probably
    for fact in ("tree hash: 7d10", "description: mine", f"size: {5 * MIB}", "inventory"):
        assert fact in text
    job = next(line for line in lines if line.startswith("aws glacier initiate-job"))
    assert "--account-id=123456789012" in job
    assert f"--vault-name={VAULT}" in job
    assert ("--upload-id=an-id" in lines[-1]) is may_be_open


def test_a_rehearsal_names_the_archives_file() -> None:
    made = outcome(Status.COMPLETED, archive=ARCHIVE)
    line = ending(made, "--rehearse", "stand-in")[-1]
    assert line.endswith(str(Path("stand-in", "archives", "an-archive")))


# -- the dry run


def test_a_dry_run_counts_the_requests() -> None:
    record = plan_record(options("--start=1", "--end=2", "--finish-upload=False"), PLAN)
    assert (record["blocksToSend"], record["requests"]) == ("1-2", 3)
    assert plan_record(options(), PLAN)["requests"] == 5 + 2
    assert plan_record(options("--upload-id=x"), PLAN)["requests"] == 5 + 1


def test_a_dry_run_says_whether_the_last_block_is_shorter_and_the_block_size_may_change() -> None:
    lines = plan_lines(options("--resume"), Plan(5 * MIB + 1, MIB))
    assert "last-block: 5 (1 bytes, shorter than the others)" in lines
    assert "an open upload keeps its own" in lines[1]
    assert "an open upload keeps its own" not in plan_lines(options(), PLAN)[1]


# -- the JSON object


def test_the_record_of_an_outcome_that_crossed_a_process_is_the_same() -> None:
    made = outcome(Status.OPEN, SourceUnreadable("EIO"), failed=(2,), missing=(2,), retries=3)
    copy = pickle.loads(pickle.dumps(made))
    assert as_record(copy, options(), seconds=1) == as_record(made, options(), seconds=1)


def upload(server: RehearsalServer, source: Path, *arguments: object) -> Ended:
    words = ["--source-path", source, "--vault", VAULT, "--blocksize", 1]
    return run("GlacierMPUP.py", *words, *arguments, server=server)


def test_every_ending_is_one_json_object_with_the_same_members(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(3 * MIB)
    stored = upload(server, source, "--output", "json", "--end", 0, "--finish-upload", "False")
    upload_id = json.loads(stored.out)["uploadId"]
    again = ["--upload-id", upload_id, "--output=json"]
    endings = {
        "stored": stored,
        "open": upload(server, source, *again, "--start", 2),
        "completed": upload(server, source, *again),
        "failed": upload(server, source, *again, "--vault", "elsewhere"),
        "failed ": upload(server, source, "--output", "json", "--start", 7),
        "failed  ": run("GlacierMPU.py", "--output", "json", "--nonsense"),
        "failed   ": upload(server, source, "--output", "json", "--source-path", "nowhere"),
    }
    for status, ended in endings.items():
        record = json.loads(ended.out)
        assert record["status"] == status.strip(), ended.err
        assert list(record) == MEMBERS
        assert len(ended.out.splitlines()) == 1


def test_the_object_counts_what_was_done(server: RehearsalServer, make_file: MakeFile) -> None:
    source = make_file(3 * MIB + 5)
    stored = upload(server, source, "--output", "json", "--end", 0, "--finish-upload", "False")
    first = json.loads(stored.out)
    assert first["missingBlocks"] == [1, 2, 3]
    assert first["bytesSent"] == MIB
    assert "--upload-id" in first["resumeCommand"]
    assert datetime.fromisoformat(first["expires"]) > datetime.now(timezone.utc)
    last = json.loads(
        upload(server, source, "--output", "json", "--upload-id", first["uploadId"]).out
    )
    assert (last["bytesSent"], last["bytesSkipped"]) == (2 * MIB + 5, MIB)
    assert (last["size"], last["blockSize"], last["blocks"]) == (3 * MIB + 5, MIB, 4)
    assert last["resumeCommand"] is last["expires"] is last["error"] is None


def test_an_error_of_the_service_keeps_its_code_and_request_id(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    ended = upload(server, make_file(5), "--output", "json", "--upload-id", "unknown")
    error = json.loads(ended.out)["error"]
    assert error["code"] == "ResourceNotFoundException"
    assert error["requestId"]
    assert error["requestId"] in ended.err


# -- what is not to be seen, and what is


def test_unencrypted_data_to_another_machine_is_warned_of(make_file: MakeFile) -> None:
    """Nothing is sent: without credentials the first call fails before it leaves the machine."""
    words = ["--source-path", make_file(5), "--vault", "v", "--region", "eu-west-1", "--quiet"]
    clear = run("GlacierMPU.py", *words, "--endpoint-url", "http://glacier.example")
    assert "sent unencrypted" in clear.err
    safe = run("GlacierMPU.py", *words, "--endpoint-url", "https://glacier.example")
    assert "sent unencrypted" not in safe.err


@pytest.mark.parametrize("how", ["--verbose", "--quiet", "--output=json"])
def test_no_secret_and_no_signature_is_ever_shown(
    server: RehearsalServer, make_file: MakeFile, tmp_path: Path, how: str
) -> None:
    receipts = tmp_path / "receipts"
    endings = [
        upload(server, make_file(5), how, "--receipts", receipts),
        upload(server, make_file(5), how, "--vault", "elsewhere"),
        upload(server, make_file(5), how, "--account-id", "123456789012"),
    ]
    shown = "".join(ended.out + ended.err for ended in endings) + receipts.read_text()
    assert shown
    for secret in (SECRET_KEY, "Signature=", "AWS4-HMAC", "Authorization"):
        assert secret not in shown
