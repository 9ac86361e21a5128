"""`--resume`: which open upload is resumed, and what several runs at once come to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.http import Handler
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import Answer, Call
from tests.support.faults import (
    FOREVER,
    Fault,
    FaultyHandler,
    answer_bare,
    at_send,
    do,
    faulty,
)
from tests.support.scripts import ROOT, VAULT, Ended, client_of, run, script_environment, started
from tests.support.shells import words_of

MIB = 1 << 20
MakeFile = Callable[..., Path]
BOTH = pytest.mark.parametrize("script", ["GlacierMPU.py", "GlacierMPUP.py"])


def resume(script: str, server: RehearsalServer, source: Path, *arguments: object) -> Ended:
    words = ["--source-path", source, "--vault", VAULT, "--resume", "--comment", "mine"]
    return run(script, *words, *arguments, server=server)


def partly(server: RehearsalServer, source: Path, last: int, *arguments: object) -> str:
    """Leave an upload open that holds blocks 0 to `last`, and return its id."""
    words = ["--source-path", source, "--vault", VAULT, "--finish-upload", "False", "--end", last]
    words += arguments or ["--blocksize", 1, "--comment", "mine"]
    ended = run("GlacierMPUP.py", *words, server=server)
    assert ended.code == 0, ended.err
    return ended.result["upload-id"]


def open_uploads(server: RehearsalServer) -> set[str]:
    answer = client_of(server).list_multipart_uploads(vaultName=VAULT)
    return {upload["MultipartUploadId"] for upload in answer["UploadsList"]}


def archive_of(server: RehearsalServer, ended: Ended) -> bytes:
    return server.store.archive_path(ended.result["archive-id"]).read_bytes()


@BOTH
def test_the_open_upload_of_the_same_description_is_resumed(
    server: RehearsalServer, make_file: MakeFile, script: str
) -> None:
    source = make_file(4 * MIB + 1)
    other = partly(server, source, 0, "--blocksize", 1, "--comment", "not mine")
    mine = partly(server, source, 1)
    ended = resume(script, server, source)
    assert ended.code == 0, ended.err
    assert f"resuming upload {mine}" in ended.err
    assert "2 of 5 blocks" in ended.err
    assert archive_of(server, ended) == source.read_bytes()
    assert open_uploads(server) == {other}


@BOTH
def test_where_nothing_is_open_an_upload_is_started(
    server: RehearsalServer, make_file: MakeFile, script: str
) -> None:
    ended = resume(script, server, make_file(5))
    assert ended.code == 0, ended.err
    assert "starting a new one" in ended.err


def test_an_upload_begun_by_another_spelling_of_the_path_is_told_with_what_takes_it(
    server: RehearsalServer, make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(3 * MIB)
    words = ["--source-path", source, "--vault", VAULT, "--blocksize", 1]
    began = run(*("GlacierMPUP.py", *words, "--end", 1, "--finish-upload", "False"), server=server)
    other = began.result["upload-id"]
    again = ["--source-path", "source.bin", "--vault", VAULT]
    resumed = run("GlacierMPUP.py", *again, "--resume", "--quiet", server=server, cwd=tmp_path)
    assert resumed.code == 0
    (line,) = [line for line in resumed.err.splitlines() if "warning: " in line]
    assert f"'Archive for {source}'" in line
    assert "2 of 3 blocks" in line
    taken = re.search(r"--upload-id=\S+", line)
    assert taken is not None
    assert taken.group() == f"--upload-id={other}"
    (command,) = re.findall(r"the command for that: (.*)", resumed.err)
    done = subprocess.run(
        words_of(command),
        cwd=tmp_path.parent,
        env=script_environment(server),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    archive = Ended(0, done.stdout, done.stderr)
    assert archive_of(server, archive) == source.read_bytes()
    assert open_uploads(server) == set()


def test_of_several_the_one_that_holds_most_of_this_file_is_taken(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(5 * MIB)
    best = partly(server, source, 2)
    fewer = partly(server, source, 0)
    changed = make_file(5 * MIB, "changed")
    with changed.open("r+b") as file:
        for number in range(5):
            file.seek(number * MIB)
            file.write(b"other")
    of_another_file = partly(server, changed, 3)
    ended = resume("GlacierMPU.py", server, source)
    assert ended.code == 0, ended.err
    assert f"resuming upload {best}" in ended.err
    assert "of 2 open uploads" in ended.err
    assert f"not resuming upload {of_another_file}" in ended.err
    assert open_uploads(server) == {fewer, of_another_file}


def test_of_equals_the_newest_is_taken(server: RehearsalServer, make_file: MakeFile) -> None:
    source = make_file(3 * MIB)
    partly(server, source, 1)
    newest = partly(server, source, 1)
    ended = resume("GlacierMPU.py", server, source)
    assert f"resuming upload {newest}" in ended.err


def test_an_asked_block_size_chooses_among_open_uploads(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(4 * MIB)
    of_two = partly(server, source, 0, "--blocksize", 2, "--comment", "mine")
    of_one = partly(server, source, 2)
    ended = resume("GlacierMPU.py", server, source, "--blocksize", 2)
    assert f"resuming upload {of_two}" in ended.err
    assert f"not resuming upload {of_one}" in ended.err


def test_an_upload_of_a_longer_file_is_passed_over_and_the_reason_told(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    longer = partly(server, make_file(4 * MIB), 3)
    source = make_file(2 * MIB)
    ended = resume("GlacierMPU.py", server, source, "--blocksize", 1)
    assert ended.code == 0, ended.err
    assert f"not resuming upload {longer}" in ended.err
    assert archive_of(server, ended) == source.read_bytes()


def test_more_than_a_page_of_open_uploads_is_searched(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    client = client_of(server)
    for number in range(60):
        client.initiate_multipart_upload(
            vaultName=VAULT, archiveDescription=f"other {number}", partSize=str(MIB)
        )
    source = make_file(2 * MIB)
    mine = partly(server, source, 0)
    ended = resume("GlacierMPUP.py", server, source)
    assert f"resuming upload {mine}" in ended.err


@contextmanager
def holding_blocks_until(folder: Path, *, listed: int) -> Iterator[RehearsalServer]:
    """Yield a stand-in that takes no block before so many lists of stored blocks were answered.

    So no run can complete the upload before all have found it.
    """
    answered = threading.Semaphore(0)
    all_listed = threading.Event()

    @at_send
    def count(handler: FaultyHandler, call: Call, answer: Answer) -> None:
        Handler.send(handler, call, answer)
        answered.release()

    def wait() -> None:
        if not all_listed.is_set():
            for _ in range(listed):
                assert answered.acquire(timeout=60)
            all_listed.set()

    handler = faulty(
        Fault("ListParts", count, times=FOREVER),
        Fault("UploadMultipartPart", do(once_at_a_time(wait)), times=FOREVER),
    )
    with RehearsalServer(folder, handler=handler) as server:
        server.store.create_vault(VAULT)
        yield server


def once_at_a_time(action: Callable[[], None]) -> Callable[[], None]:
    lock = threading.Lock()

    def locked() -> None:
        with lock:
            action()

    return locked


def resume_at_once(
    script: str, server: RehearsalServer, source: Path, *arguments: str, runs: int
) -> None:
    """Start so many runs of one command, and see them end in one intact archive."""
    words = [sys.executable, str(ROOT / script), "--source-path", str(source), "--vault", VAULT]
    words += ["--resume", "--comment", "mine", "--endpoint-url", server.endpoint_url, *arguments]
    processes = [started(words, server) for _ in range(runs)]
    told = [process.communicate(timeout=90) for process in processes]
    codes = {process.returncode for process in processes}
    assert codes in ({0}, {0, 4}), told
    (archive,) = (server.folder / "archives").iterdir()
    assert archive.read_bytes() == source.read_bytes()
    assert open_uploads(server) == set()


@BOTH
def test_two_runs_at_once_end_in_one_intact_archive(
    tmp_path: Path, make_file: MakeFile, script: str
) -> None:
    source = make_file(20 * MIB + 1)
    with holding_blocks_until(tmp_path / "glacier", listed=2) as server:
        client = client_of(server)
        client.initiate_multipart_upload(
            vaultName=VAULT, archiveDescription="mine", partSize=str(MIB)
        )
        resume_at_once(script, server, source, runs=2)


def test_runs_that_begin_at_the_same_moment_share_one_upload(
    tmp_path: Path, make_file: MakeFile
) -> None:
    """One begins it, and lists no blocks; the two others find it."""
    source = make_file(20 * MIB + 1)
    with holding_blocks_until(tmp_path / "glacier", listed=2) as server:
        resume_at_once("GlacierMPUP.py", server, source, "--blocksize", "1", runs=3)


@BOTH
def test_the_command_of_a_run_with_relative_paths_resumes_the_same_upload_from_another_folder(
    make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(4 * MIB)
    busy = Fault("UploadMultipartPart", answer_bare(503), times=FOREVER, after=2)
    handler = faulty(busy)
    with RehearsalServer(tmp_path / "g", handler=handler) as server:
        server.store.create_vault(VAULT)
        words = ["--source-path", source.name, "--vault", VAULT, "--resume", "--blocksize", 1]
        words += ["--retry-minutes", "0.001", "--output", "json"]
        ended = run(script, *words, server=server, cwd=source.parent)
        assert ended.code == 3, ended.err
        command = ended.err.splitlines()[-1]
        assert json.loads(ended.out)["resumeCommand"] == command
        handler.faults = []
        environment = script_environment(server)
        subprocess.run(command, shell=True, env=environment, cwd=tmp_path / "g", check=True)
        assert handler.calls.count("InitiateMultipartUpload") == 1
        (archive,) = (server.folder / "archives").iterdir()
        assert archive.read_bytes() == source.read_bytes()


def test_resume_and_an_upload_id_contradict_each_other(make_file: MakeFile) -> None:
    ended = run(
        *("GlacierMPU.py", "--source-path", make_file(5), "--vault", "v"),
        *("--resume", "--upload-id", "x"),
    )
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
