"""A spool whose disk is too small, or full, or gone, while a stream is uploaded."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.faults import Fault, do
from tests.support.in_process import MIB, MakeFile, archives, glacier, handler_of, uploads_ever
from tests.support.producers import streaming
from tests.support.scripts import script_environment, started
from tests.support.small_disk import SmallDisk

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

DESCRIBED = ("--resume", "--comment", "a stream", "--blocksize", 1)
SOON = ("--retry-minutes", "0.02")


def reading(source: Path) -> tuple[str, str, str]:
    return "--", "cat", str(source)


def test_a_disk_without_room_for_the_blocks_in_hand_is_refused_before_anything_begins(
    make_file: MakeFile, tmp_path: Path
) -> None:
    with glacier(tmp_path / "g") as server:
        disk = SmallDisk(tmp_path / "spool", size=4 * MIB - 4096)
        words = streaming(server, "--spool", disk.folder, *DESCRIBED, "--threads", 3)
        process = started(disk.under([*words, *reading(make_file(9 * MIB))]), server)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2, err
        assert "the blocks in hand need 4,194,304 bytes (4 MiB)" in err
        assert uploads_ever(server.folder) == 0


def test_while_blocks_are_on_their_way_a_full_disk_is_only_waited_for(
    make_file: MakeFile, tmp_path: Path
) -> None:
    """Another program takes what is left when the first block is sent: it makes room by itself."""
    source = make_file(9 * MIB + 1)
    with glacier(tmp_path / "g") as server:
        disk = SmallDisk(tmp_path / "spool", size=4 * MIB)
        words = streaming(server, "--spool", disk.folder, *DESCRIBED, "--threads", 1)
        handler_of(server).faults = [
            Fault("UploadMultipartPart", do(lambda: disk.fill(process.pid)))
        ]
        process = started(disk.under([*words, *reading(source)]), server)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "retrying" not in err
        assert archives(server) == [source.read_bytes()]


def test_a_full_disk_on_which_room_comes_is_gone_on_with(
    make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(9 * MIB + 1)
    with glacier(tmp_path / "g") as server:
        disk = SmallDisk(tmp_path / "spool", size=4 * MIB)
        words = streaming(server, "--spool", disk.folder, *DESCRIBED, "--threads", 2)
        handler_of(server).faults = [
            Fault("InitiateMultipartUpload", do(lambda: disk.fill(process.pid)))
        ]
        process = started(disk.under([*words, *reading(source)]), server)
        assert process.stderr is not None
        while "No space left" not in (line := process.stderr.readline()):
            assert line, "it has ended"
        disk.clear(process.pid)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert archives(server) == [source.read_bytes()]


def test_a_disk_that_stays_full_ends_the_run_with_its_upload_open_and_nothing_is_lost(
    make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(9 * MIB + 1)
    with glacier(tmp_path / "g") as server:
        disk = SmallDisk(tmp_path / "spool", size=4 * MIB)
        words = streaming(server, *DESCRIBED, *SOON, "--threads", 2)
        words += ["--spool", str(disk.folder), *reading(source)]
        handler_of(server).faults = [
            Fault("InitiateMultipartUpload", do(lambda: disk.fill(process.pid)))
        ]
        process = started(disk.under(words), server)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 3, err
        (error,) = [line for line in err.splitlines() if "error: " in line]
        assert "No space left" in error
        last = subprocess.run(
            err.splitlines()[-1], shell=True, env=script_environment(server), check=False
        )
        assert last.returncode == 0
        assert archives(server) == [source.read_bytes()]
        assert uploads_ever(server.folder) == 1


def test_a_folder_that_is_removed_is_waited_for(make_file: MakeFile, tmp_path: Path) -> None:
    source, spool = make_file(9 * MIB + 1), tmp_path / "spool"
    spool.mkdir()
    with glacier(tmp_path / "g") as server:
        words = streaming(server, "--spool", spool, *DESCRIBED, *reading(source))
        handler_of(server).faults = [Fault("UploadMultipartPart", do(spool.rmdir))]
        process = started(words, server)
        assert process.stderr is not None
        while "No such file" not in (line := process.stderr.readline()):
            assert line, "it has ended"
        spool.mkdir()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert archives(server) == [source.read_bytes()]


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_what_is_no_folder_is_refused_before_anything_begins(
    make_file: MakeFile, tmp_path: Path, kind: str
) -> None:
    spool = tmp_path / "spool"
    if kind == "a file":
        spool.touch()
    with glacier(tmp_path / "g") as server:
        words = streaming(server, "--spool", spool, *DESCRIBED, *reading(make_file(3)))
        process = started(words, server)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "the spool folder" in err
        assert uploads_ever(server.folder) == 0


def test_threads_auto_takes_no_more_blocks_in_hand_than_the_disk_has_room_for(
    make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(30 * MIB + 1)
    with glacier(tmp_path / "g") as server:
        disk = SmallDisk(tmp_path / "spool", size=3 * MIB)
        words = streaming(server, "--spool", disk.folder, *DESCRIBED, "--threads", "auto")
        process = started(disk.under([*words, *reading(source)]), server)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "warning: " not in err
        assert archives(server) == [source.read_bytes()]
