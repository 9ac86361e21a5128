"""Receipts: a whole line for each archive, whatever else writes to the file or fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.cli.receipts import Receipts
from glacier_mpu.cli.report import as_record
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.transfer.request import Outcome, Status
from tests.support.scripts import ROOT, VAULT, Ended, run

MakeFile = Callable[..., Path]


def upload(server: RehearsalServer, source: Path, *arguments: object) -> Ended:
    words = ["--source-path", source, "--vault", VAULT, "--blocksize", 1]
    return run("GlacierMPUP.py", *words, *arguments, server=server)


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
    members = list(as_record(Outcome(status=Status.COMPLETED), None, seconds=0))
    assert list(receipt)[: len(members)] == members


def test_a_receipt_is_on_disk_once_it_is_appended(
    tmp_path: Path, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts, synced = tmp_path / "receipts.jsonl", []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(receipts.read_bytes()))
    Receipts(str(receipts), source_path=str(make_file(5))).append({"archiveId": "an-id"})
    assert synced == [b'{"archiveId": "an-id"}\n']


def test_a_stream_that_has_no_path_is_no_file_of_receipts(tmp_path: Path) -> None:
    receipts = tmp_path / "receipts.jsonl"
    Receipts(str(receipts), source_path=None).append({"archiveId": "an-id"})
    assert receipts.read_bytes() == b'{"archiveId": "an-id"}\n'


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


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_a_receipt_may_go_to_a_pipe(tmp_path: Path, make_file: MakeFile) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        Receipts(str(pipe), source_path=str(make_file(5))).append({"archiveId": "an-id"})
        assert os.read(reader, 1000) == b'{"archiveId": "an-id"}\n'
    finally:
        os.close(reader)


def test_receipts_that_cannot_be_written_are_refused_before_anything_is_sent(
    server: RehearsalServer, make_file: MakeFile, tmp_path: Path
) -> None:
    ended = upload(server, make_file(5), "--receipts", tmp_path / "no" / "such" / "folder")
    assert ended.code == 2
    assert "--receipts" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert list((server.folder / "uploads").iterdir()) == []


def test_the_file_that_is_uploaded_takes_no_receipts(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(5)
    ended = upload(server, source, "--receipts", source)
    assert ended.code == 2
    assert "--receipts" in ended.err
    assert source.stat().st_size == 5


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_receipt_lost_to_a_full_disk_is_said_and_is_no_failure(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    ended = upload(server, make_file(5), "--receipts", "/dev/full")
    assert ended.code == 0
    assert "warning: the receipt could not be written to '/dev/full'" in ended.err
    assert ended.result["archive-id"] in ended.err
