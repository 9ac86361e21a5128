"""What is said at the end: exit codes, lines, the JSON object; and what no output may contain."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from glacier_mpu.cli.options import Options, UsageError, parse
from glacier_mpu.cli.report import (
    ExitCode,
    as_receipt,
    as_record,
    exit_code,
    result_lines,
    went_as_asked,
)
from glacier_mpu.cli.request import look
from glacier_mpu.errors import SourceUnreadable, StreamBroken, StreamTooLong, UploadError
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import SECRET_KEY
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.transfer.deadline import StopAt
from glacier_mpu.transfer.request import Outcome, Status
from glacier_mpu.vault.answers import Archive
from glacier_mpu.vault.errors import (
    BareRefusal,
    CompletionUnknown,
    TransientError,
)
from tests.support.asked import asked
from tests.support.scripts import VAULT, Ended, run, script_parser

MakeFile = Callable[..., Path]
MEMBERS = [
    *("status", "vault", "description", "sourcePath", "sourceCommand"),
    *("archiveId", "location", "treeHash"),
    *("size", "uploadId", "blockSize", "blocks"),
    *("failedBlocks", "missingBlocks", "seconds", "bytesSent", "bytesSkipped", "retries"),
    *("resumeCommand", "expires", "error"),
]
PLAN = Plan(5 * MIB, MIB)
NIGHT = datetime(2026, 11, 24, 20, 33, 59, 999_999, tzinfo=timezone.utc)
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


def test_a_run_that_a_signal_ended_after_its_stop_time_has_something_to_say() -> None:
    at = outcome(Status.OPEN, stop_time=StopAt(datetime(2026, 11, 24, 7)))
    assert went_as_asked(at, exit_code(at))
    assert not went_as_asked(at, exit_code(at, signal=2))
    assert not went_as_asked(outcome(Status.OPEN), ExitCode.OPEN)


def test_a_run_that_ended_at_its_stop_time_is_no_failure() -> None:
    at = outcome(Status.OPEN, stop_time=StopAt(datetime(2026, 11, 24, 7)), missing=(3,))
    assert exit_code(at) == ExitCode.OPEN
    assert as_record(at, options(), seconds=1)["error"] is None


# -- the JSON object


@pytest.mark.parametrize(
    ("source", "path", "command"),
    [
        (["--source-path", "-"], "-", None),
        (["--source-command", "tar c /data | zstd"], None, "tar c /data | zstd"),
        (["--", "tar", "c", "/data"], None, "tar c /data"),
    ],
    ids=["stdin", "line", "program"],
)
def test_the_record_and_the_receipt_name_the_stream(
    source: list[str], path: str | None, command: str | None
) -> None:
    made, request = look(asked(*source))
    done = outcome(Status.COMPLETED, archive=ARCHIVE)
    record = as_record(done, made, seconds=1)
    receipt = as_receipt(record, done, request, made, began=NIGHT)
    for told in (record, receipt):
        assert (told["sourcePath"], told["sourceCommand"]) == (path, command)
    assert receipt["sourceModified"] is None


def test_an_upload_that_cannot_hold_the_stream_has_no_command_that_resumes_it() -> None:
    for error, resumes in ((StreamTooLong("x", block_size=MIB), False), (StreamBroken("x"), True)):
        record = as_record(outcome(Status.OPEN, error, plan=None), asked("--", "tar"), seconds=1)
        assert (record["resumeCommand"] is not None) is resumes
        assert (record["size"], record["blocks"], record["blockSize"]) == (None, None, None)


@pytest.mark.usefixtures("in_india")
def test_the_record_says_when_the_upload_may_expire_with_its_offset() -> None:
    record = as_record(outcome(Status.OPEN, expires=NIGHT), options(), seconds=1)
    assert record["expires"] == "2026-11-24T20:33:59+00:00"
    assert as_record(outcome(Status.OPEN), options(), seconds=1)["expires"] is None


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


def test_every_ending_says_which_file_was_for_which_vault(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(MIB)
    mine = ["--output", "json", "--comment", "mine"]
    completed = json.loads(upload(server, source, *mine).out)
    refused = json.loads(upload(server, source, *mine, "--source-path", "nowhere").out)
    of_file = ["vault", "description", "sourcePath"]
    assert [completed[name] for name in of_file] == [VAULT, "mine", str(source)]
    here = os.path.join(os.getcwd(), "nowhere")
    assert [refused[name] for name in of_file] == [VAULT, "mine", here]
    senseless = json.loads(run("GlacierMPU.py", "--output", "json", "--nonsense").out)
    assert [senseless[name] for name in of_file] == [None, None, None]


def test_the_description_in_the_object_is_the_open_uploads_own(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(2 * MIB)
    part = ["--output", "json", "--end", 0, "--finish-upload", "False", "--comment", ""]
    upload_id = json.loads(upload(server, source, *part).out)["uploadId"]
    again = ["--output", "json", "--upload-id", upload_id, "--comment", "another"]
    assert json.loads(upload(server, source, *again).out)["description"] == ""


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
