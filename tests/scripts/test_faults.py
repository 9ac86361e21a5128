"""Every fault, at every call, in both scripts: one intact archive, or an open upload and advice.

The scripts run in this process, through the very `main` that their files call, with waits of
milliseconds between two tries.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest
import trustme
from botocore.utils import calculate_tree_hash

from glacier_mpu.rehearsal.http import Handler
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import Answer, Call
from glacier_mpu.vault.tls import pieces_have_a_size
from tests.support import faults
from tests.support.engine import carry_out
from tests.support.faults import FOREVER, Act, Fault, FaultyHandler, faulty
from tests.support.in_process import (
    BOTH,
    MIB,
    QUICK,
    SOON,
    End,
    MakeFile,
    archives,
    assert_one_intact_archive,
    glacier,
    glacier_over_tls,
    handler_of,
    open_uploads,
    uploads_ever,
)
from tests.support.proxy import ConnectProxy, connect_proxy
from tests.support.scripts import VAULT, client_of
from tests.support.wire_client import wait_until

CALLS = {
    "initiate": "InitiateMultipartUpload",
    "a block": "UploadMultipartPart",
    "list the blocks": "ListParts",
    "list the uploads": "ListMultipartUploads",
    "complete": "CompleteMultipartUpload",
}

PASSING: dict[str, Act] = {
    "cut before anything is read": faults.cut_before_reading,
    "cut in the middle of the body": faults.cut_in_the_middle,
    "answer lost": faults.lose_the_answer,
    "answer cut short": faults.cut_the_answer,
    "answer stalled": faults.never_answer,
    "408": faults.refuse(408, "RequestTimeoutException", "Request timed out."),
    "408 bare": faults.answer_bare(408),
    "429": faults.refuse(429, "TooManyRequestsException"),
    "500": faults.refuse(500, "ServiceUnavailableException"),
    "502": faults.answer_bare(502),
    "503": faults.answer_bare(503),
    "504": faults.answer_bare(504),
    "throttling": faults.refuse(400, "ThrottlingException", "Rate exceeded"),
}


@BOTH
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", PASSING)
def test_passing_trouble_ends_in_one_intact_archive(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    script: str,
    call: str,
    fault: str,
) -> None:
    source = make_file(3 * MIB + 1)
    folder = tmp_path / "glacier"
    first: list[object] = []
    if call.startswith("list"):  # only a continued upload is listed
        with glacier(folder) as server:
            run(script, server, source, "--blocksize", 1, "--end", 1, "--finish-upload", "False")
        first = ["--resume"]
    unlucky = Fault(CALLS[call], PASSING[fault])
    with glacier(folder, unlucky) as server:
        end = run(script, server, source, *(first or ["--blocksize", 1]))
        assert end.code == 0, end.err
        assert unlucky.met, "the fault was not met"
        assert_one_intact_archive(server, source)
    assert end.record["status"] == "completed"
    assert end.record["retries"] >= 1  # type: ignore[operator]
    assert "retrying" in end.err


@pytest.mark.parametrize("call", ["a block", "complete"])
@pytest.mark.parametrize("fault", PASSING)
def test_passing_trouble_on_an_encrypted_line_ends_in_one_intact_archive(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    trusted: trustme.CA,
    call: str,
    fault: str,
) -> None:
    source = make_file(3 * MIB + 1)
    unlucky = Fault(CALLS[call], PASSING[fault])
    with glacier_over_tls(tmp_path / "glacier", unlucky, authority=trusted) as server:
        end = run("GlacierMPUP.py", server, source, "--blocksize", 1)
        assert end.code == 0, end.err
        assert unlucky.met, "the fault was not met"
        assert_one_intact_archive(server, source)
    assert end.record["retries"] >= 1  # type: ignore[operator]


@contextmanager
def behind_a_proxy(
    server: RehearsalServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ConnectProxy]:
    """Give the stand-in a name that only a proxy finds: this machine itself needs none."""
    port = server.endpoint_url.rpartition(":")[2]
    server.endpoint_url = f"https://glacier.example:{port}"
    with connect_proxy(port=int(port)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        yield proxy


@pytest.mark.parametrize("way", ["in the clear", "encrypted", "through a proxy"])
def test_a_refusal_before_the_end_of_the_body_is_heard(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    trusted: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    source = make_file(16 * MIB)
    refusal = faults.refuse_early(403, "ExpiredTokenException")
    unlucky = Fault(CALLS["a block"], refusal, times=FOREVER)
    with ExitStack() as stack:
        if way == "in the clear":
            server = stack.enter_context(glacier(tmp_path / "glacier", unlucky))
        else:
            host = "127.0.0.1" if way == "encrypted" else "glacier.example"
            server = stack.enter_context(
                glacier_over_tls(tmp_path / "glacier", unlucky, authority=trusted, host=host)
            )
        if way == "through a proxy":
            proxy = stack.enter_context(behind_a_proxy(server, monkeypatch))
        end = run("GlacierMPU.py", server, source, "--retry-minutes", 0)
    assert end.code == 3, end.err
    assert end.error_code == "ExpiredTokenException"
    assert end.record["retries"] == 0
    if way == "through a proxy":
        assert proxy.asked[0].startswith("CONNECT glacier.example:")


@BOTH
def test_a_certificate_for_another_host_ends_the_run_before_anything_is_sent(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    trusted: trustme.CA,
    script: str,
) -> None:
    source = make_file(MIB)
    with glacier_over_tls(
        tmp_path / "glacier", authority=trusted, host="glacier.example"
    ) as server:
        end = run(script, server, source, "--retry-minutes", 0)
        assert end.code == 1
        assert "CA certificates" in end.err
        assert handler_of(server).calls == []


@BOTH
def test_a_certificate_that_nobody_vouches_for_ends_the_run_before_anything_is_sent(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    authority: trustme.CA,
    script: str,
) -> None:
    source = make_file(MIB)
    with glacier_over_tls(tmp_path / "glacier", authority=authority) as server:
        end = run(script, server, source, "--retry-minutes", 0)
        assert end.code == 1
        assert "CA certificates" in end.err
        assert handler_of(server).calls == []


@pytest.mark.skipif(not pieces_have_a_size(), reason="this urllib3 has pieces of its own size")
@pytest.mark.parametrize("proxied", [False, True])
def test_a_block_leaves_in_pieces_of_many_tls_records(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    trusted: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    proxied: bool,
) -> None:
    pieces: list[int] = []

    class Counting(socket.socket):
        def send(self, data: Any, *flags: int) -> int:
            pieces.append(len(data))
            return super().send(data, *flags)

    source = make_file(4 * MIB)
    host = "glacier.example" if proxied else "127.0.0.1"
    with (
        glacier_over_tls(tmp_path / "glacier", authority=trusted, host=host) as server,
        behind_a_proxy(server, monkeypatch) if proxied else nullcontext(),
    ):
        monkeypatch.setattr(socket, "socket", Counting)
        assert run("GlacierMPU.py", server, source, "--blocksize", 4).code == 0
    # If this fails, botocore or urllib3 have moved what `vault.client` looks for.
    assert len([size for size in pieces if size > MIB // 4]) == 16


@BOTH
@pytest.mark.parametrize(
    ("act", "times"),
    [
        (faults.echo_another_hash, 1),
        (faults.answer_bare(400), 3),
        (
            faults.refuse(
                403,
                "InvalidSignatureException",
                "The value passed in as x-amz-content-sha256 does not match the computed payload "
                "hash. Computed digest: 0 expected hash: 1",
            ),
            1,
        ),
        (faults.refuse(400, "InvalidParameterValueException", "Checksum mismatch: expected 0"), 1),
    ],
    ids=["another hash echoed", "a random bare 400", "payload hash 403", "tree hash 400"],
)
def test_a_block_that_was_damaged_on_its_way_is_sent_again(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    script: str,
    act: Act,
    times: int,
) -> None:
    source = make_file(3 * MIB + 1)
    with glacier(tmp_path / "g", Fault(CALLS["a block"], act, times=times, after=1)) as server:
        end = run(script, server, source, "--blocksize", 1)
        assert end.code == 0, end.err
        assert end.record["retries"] == times
        assert_one_intact_archive(server, source)


@BOTH
@pytest.mark.parametrize("call", ["a block", "complete"])
def test_trouble_that_lasts_is_tried_until_it_passes(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str, call: str
) -> None:
    source = make_file(3 * MIB + 1)
    folder = tmp_path / "g"
    unlucky = Fault(CALLS[call], faults.cut_before_reading, times=5)
    with glacier(folder, unlucky) as server:
        end = run(script, server, source, "--blocksize", 1)
        assert end.code == 0, end.err
        assert end.record["retries"] == 5
        assert_one_intact_archive(server, source)


@BOTH
def test_trouble_that_does_not_pass_keeps_what_is_stored_with_resume(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(4 * MIB)
    folder = tmp_path / "g"
    trouble = Fault(CALLS["a block"], faults.answer_bare(503), times=FOREVER, after=2)
    with glacier(folder, trouble) as server:
        end = run(script, server, source, "--blocksize", 1, "--resume", "--retry-minutes", "0.001")
        assert end.code == 3, end.err
        assert end.record["status"] == "open"
        assert len(open_uploads(server)) == 1
        assert "--resume" in end.err.splitlines()[-1]
    with glacier(folder) as server:
        end = run(script, server, source, "--resume")
        assert end.code == 0, end.err
        assert end.record["bytesSent"] == 2 * MIB
        assert end.record["bytesSkipped"] == 2 * MIB
        assert_one_intact_archive(server, source)


def test_the_serial_script_aborts_by_default_what_it_cannot_finish(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(4 * MIB)
    trouble = Fault(CALLS["a block"], faults.answer_bare(503), times=FOREVER, after=1)
    with glacier(tmp_path / "g", trouble) as server:
        end = run("GlacierMPU.py", server, source, "--blocksize", 1, "--retry-minutes", 0)
        assert end.code == 1
        assert end.record["status"] == "aborted"
        assert "--finish-upload False" in end.err
        assert open_uploads(server) == []


def test_the_serial_script_keeps_it_without_completion(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(4 * MIB)
    trouble = Fault(CALLS["a block"], faults.answer_bare(503), times=FOREVER, after=1)
    with glacier(tmp_path / "g", trouble) as server:
        end = run(
            *("GlacierMPU.py", server, source, "--blocksize", 1, "--retry-minutes", 0),
            *("--finish-upload", "False"),
        )
        assert end.code == 3
        assert end.record["missingBlocks"] == [1, 2, 3]
        assert handler_of(server).calls.count(CALLS["a block"]) == 2
        assert len(open_uploads(server)) == 1


def test_an_abort_that_fails_leaves_the_upload_open_and_says_so(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(2 * MIB)
    unlucky = [
        Fault(CALLS["a block"], faults.answer_bare(503), times=FOREVER),
        Fault("AbortMultipartUpload", faults.refuse(403, "AccessDeniedException"), times=FOREVER),
    ]
    with glacier(tmp_path / "g", *unlucky) as server:
        end = run("GlacierMPU.py", server, source, "--blocksize", 1, "--retry-minutes", 0)
        assert end.code == 3
        assert "could not be aborted" in end.err
        assert len(open_uploads(server)) == 1


def test_the_parallel_script_goes_on_past_a_block_that_fails(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(6 * MIB)
    refusal = faults.refuse(400, "InvalidParameterValueException", "not this block")
    two_blocks = Fault(CALLS["a block"], refusal, times=FOREVER, blocks=(2, 4))
    with glacier(tmp_path / "g", two_blocks) as server:
        end = run("GlacierMPUP.py", server, source, "--blocksize", 1)
        assert end.code == 3, end.err
        assert end.record["failedBlocks"] == [2, 4]
        assert end.record["missingBlocks"] == [2, 4]
        assert "failed blocks: 2, 4" in end.err
        assert len(open_uploads(server)) == 1


FOR_ALL = {
    "expired credentials": (403, "ExpiredTokenException", "renew"),
    "no permission": (403, "AccessDeniedException", "IAM"),
    "unknown key": (400, "UnrecognizedClientException", "aws configure"),
    "closed service": (400, "NoLongerSupportedException", "2025-12-15"),
}


@pytest.mark.parametrize(("status", "code", "says"), FOR_ALL.values(), ids=FOR_ALL.keys())
def test_what_every_block_would_meet_ends_the_parallel_run_at_once_and_leaves_it_open(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    status: int,
    code: str,
    says: str,
) -> None:
    source = make_file(40 * MIB)
    refusal = Fault(CALLS["a block"], faults.refuse(status, code), times=FOREVER, after=3)
    with glacier(tmp_path / "g", refusal) as server:
        end = run("GlacierMPUP.py", server, source, "--blocksize", 1, "--threads", 2, *SOON)
        assert end.code == 3, end.err
        assert end.error_code == code
        assert says in end.err
        tries = handler_of(server).calls.count(CALLS["a block"])
        assert tries - end.record["retries"] <= 3 + 2  # type: ignore[operator]
        listing = client_of(server).list_parts(vaultName=VAULT, uploadId=open_uploads(server)[0])
        stored = {int(p["RangeInBytes"].split("-")[0]) // MIB for p in listing["Parts"]}
        assert sorted(set(range(40)) - stored) == end.record["missingBlocks"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("ExpiredTokenException", "renew"),
        ("AccessDeniedException", "IAM"),
        ("InvalidAccessKeyId", "aws sts get-caller-identity"),
        ("InvalidToken", "aws sts get-caller-identity"),
        ("OptInRequired", "aws sts get-caller-identity"),
    ],
)
def test_credentials_and_permissions_abort_nothing_in_the_serial_script_either(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, code: str, says: str
) -> None:
    refused = Fault(CALLS["a block"], faults.refuse(403, code), times=FOREVER, after=1)
    with glacier(tmp_path / "g", refused) as server:
        end = run("GlacierMPU.py", server, make_file(3 * MIB), "--blocksize", 1, *SOON)
        assert end.code == 3, end.err
        assert end.error_code == code
        assert says in end.err
        assert end.record["missingBlocks"] == [1, 2]
        assert "AbortMultipartUpload" not in handler_of(server).calls
        assert len(open_uploads(server)) == 1


@BOTH
def test_a_policy_without_complete_leaves_the_upload_open_for_one_with(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(2 * MIB + 1)
    folder = tmp_path / "g"
    denied = Fault(
        CALLS["complete"],
        faults.refuse(
            403,
            "AccessDeniedException",
            "User: x is not authorized to perform: glacier:CompleteMultipartUpload",
        ),
        times=FOREVER,
    )
    with glacier(folder, denied) as server:
        end = run(script, server, source, "--blocksize", 1)
        assert end.code == 3
        assert end.record["missingBlocks"] == []
        assert "glacier:CompleteMultipartUpload" in end.err
    with glacier(folder) as server:
        end = run(script, server, source, "--upload-id", end.record["uploadId"])
        assert end.code == 0, end.err
        assert end.record["bytesSent"] == 0
        assert_one_intact_archive(server, source)


@BOTH
@pytest.mark.parametrize("hours", [-1, 1], ids=["behind", "ahead"])
def test_a_clock_that_is_an_hour_off_is_named_in_words(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str, hours: int
) -> None:
    def their_time() -> datetime:
        return datetime.now(timezone.utc) - timedelta(hours=hours)

    with glacier(tmp_path / "g", now=their_time) as server:
        end = run(script, server, make_file(5))
    assert end.code == 1
    assert "clock" in end.err
    assert f"60 minutes {'ahead' if hours > 0 else 'behind'}" in end.err


@BOTH
def test_a_lost_initiation_is_found_again_and_no_second_one_begun(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(2 * MIB)
    lost = Fault(CALLS["initiate"], faults.lose_the_answer, times=FOREVER)
    with glacier(tmp_path / "g", lost) as server:
        end = run(script, server, source, "--blocksize", 1)
        assert end.code == 0, end.err
        assert_one_intact_archive(server, source)


@BOTH
def test_a_completion_whose_answers_are_all_lost_is_unknown_and_not_failed(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(2 * MIB + 9)
    lost = Fault(CALLS["complete"], faults.lose_the_answer, times=FOREVER)
    with glacier(tmp_path / "g", lost) as server:
        end = run(
            *(script, server, source, "--blocksize", 1, "--comment", "the only copy"),
            *("--retry-minutes", "0.002"),
        )
        assert end.code == 4, end.err
        assert end.record["status"] == "unknown"
        assert str(end.record["treeHash"]) in end.err
        assert str(2 * MIB + 9) in end.err
        assert "the only copy" in end.err
        assert "inventory" in end.err
        assert "AbortMultipartUpload" not in handler_of(server).calls
        assert archives(server) == [source.read_bytes()]


AFTER_A_LOST_ANSWER = {
    "expired credentials": faults.refuse(403, "ExpiredTokenException"),
    "no permission": faults.refuse(403, "AccessDeniedException"),
    "a refusal": faults.refuse(400, "InvalidParameterValueException"),
    "a bare 400": faults.answer_bare(400),
    "no such upload": faults.refuse(404, "ResourceNotFoundException", "not found"),
}


@pytest.mark.parametrize("act", AFTER_A_LOST_ANSWER.values(), ids=AFTER_A_LOST_ANSWER.keys())
def test_whatever_follows_a_lost_answer_to_completion_the_archive_may_be_there(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, act: Act
) -> None:
    unlucky = [
        Fault(CALLS["complete"], faults.lose_the_answer),
        Fault(CALLS["complete"], act, times=FOREVER, after=1),
    ]
    with glacier(tmp_path / "g", *unlucky) as server:
        end = run("GlacierMPU.py", server, make_file(2 * MIB), "--blocksize", 1, *SOON)
        assert end.code == 4, end.err
        assert "very probably stored" in end.err
        assert len(archives(server)) == 1


@pytest.mark.parametrize("percent", range(6, 100, 12))
@pytest.mark.parametrize("call", ["initiate", "a block", "complete"])
def test_an_answer_that_is_cut_anywhere_is_never_taken_for_a_whole_one(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, call: str, percent: int
) -> None:
    source = make_file(2 * MIB + 1)
    cut = Fault(CALLS[call], faults.cut_the_answer_at(percent), times=2)
    with glacier(tmp_path / "g", cut) as server:
        end = run("GlacierMPU.py", server, source, "--blocksize", 1)
        assert end.code == 0, end.err
        assert_one_intact_archive(server, source)
        (archive,) = (server.folder / "archives").iterdir()
        assert end.record["archiveId"] == archive.name


@BOTH
def test_an_archive_whose_answer_never_names_its_hash_is_no_lost_one(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    """The documentation of the call does not promise that header."""
    source = make_file(2 * MIB)
    silent = Fault(CALLS["complete"], faults.leave_the_hash_out, times=FOREVER)
    with glacier(tmp_path / "g", silent) as server:
        end = run(script, server, source, "--blocksize", 1)
        assert end.code == 0, end.err
        assert_one_intact_archive(server, source)


@BOTH
def test_an_upload_that_somebody_aborts_before_completion_is_not_called_probably_stored(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    with glacier(tmp_path / "g") as server:

        def abort() -> None:
            handler_of(server).faults = []
            client = client_of(server)
            (upload,) = client.list_multipart_uploads(vaultName=VAULT)["UploadsList"]
            client.abort_multipart_upload(vaultName=VAULT, uploadId=upload["MultipartUploadId"])

        handler_of(server).faults = [Fault(CALLS["complete"], faults.do(abort))]
        end = run(script, server, make_file(2 * MIB), "--blocksize", 1)
        assert end.code == 4, end.err
        assert "probably stored" not in end.err
        assert archives(server) == []


@BOTH
def test_an_upload_that_is_gone_as_soon_as_it_was_listed_is_not_begun_again(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    """Another run completed it: a new upload would store the file twice."""
    source = make_file(2 * MIB)
    with glacier(tmp_path / "g") as server:
        run("GlacierMPU.py", server, source, "--blocksize", 1, "--finish-upload", "False")

        with RehearsalServer(server.folder, handler=faulty()) as other:
            complete = partial(complete_by_hand, other, source)
            handler_of(server).faults = [Fault(CALLS["list the blocks"], faults.do(complete))]
            end = run(script, server, source, "--resume")
        assert end.code == 4, end.err
        assert len(archives(server)) == 1
        assert uploads_ever(server.folder) == 1


def complete_by_hand(server: RehearsalServer, source: Path) -> None:
    client = client_of(server)
    (upload,) = client.list_multipart_uploads(vaultName=VAULT)["UploadsList"]
    with source.open("rb") as file:
        client.complete_multipart_upload(
            vaultName=VAULT,
            uploadId=upload["MultipartUploadId"],
            archiveSize=str(source.stat().st_size),
            checksum=calculate_tree_hash(file),  # type: ignore[arg-type]  # it takes a file
        )


@BOTH
def test_another_files_upload_of_the_same_comment_is_left_alone(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    first, second = make_file(3 * MIB, "first"), make_file(3 * MIB, "second")
    second.write_bytes(b"other" + bytes(3 * MIB))
    with glacier(tmp_path / "g") as server:
        common = ["--blocksize", 1, "--comment", "weekly"]
        left = run(script, server, first, *common, "--end", 0, "--finish-upload", "False")
        end = run(script, server, second, *common, "--resume")
        assert end.code == 0, end.err
        assert archives(server) == [second.read_bytes()]
        assert open_uploads(server) == [left.record["uploadId"]]


def test_a_run_that_knows_nothing_of_its_completion_ends_with_the_command_that_finds_out(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(2 * MIB)
    unlucky = [
        Fault(CALLS["complete"], faults.lose_the_answer),
        Fault(CALLS["complete"], faults.refuse(403, "ExpiredTokenException"), FOREVER, 1),
        Fault(CALLS["list the uploads"], faults.refuse(403, "ExpiredTokenException"), FOREVER, 1),
    ]
    with glacier(tmp_path / "g", *unlucky) as server:
        end = run("GlacierMPUP.py", server, source, "--blocksize", 1, "--resume", *SOON)
        assert end.code == 4, end.err
        assert f"--upload-id={end.record['uploadId']}" in end.err.splitlines()[-1]
        assert "--resume" not in end.err.splitlines()[-1]


def test_credentials_that_a_refusal_echoes_are_not_shown(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path
) -> None:
    echo = "x-amz-security-token:FwoGZX Credential=AKIA/x, Signature=abcdef0123"
    echoing = Fault(CALLS["initiate"], faults.refuse(403, "SignatureDoesNotMatch", echo))
    with glacier(tmp_path / "g", echoing) as server:
        end = run("GlacierMPU.py", server, make_file(5), "--verbose")
    shown = end.err + json.dumps(end.record)
    assert "SignatureDoesNotMatch" in shown
    for secret in ("FwoGZX", "AKIA/x", "abcdef0123"):
        assert secret not in shown


@BOTH
def test_a_fault_of_the_program_itself_leaves_the_upload_open_and_names_it(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    script: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("glacier_mpu.vault.calls.Vault.send_block", bug)
    with glacier(tmp_path / "g") as server:
        end = run(script, server, make_file(2 * MIB), "--blocksize", 1)
        assert end.code == 3
        assert "ZeroDivisionError" in end.err
        assert "Traceback" in end.err
        assert open_uploads(server) == [end.record["uploadId"]]


def test_an_abort_whose_answer_was_lost_has_aborted(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path
) -> None:
    unlucky = [
        Fault(CALLS["a block"], faults.answer_bare(503), times=FOREVER),
        Fault("AbortMultipartUpload", faults.lose_the_answer),
        Fault(
            "AbortMultipartUpload",
            faults.refuse(404, "ResourceNotFoundException", "not found"),
            times=FOREVER,
            after=1,
        ),
    ]
    with glacier(tmp_path / "g", *unlucky) as server:
        end = run("GlacierMPU.py", server, make_file(5), "--retry-minutes", "0.001")
        assert end.code == 1, end.err
        assert end.record["status"] == "aborted"


@BOTH
def test_a_completion_that_never_arrives_leaves_the_upload_open(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(2 * MIB)
    trouble = Fault(CALLS["complete"], faults.answer_bare(503), times=FOREVER)
    with glacier(tmp_path / "g", trouble) as server:
        end = run(script, server, source, "--blocksize", 1, "--retry-minutes", "0.002")
        assert end.code == 3, end.err
        assert "AbortMultipartUpload" not in handler_of(server).calls
        assert len(open_uploads(server)) == 1


@BOTH
def test_a_completion_that_the_service_is_still_at_work_on_is_not_called_open(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    """It takes longer than anybody waits, and the upload is listed until it is done.

    Were it called open, the same command with --resume would store the file a second time.
    """
    source = make_file(2 * MIB)
    may_go_on = threading.Event()
    slow = Fault(CALLS["complete"], faults.do(lambda: may_go_on.wait(60)), times=FOREVER)
    with glacier(tmp_path / "g", slow) as server:
        end = run(script, server, source, "--blocksize", 1, "--resume", "--retry-minutes", "0.002")
        assert end.code == 4, end.err
        assert "very probably stored" not in end.err
        assert open_uploads(server) == [end.record["uploadId"]]
        command = shlex.split(end.err.splitlines()[-1])
        assert "--resume" not in command
        may_go_on.set()
        wait_until(lambda: len(archives(server)) == 1)
        found_out = run(*finding_out(script, server, source, command))
        assert found_out.code == 1, found_out.err
        assert "completed" in found_out.err
        assert_one_intact_archive(server, source)


def finding_out(
    script: str, server: RehearsalServer, source: Path, command: list[str]
) -> list[object]:
    (by_id,) = [word for word in command if word.startswith("--upload-id=")]
    return [script, server, source, by_id]


def interrupting() -> Fault:
    """Return a SIGTERM, once, while the completion is on its way."""
    return Fault(CALLS["complete"], faults.do(lambda: os.kill(os.getpid(), signal.SIGTERM)))


@BOTH
def test_a_signal_while_completion_meets_only_errors_leaves_the_upload_open(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    errors = Fault(CALLS["complete"], faults.answer_bare(503), times=FOREVER)
    with glacier(tmp_path / "g", interrupting(), errors) as server:
        end = run(script, server, make_file(2 * MIB), "--blocksize", 1)
        assert end.code == 143, end.err
        assert end.record["status"] == "open"
        assert "probably" not in end.err
        assert end.err.splitlines()[-1].endswith(f"--upload-id={end.record['uploadId']}")
        assert open_uploads(server) == [end.record["uploadId"]]


@pytest.mark.parametrize(
    "act", [faults.never_answer, faults.lose_the_answer], ids=["on its way", "answer lost"]
)
def test_a_signal_while_completion_may_be_carried_out_is_unknown(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, act: Act
) -> None:
    """Whether it arrived at all is not known, so it is not called probable."""
    unanswered = Fault(CALLS["complete"], act, times=FOREVER)
    patient = replace(QUICK, complete=30.0)
    with glacier(tmp_path / "g", interrupting(), unanswered) as server:
        source = make_file(2 * MIB)
        end = run("GlacierMPUP.py", server, source, "--blocksize", 1, "--resume", waits=patient)
        assert end.code == 4, end.err
        assert "very probably stored" not in end.err
        assert f"--upload-id={end.record['uploadId']}" in end.err.splitlines()[-1]


def test_an_answer_to_completion_that_is_a_moment_away_is_awaited_after_a_signal(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(2 * MIB)
    with glacier(tmp_path / "g", interrupting()) as server:
        end = run("GlacierMPUP.py", server, source, "--blocksize", 1)
        assert end.code == 0, end.err
        assert_one_intact_archive(server, source)


@BOTH
def test_the_loser_of_a_race_to_complete_says_what_it_knows(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    """The winner completed so long ago that the repeated call no longer finds the upload."""
    source = make_file(2 * MIB)
    gone = Fault(
        CALLS["complete"],
        faults.refuse(404, "ResourceNotFoundException", "The upload ID was not found: x"),
        times=FOREVER,
    )
    hidden = Fault(CALLS["list the uploads"], forget_uploads, times=FOREVER)
    with glacier(tmp_path / "g", gone, hidden) as server:
        end = run(script, server, source, "--blocksize", 1)
        assert end.code == 4, end.err
        assert end.record["status"] == "unknown"


@faults.at_send
def forget_uploads(handler: FaultyHandler, call: Call, answer: Answer) -> None:
    empty = b'{"Marker":null,"UploadsList":[]}'
    Handler.send(handler, call, Answer(200, {"Content-Type": "application/json"}, empty))


@BOTH
def test_blocks_that_another_machine_stored_beyond_the_files_end_leave_the_upload_open(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    """The two machines' files differ: no flag was wrong, and blocks were sent."""
    source, longer = make_file(2 * MIB), make_file(4 * MIB, "longer")
    with glacier(tmp_path / "g") as server:
        first = run(script, server, source, "--blocksize", 1, "--end", 0, "--finish-upload=False")
        by_id = f"--upload-id={first.record['uploadId']}"

        def store() -> None:
            carry_out(
                server, longer, upload_id=first.record["uploadId"], first=3, last=3, finish=False
            )

        handler_of(server).faults = [Fault(CALLS["a block"], faults.do(store))]
        end = run(script, server, source, by_id, "--start", 1)
        assert end.code == 3, end.err
        assert end.error_code == "FileTooShort"
        assert end.record["status"] == "open"
        assert end.err.splitlines()[-1].endswith(by_id)
        assert open_uploads(server) == [end.record["uploadId"]]


@BOTH
def test_the_closing_line_of_a_part_counts_what_other_machines_have_stored(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(4 * MIB)
    with glacier(tmp_path / "g") as server:
        part = ["--blocksize", 1, "--finish-upload=False"]
        first = run(script, server, source, *part, "--end", 0)
        by_id = f"--upload-id={first.record['uploadId']}"

        def store() -> None:
            carry_out(
                server, source, upload_id=first.record["uploadId"], first=2, last=3, finish=False
            )

        handler_of(server).faults = [Fault(CALLS["a block"], faults.do(store))]
        end = run(script, server, source, by_id, *part, "--start", 1, "--end", 1)
        assert end.code == 0, end.err
        assert end.record["missingBlocks"] == []
        assert "every block is stored; to finish, run:" in end.err.splitlines()[-2]


@BOTH
def test_an_archive_with_another_hash_than_the_files_is_no_success(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    lie = Fault(CALLS["complete"], faults.echo_another_hash)
    with glacier(tmp_path / "g", lie) as server:
        end = run(script, server, make_file(5), "--blocksize", 1)
    assert end.code == 1
    assert "0" * 64 in end.err
    assert "do not rely" in end.err


@BOTH
def test_a_vault_that_is_deleted_meanwhile_fails_with_its_name(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    gone = Fault(
        CALLS["a block"],
        faults.refuse(404, "ResourceNotFoundException", "Vault not found for ARN: arn:photos"),
        times=FOREVER,
    )
    with glacier(tmp_path / "g", gone) as server:
        end = run(script, server, make_file(5))
    assert end.code == 1
    assert end.record["status"] == "failed"
    assert "--vault" in end.err


@BOTH
@pytest.mark.parametrize("change", ["truncated", "grown", "rewritten", "replaced"])
def test_a_file_that_changes_while_it_is_sent_is_not_completed_and_only_differences_are_resent(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str, change: str
) -> None:
    source = make_file(4 * MIB)
    folder = tmp_path / "g"

    def alter() -> None:
        if change == "replaced":
            other = make_file(4 * MIB, "other")
            other.replace(source)
            return
        with source.open("r+b") as file:
            if change == "truncated":
                file.truncate(3 * MIB + 5)
            elif change == "grown":
                file.truncate(4 * MIB + 5)
            else:
                file.write(b"rewritten")

    with glacier(folder, Fault(CALLS["a block"], faults.do(alter), after=2)) as server:
        end = run(script, server, source, "--blocksize", 1, "--resume")
        assert end.code == 3, end.err
        named = {
            "truncated": "size",
            "grown": "size",
            "rewritten": "modification time",
            "replaced": "inode",
        }
        assert named[change] in end.err or "shorter" in end.err
        assert archives(server) == []
    with glacier(folder) as server:
        end = run(script, server, source, "--resume")
        assert end.code == 0, end.err
        assert int(str(end.record["bytesSent"])) < 4 * MIB
        assert_one_intact_archive(server, source)


class Spotted:
    """A file whose block 2 lies on a bad spot of the disk, found by one of the two readers."""

    def __init__(self, file: IO[bytes], met_by: str) -> None:
        self.file, self.met_by = file, met_by

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def __enter__(self) -> Spotted:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def readinto(self, buffer: memoryview) -> int:
        self.check("digest")
        return self.file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def read(self, size: int) -> bytes:
        self.check("sending")
        return self.file.read(size)

    def check(self, reader: str) -> None:
        if reader == self.met_by and 2 * MIB <= self.file.tell() < 3 * MIB:
            raise OSError(errno.EIO, "Input/output error")


@BOTH
@pytest.mark.parametrize("where", ["digest", "sending"])
def test_a_spot_of_the_disk_that_cannot_be_read_leaves_the_upload_open(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    script: str,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No disk goes bad on demand, so the source's `open` is replaced by one that does."""
    source = make_file(4 * MIB)
    folder = tmp_path / "g"

    def spotted(path: str, mode: str, buffering: int = -1) -> Spotted:
        return Spotted(open(path, mode, buffering=buffering), where)

    with glacier(folder) as server, monkeypatch.context() as patch:
        patch.setattr("glacier_mpu.source.file.open", spotted, raising=False)
        end = run(script, server, source, "--blocksize", 1, *SOON)
        assert end.code == 3, end.err
        assert "block 2" in end.err
        assert "Input/output error" in end.err
        assert 2 in end.record["missingBlocks"]  # type: ignore[operator]
        assert archives(server) == []
    with glacier(folder) as server:
        end = run(script, server, source, "--resume")
        assert end.code == 0, end.err
        assert_one_intact_archive(server, source)


@BOTH
def test_an_upload_that_expired_is_told_from_one_that_never_was_where_it_can_be(
    run: Callable[..., End], make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    """It was there when the run began: then the id is no typing mistake."""
    source = make_file(3 * MIB)
    gone = Fault(
        CALLS["a block"],
        faults.refuse(404, "ResourceNotFoundException", "The upload ID was not found: x"),
        times=FOREVER,
        after=1,
    )
    with glacier(tmp_path / "g", gone) as server:
        end = run(script, server, source, "--blocksize", 1)
        assert end.code == 4
        assert "was open when this run began" in end.err
        unknown = run(script, server, source, "--upload-id", "never-there")
        assert unknown.code == 1
        assert "was open" not in unknown.err


@BOTH
def test_a_name_that_is_not_found_is_looked_up_again(
    run: Callable[..., End],
    make_file: MakeFile,
    tmp_path: Path,
    script: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The resolver is the machine's own, so this one fault is put into Python's socket module."""
    failures = iter(range(2))
    look_up = socket.getaddrinfo

    def unlucky(*arguments: object, **rest: object) -> Sequence[object]:
        if next(failures, None) is not None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return look_up(*arguments, **rest)  # type: ignore[arg-type]

    source = make_file(5)
    with glacier(tmp_path / "g") as server:
        monkeypatch.setattr(socket, "getaddrinfo", unlucky)
        end = run(script, server, source)
        assert end.code == 0, end.err
        assert end.record["retries"] == 2
        assert_one_intact_archive(server, source)
