"""What scripts read: the JSON object, the receipts, and what none of them may contain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import SECRET_KEY, RehearsalServer
from tests.conftest import ROOT, VAULT, Ended, run

MIB = 1 << 20
MakeFile = Callable[..., Path]
MEMBERS = [
    *("status", "archiveId", "location", "treeHash", "size", "uploadId", "blockSize", "blocks"),
    *("failedBlocks", "missingBlocks", "seconds", "bytesSent", "bytesSkipped", "retries"),
    *("resumeCommand", "error"),
]


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
    last = json.loads(
        upload(server, source, "--output", "json", "--upload-id", first["uploadId"]).out
    )
    assert (last["bytesSent"], last["bytesSkipped"]) == (2 * MIB + 5, MIB)
    assert (last["size"], last["blockSize"], last["blocks"]) == (3 * MIB + 5, MIB, 4)
    assert last["resumeCommand"] is last["error"] is None


def test_an_error_of_the_service_keeps_its_code_and_request_id(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    ended = upload(server, make_file(5), "--output", "json", "--upload-id", "unknown")
    error = json.loads(ended.out)["error"]
    assert error["code"] == "ResourceNotFoundException"
    assert error["requestId"]
    assert error["requestId"] in ended.err


def test_a_receipt_tells_all_that_finds_an_archive_again(
    server: RehearsalServer, make_file: MakeFile, tmp_path: Path
) -> None:
    source, receipts = make_file(5), tmp_path / "receipts.jsonl"
    receipts.write_text('{"cut short by a full di')
    for comment in ("one", "two"):
        ended = upload(server, source, "--receipts", receipts, "--comment", comment)
        assert ended.code == 0, ended.err
    lines = receipts.read_text().splitlines()
    assert len(lines) == 3
    receipt = json.loads(lines[2])
    assert receipt["archiveId"] == ended.result["archive-id"]
    assert receipt["description"] == "two"
    assert receipt["vault"] == VAULT
    assert receipt["region"] == "us-east-1"
    assert receipt["sourcePath"] == str(source)
    assert receipt["accountId"] == ended.result["location"].split("/")[1]
    assert receipt["rehearsal"] is None
    assert receipt["sourceModified"][:19] <= receipt["ended"][:19]
    assert list(receipt)[: len(MEMBERS)] == MEMBERS


def test_receipts_of_many_processes_at_once_are_all_whole(tmp_path: Path) -> None:
    receipts = tmp_path / "receipts.jsonl"
    code = (
        "import sys; from glacier_mpu.cli.receipts import Receipts\n"
        "receipts = Receipts(sys.argv[1], source_path='README.md')\n"
        "for number in range(40): receipts.append({'number': number, 'filling': 'x' * 20000})"
    )
    many = [
        subprocess.Popen([sys.executable, "-c", code, str(receipts)], cwd=ROOT) for _ in range(4)
    ]
    assert [process.wait(timeout=60) for process in many] == [0] * 4
    numbers = [json.loads(line)["number"] for line in receipts.read_text().splitlines()]
    assert sorted(numbers) == sorted(list(range(40)) * 4)


def test_receipts_that_cannot_be_written_are_refused_before_anything_is_sent(
    server: RehearsalServer, make_file: MakeFile, tmp_path: Path
) -> None:
    ended = upload(server, make_file(5), "--receipts", tmp_path / "no" / "such" / "folder")
    assert ended.code == 2
    assert list((server.folder / "uploads").iterdir()) == []


def test_the_file_that_is_uploaded_takes_no_receipts(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(5)
    assert upload(server, source, "--receipts", source).code == 2
    assert source.stat().st_size == 5


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_receipt_lost_to_a_full_disk_is_said_loudly_and_is_no_failure(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    ended = upload(server, make_file(5), "--receipts", "/dev/full")
    assert ended.code == 0
    assert "RECEIPT" in ended.err
    assert ended.result["archive-id"] in ended.err


def test_data_that_goes_in_the_clear_to_another_machine_is_warned_of(make_file: MakeFile) -> None:
    """Nothing is sent: without credentials the first call fails before it leaves the machine."""
    words = ["--source-path", make_file(5), "--vault", "v", "--region", "eu-west-1", "--quiet"]
    clear = run("GlacierMPU.py", *words, "--endpoint-url", "http://glacier.example")
    assert "in the clear" in clear.err
    for safe in ("https://glacier.example", "http://127.0.0.1:9", "http://localhost:9"):
        assert "in the clear" not in run("GlacierMPU.py", *words, "--endpoint-url", safe).err


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
