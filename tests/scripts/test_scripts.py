"""Both scripts as their users run them: real subprocesses against the stand-in."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.utils import calculate_tree_hash

from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.scripts import ROOT, VAULT, Ended, client_of, run, script_environment

MIB = 1 << 20
BOTH = pytest.mark.parametrize("script", ["GlacierMPU.py", "GlacierMPUP.py"])
MakeFile = Callable[..., Path]


def archive_of(server: RehearsalServer, ended: Ended) -> bytes:
    return server.store.archive_path(ended.result["archive-id"]).read_bytes()


def open_uploads(server: RehearsalServer) -> list[str]:
    answer = client_of(server).list_multipart_uploads(vaultName=VAULT)
    return [upload["MultipartUploadId"] for upload in answer["UploadsList"]]


def last_line_of(ended: Ended) -> str:
    return ended.err.splitlines()[-1]


@pytest.mark.parametrize("size", [1, MIB, 7 * MIB + 12345])
@pytest.mark.parametrize(
    "script",
    [
        ["GlacierMPU.py"],
        ["GlacierMPUP.py", "--threads", "1"],
        ["GlacierMPUP.py", "--threads", "2"],
        ["GlacierMPUP.py", "--threads", "10"],
    ],
    ids=" ".join,
)
def test_every_byte_arrives_whatever_the_size(
    server: RehearsalServer, make_file: MakeFile, script: list[str], size: int
) -> None:
    source = make_file(size)
    ended = run(*script, "--source-path", source, "--vault", VAULT, "--blocksize", 1, server=server)
    assert ended.code == 0, ended.err
    assert archive_of(server, ended) == source.read_bytes()
    with source.open("rb") as file:
        assert ended.result["tree-hash"] == calculate_tree_hash(file)  # type: ignore[arg-type]  # it takes a file
    assert ended.result["size"] == str(size)
    assert list(ended.result) == ["archive-id", "location", "tree-hash", "size"]


@BOTH
def test_blocks_of_the_default_size_carry_a_tail(
    server: RehearsalServer, make_file: MakeFile, script: str
) -> None:
    source = make_file(129 * MIB + 7)
    ended = run(script, "--source-path", source, "--vault", VAULT, server=server)
    assert ended.code == 0, ended.err
    assert archive_of(server, ended) == source.read_bytes()


@pytest.mark.parametrize("name", ["with space.zip", "żółw ☃.tar", "-dash", "per%cent"])
def test_any_file_name_is_uploaded_and_described_in_ascii(
    server: RehearsalServer, make_file: MakeFile, tmp_path: Path, name: str
) -> None:
    make_file(10, name)
    arguments = ["--source-path", name, "--vault", VAULT, "--finish-upload", "False"]
    ended = run("GlacierMPU.py", *arguments, server=server, cwd=tmp_path)
    assert ended.code == 0, ended.err
    uploads = client_of(server).list_multipart_uploads(vaultName=VAULT)["UploadsList"]
    description = uploads[0]["ArchiveDescription"]
    assert description.startswith("Archive for ")
    assert description.isascii()


def test_the_id_of_a_new_upload_is_told_before_anything_else_but_the_file(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    ended = run(
        *("GlacierMPU.py", "--source-path", make_file(5), "--vault", VAULT),
        *("--finish-upload", "false"),
        server=server,
    )
    name, upload_id, *_ = ended.err.splitlines()
    assert "uploading " in name
    assert upload_id.endswith(f"upload-id: {ended.result['upload-id']}")


@BOTH
def test_an_upload_made_of_ranges_becomes_one_archive(
    server: RehearsalServer, make_file: MakeFile, script: str
) -> None:
    source = make_file(5 * MIB + 1)
    common = ["--source-path", source, "--vault", VAULT]
    first = run(
        *(script, *common, "--blocksize", 1, "--start", 1, "--end", 2, "--finish-upload", "False"),
        server=server,
    )
    assert first.code == 0, first.err
    assert first.result["blocks-missing"] == "0, 3-5"
    again = [*common, f"--upload-id={first.result['upload-id']}"]
    early = run(script, *again, "--start", 4, server=server)
    assert early.code == 3, early.err
    assert early.result["blocks-missing"] == "0, 3"
    last = run(script, *again, server=server)
    assert last.code == 0, last.err
    assert archive_of(server, last) == source.read_bytes()


@BOTH
def test_only_what_is_missing_or_different_is_sent_again(
    server: RehearsalServer, make_file: MakeFile, script: str
) -> None:
    source = make_file(6 * MIB)
    common = ["--source-path", source, "--vault", VAULT, "--verbose"]
    first = run(
        *(script, *common, "--blocksize", 1, "--end", 3, "--finish-upload", "False"), server=server
    )
    with source.open("r+b") as file:
        file.seek(2 * MIB + 5)
        file.write(b"changed")
    last = run(script, *common, f"--upload-id={first.result['upload-id']}", server=server)
    assert last.code == 0, last.err
    sent = {int(n) for n in re.findall(r"block (\d+) is stored", last.err)}
    assert sent == {2, 4, 5}
    assert re.search(r"block 2 differs.*[0-9a-f]{64}.*[0-9a-f]{64}", last.err)
    assert "2 of 6 blocks left (4-5)" in last.err
    assert archive_of(server, last) == source.read_bytes()


def test_blocks_outside_the_range_must_be_the_files_own_before_anything_is_completed(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(4 * MIB)
    common = ["--source-path", source, "--vault", VAULT]
    first = run(
        *("GlacierMPUP.py", *common, "--blocksize", 1, "--end", 1, "--finish-upload", "False"),
        server=server,
    )
    with source.open("r+b") as file:
        file.write(b"changed")
    again = [*common, f"--upload-id={first.result['upload-id']}"]
    last = run("GlacierMPUP.py", *again, "--start", 2, server=server)
    assert last.code == 3, last.err
    assert last.result["blocks-missing"] == "0"
    assert "not as in the file: block 0" in last.err


@BOTH
def test_the_last_line_of_an_open_upload_is_the_command_that_finishes_it(
    server: RehearsalServer, make_file: MakeFile, script: str
) -> None:
    source = make_file(3 * MIB + 3, "it's a file.bin")
    first = run(
        *(script, "--source-path", source, "--vault", VAULT, "--blocksize", 1),
        *("--end", 0, "--finish-upload", "False"),
        server=server,
    )
    done = subprocess.run(
        last_line_of(first),
        shell=True,
        env=script_environment(server),
        capture_output=True,
        text=True,
        check=True,
    )
    archive = done.stdout.splitlines()[0].partition(": ")[2]
    assert server.store.archive_path(archive).read_bytes() == source.read_bytes()


def test_the_open_uploads_own_block_size_counts(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(5 * MIB)
    common = ["--source-path", source, "--vault", VAULT]
    first = run(
        *("GlacierMPU.py", *common, "--blocksize", 2, "--end", 0, "--finish-upload", "False"),
        server=server,
    )
    again = [*common, f"--upload-id={first.result['upload-id']}"]
    other = run("GlacierMPU.py", *again, "--blocksize", 1, server=server)
    assert other.code == 2
    assert "2 MiB" in other.err
    beyond = run("GlacierMPU.py", *again, "--end", 3, server=server)
    assert beyond.code == 2
    assert "0 to 2" in beyond.err
    assert run("GlacierMPU.py", *again, server=server).code == 0


def test_an_upload_of_a_longer_file_is_not_taken_for_this_ones(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    common = ["--vault", VAULT, "--source-path"]
    first = run(
        *("GlacierMPU.py", *common, make_file(3 * MIB), "--blocksize", 1),
        *("--finish-upload", "False"),
        server=server,
    )
    again = f"--upload-id={first.result['upload-id']}"
    ended = run("GlacierMPU.py", *common, make_file(2 * MIB), again, server=server)
    assert ended.code == 2
    assert open_uploads(server) == [first.result["upload-id"]]


@BOTH
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--vault", "no-such-vault"], "no-such-vault"),
        (["--vault", VAULT, "--upload-id", "never-there"], "list-multipart-uploads"),
        (["--vault", VAULT, "--account-id", "123456789012"], "AccessDenied"),
    ],
    ids=["vault", "upload", "account"],
)
def test_what_no_repetition_helps_exits_1_and_says_what_to_do(
    server: RehearsalServer, make_file: MakeFile, script: str, arguments: list[str], says: str
) -> None:
    ended = run(script, "--source-path", make_file(5), *arguments, server=server)
    assert ended.code == 1, ended.err
    assert says in ended.err
    assert "request id" in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


BAD_INPUT = {
    "no such file": (["--source-path", "nowhere"], "nowhere"),
    "a folder": (["--source-path", "."], "is a folder; pack it into one file first"),
    "a device": (["--source-path", "/dev/null"], "is a device without a size, not a file; pipe"),
    "a part of a stream": (["--source-path", "-", "--start", "0"], "--start"),
    "two sources": (["--source-command", "tar c /"], "--source-path and --source-command"),
    "no command": (["--"], "--source-path and a command after --"),
    "a file with a spool": (["--spool", "."], "--spool is for a stream"),
    "no size": (["--expected-size", "8T"], "'8T'"),
    "an empty file": (["--source-path", "empty"], "empty"),
    "a letter outside the alphabet": (["--vault", "pho/tos"], "'/'"),
    "a comment outside ASCII": (["--comment", "naïve"], "'ï'"),
    "a comment too long": (["--comment", "x" * 1025], "1,025"),
    "an upload id outside the alphabet": (["--upload-id", "a b"], "a b"),
    "no power of two": (["--blocksize", "100"], "64 and 128"),
    "a block size in MB": (["--blocksize", "16MB"], "in MiB, such as 16;"),
    "a range outside the file": (["--blocksize", "1", "--end", "2"], "0 to 1"),
    "a range that ends before it starts": (
        ["--blocksize", "1", "--start", "1", "--end", "0"],
        "0 to 1",
    ),
    "a range that cannot be finished": (
        ["--blocksize", "1", "--start", "1"],
        "--finish-upload False",
    ),
    "neither True nor False": (["--finish-upload", "perhaps"], "perhaps"),
    "minutes below 0": (["--retry-minutes", "-3"], "-3"),
    "a rehearsal at an address": (["--rehearse", "d", "--profile", "p"], "--profile"),
    "no such profile": (["--profile", "nobody"], "nobody"),
    "no threads": (["--threads", "0"], "'0'"),
    "too many threads": (["--threads", "1001"], "1,000"),
    "a rate without a unit": (["--max-bandwidth", "50"], "50Mbit"),
    "a bad entry of a timetable": (["--max-bandwidth", "08:00,1MB 25:00,off"], "'25:00,off'"),
    "an entry without a rate": (["--max-bandwidth", "08:00,1MB 19:00"], "'19:00'"),
    "no time": (["--stop-at", "seven"], "'seven'"),
    "two stop times": (["--stop-at", "07:00", "--stop-after", "6h"], "--stop-after"),
    "a rate of nothing": (["--max-bandwidth", "0MB"], "50Mbit"),
}


@pytest.mark.parametrize(("arguments", "says"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_exits_2_with_one_line(
    make_file: MakeFile, tmp_path: Path, arguments: list[str], says: str
) -> None:
    make_file(2 * MIB, "source")
    make_file(0, "empty")
    defaults = ["--source-path", "source", "--vault", VAULT]
    ended = run("GlacierMPUP.py", *defaults, *arguments, cwd=tmp_path)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1
    assert ended.out == ""


RESUMES = pytest.mark.parametrize(
    "resumes", [["--upload-id", "an-id"], ["--resume"]], ids=["by its id", "by its description"]
)
NEVER_A_RANGE = {
    "that ends before it starts": (["--start", "3", "--end", "2"], "0 to 3"),
    "below 0": (["--start", "-1"], "0 to 3"),
    "that ends below 0": (["--end", "-2"], "0 to 3"),
    "outside the file": (["--blocksize", "2", "--start", "2"], "0 to 1"),
    "outside the file in blocks of any size": (["--start", "4"], "0 to 3"),
}


@RESUMES
@pytest.mark.parametrize(("arguments", "says"), NEVER_A_RANGE.values(), ids=NEVER_A_RANGE.keys())
def test_a_range_that_no_open_upload_can_have_exits_2_before_any_call(
    make_file: MakeFile, resumes: list[str], arguments: list[str], says: str
) -> None:
    """There is no address to call: the message is not about one."""
    common = ["--source-path", make_file(3 * MIB + 1), "--vault", VAULT]
    ended = run("GlacierMPUP.py", *common, *resumes, *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert ("fewer if they are larger" in ended.err) is ("--blocksize" not in arguments)
    assert "region" not in ended.err


@RESUMES
def test_a_block_size_that_is_too_small_for_the_file_exits_2_before_any_call(
    tmp_path: Path, resumes: list[str]
) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10_001 * MIB)
    common = ["--source-path", tmp_path / "sparse", "--vault", VAULT, "--blocksize", "1"]
    ended = run("GlacierMPU.py", *common, *resumes)
    assert ended.code == 2
    assert "--blocksize 2" in ended.err


def test_a_range_that_the_open_upload_decides_on_is_asked_of_the_vault(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    """The file has a block 3 if the upload's blocks are of 1 MiB, and this one's are."""
    common = ["--source-path", make_file(4 * MIB), "--vault", VAULT]
    first = run(
        *("GlacierMPUP.py", *common, "--blocksize", 1, "--end", 2, "--finish-upload", "False"),
        server=server,
    )
    last = ["--upload-id", first.result["upload-id"], "--start", 3]
    assert run("GlacierMPUP.py", *common, *last, server=server).code == 0


def test_blocks_too_small_for_the_file_name_the_smallest_that_fits(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10_001 * MIB)
    arguments = ["--source-path", "sparse", "--vault", VAULT, "--blocksize", "1"]
    ended = run("GlacierMPU.py", *arguments, cwd=tmp_path)
    assert ended.code == 2
    assert "--blocksize 2" in ended.err


def test_a_dry_run_prints_the_plan_and_calls_nothing(
    make_file: MakeFile,
) -> None:
    source = make_file(5 * MIB + 17)
    ended = run(
        *(
            "GlacierMPU.py",
            "--source-path",
            source,
            "--vault",
            VAULT,
            "--blocksize",
            2,
            "--dry-run",
        ),
        *("--endpoint-url", "http://127.0.0.1:9"),
    )
    assert ended.code == 0
    assert ended.result["blocks"] == "3 (0-2)"
    assert ended.result["last-block"].startswith(f"2 ({MIB + 17} bytes")
    assert ended.result["requests"].startswith("5 ")
    assert ended.result["time-at-10-Mbit/s"].startswith("4 seconds")
    assert ended.err == ""


def test_a_dry_run_at_a_low_rate_warns_of_slow_blocks_and_exits_0(make_file: MakeFile) -> None:
    words = ["--source-path", make_file(5 * MIB), "--vault", VAULT, "--blocksize", 4, "--dry-run"]
    ended = run("GlacierMPUP.py", *words, "--max-bandwidth", "08:00,12kB 19:00,off")
    assert ended.code == 0
    assert "warning: at 12 kB/s a block takes 11.7 minutes, 2 at once" in ended.err
    assert "--blocksize 1 " in ended.err


def test_a_rehearsal_makes_its_vault_and_goes_on_in_the_next(
    make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(3 * MIB + 1)
    common = ["--source-path", source, "--vault", "new", "--rehearse", tmp_path / "glacier"]
    first = run(
        *("GlacierMPUP.py", *common, "--blocksize", 1, "--end", 1, "--finish-upload", "False")
    )
    assert first.code == 0, first.err
    last = run("GlacierMPUP.py", *common, f"--upload-id={first.result['upload-id']}")
    assert last.code == 0, last.err
    (archive,) = (tmp_path / "glacier" / "archives").iterdir()
    assert archive.name == last.result["archive-id"]
    assert archive.read_bytes() == source.read_bytes()


def test_a_rehearsal_in_an_unusable_folder_exits_2(make_file: MakeFile) -> None:
    source = make_file(5)
    ended = run("GlacierMPU.py", "--source-path", source, "--vault", "v", "--rehearse", source)
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1


def test_without_credentials_the_message_says_how_to_get_some(make_file: MakeFile) -> None:
    ended = run(
        *("GlacierMPU.py", "--source-path", make_file(5), "--vault", "v", "--region", "eu-west-1")
    )
    assert ended.code == 1
    assert "aws configure" in ended.err


def test_threads_that_are_found_out_and_a_limited_line_change_no_byte(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(40 * MIB + 3)
    ended = run(
        *("GlacierMPUP.py", "--source-path", source, "--vault", VAULT, "--blocksize", 1),
        *("--threads", "auto", "--max-bandwidth", "20MB", "--verbose"),
        server=server,
    )
    assert ended.code == 0, ended.err
    assert "with 2 blocks at once" in ended.err
    assert archive_of(server, ended) == source.read_bytes()


@BOTH
def test_help_and_version_exit_0(script: str) -> None:
    assert run(script, "--version").out.startswith(script)
    assert "--finish-upload" in run(script, "--help").out


def test_the_serial_script_has_no_threads_flag(make_file: MakeFile) -> None:
    ended = run("GlacierMPU.py", "--source-path", make_file(5), "--vault", "v", "--threads", 2)
    assert ended.code == 2


def test_python_files_at_the_top_start_from_any_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "GlacierMPU.py"), "--version"], cwd=tmp_path, check=False
    )
    assert done.returncode == 0
