"""The local file: what may be uploaded, how a block is read, and what happens meanwhile."""

from __future__ import annotations

import hashlib
import os
import sys
import tracemalloc
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.utils import calculate_tree_hash
from hypothesis import given, settings
from hypothesis import strategies as st

from glacier_mpu.errors import BadInput, SourceChanged, SourceUnreadable, Stopped
from glacier_mpu.source.blocks import LARGEST_FILE, MIB, Block, Plan
from glacier_mpu.source.file import Source, check_unchanged, digest_block, inspect
from tests.support.kit import Clock, body_of, ignore, never, pattern, whole, write

needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
# Reading its first page ends in EIO on every Linux: a broken disk that is always at hand.
BROKEN_DISK = "/proc/self/mem"
needs_broken_disk = pytest.mark.skipif(
    not os.path.exists(BROKEN_DISK), reason="no file at hand whose reads fail"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Source:
    return write(tmp_path_factory.mktemp("source") / "file", pattern(3 * MIB + 5))


class StatSays:
    """The module os of a file system that this machine does not have: stat() says otherwise."""

    def __init__(self, **fields: int) -> None:
        self._fields = fields

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def stat(self, path: str) -> SimpleNamespace:
        honest = os.stat(path)
        names = ("st_mode", "st_ino", "st_size", "st_mtime_ns")
        return SimpleNamespace(**({name: getattr(honest, name) for name in names} | self._fields))


def digest_of(source, block=None, *, stopped=never, on_read=ignore):
    return digest_block(source, block or whole(source), stopped=stopped, on_read=on_read)


# -- which files may be uploaded


@pytest.mark.parametrize("name", ["a b.zip", "naïve.zip", "日本.zip", "%41.zip", "it's.zip"])
def test_a_file_with_this_name_is_inspected_and_read(tmp_path, name):
    source = write(tmp_path / name, b"data")
    status = os.stat(source.path)
    assert (source.size, source.mtime_ns, source.inode) == (4, status.st_mtime_ns, status.st_ino)
    assert digest_of(source).linear == hashlib.sha256(b"data").hexdigest()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_whose_name_is_no_utf8_is_inspected_read_and_named_in_messages(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    source = write(Path(path), b"data")
    assert digest_of(source).linear == hashlib.sha256(b"data").hexdigest()
    os.unlink(path)
    with pytest.raises(SourceChanged) as caught:
        check_unchanged(source)
    caught.value.message.encode()  # can be printed anywhere


def missing(folder):
    return folder / "missing"


def folder_itself(folder):
    return folder


def empty(folder):
    (folder / "empty").touch()
    return folder / "empty"


def fifo(folder):
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def dangling_link(folder):
    (folder / "link").symlink_to(folder / "nothing")
    return folder / "link"


def with_nul(folder):
    return f"{folder}/a\0b"


def nameless(_):
    return ""


@needs_posix
@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (missing, "missing"),
        (folder_itself, "folder"),
        (empty, "empty"),
        (fifo, "not a regular file"),
        (dangling_link, "link"),
        (with_nul, "null"),
        (nameless, "''"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_can_be_no_archive_is_bad_input_at_once(tmp_path, make, fact):
    path = str(make(tmp_path))
    with pytest.raises(BadInput, match=fact):
        inspect(path)


@needs_posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_bad_input(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"data")
    path.chmod(0)
    with pytest.raises(BadInput, match="secret"):
        inspect(str(path))


@pytest.mark.parametrize(("over", "refused"), [(0, False), (1, True)], ids=["at", "over"])
def test_the_limit_of_glacier_is_the_limit(tmp_path, monkeypatch, over, refused):
    path = tmp_path / "large"
    path.write_bytes(b"x")
    try:
        os.truncate(path, LARGEST_FILE + over)
    except OSError:  # most file systems end below 40 TB; this one then says that it does not
        monkeypatch.setattr("glacier_mpu.source.file.os", StatSays(st_size=LARGEST_FILE + over))
    if refused:
        with pytest.raises(BadInput, match=f"{LARGEST_FILE:,}"):
            inspect(str(path))
    else:
        assert inspect(str(path)).size == LARGEST_FILE


# -- whether it is still the same


def truncate(path):
    os.truncate(path, 10)


def grow(path):
    with path.open("ab") as stream:
        stream.write(b"more")


def rewrite(path):
    status = path.stat()
    path.write_bytes(b"y" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def replace(path):
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"z" * status.st_size)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def remove(path):
    path.unlink()


@pytest.mark.parametrize(
    ("change", "named", "unnamed"),
    [
        (truncate, ["size was 100, now 10", "modification time"], ["inode"]),
        (grow, ["size was 100, now 104", "modification time"], ["inode"]),
        (rewrite, ["modification time"], ["size", "inode"]),
        (replace, ["inode"], ["size", "modification time"]),
        (remove, ["gone"], []),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_changed_file_is_told_by_what_changed(tmp_path, change, named, unnamed):
    source = write(tmp_path / "file", b"x" * 100)
    os.utime(source.path, ns=(0, 0))
    source = inspect(source.path)
    check_unchanged(source)
    change(tmp_path / "file")
    with pytest.raises(SourceChanged) as caught:
        check_unchanged(source)
    assert all(text in caught.value.message for text in named)
    assert not any(text in caught.value.message for text in unnamed)
    assert (caught.value.keeps_upload, caught.value.every_block_alike) == (True, True)


def test_reading_a_file_does_not_change_it(file):
    digest_of(file)
    with body_of(file) as body:
        body.read()
    check_unchanged(file)


@pytest.mark.parametrize("seconds", [253_402_300_800, 2**40], ids=["year 10000", "year 36812"])
def test_a_modification_time_far_off_is_no_reason_to_fail(tmp_path, monkeypatch, seconds):
    source = write(tmp_path / "file", b"x")
    # Times on ext4 end in 2446, those on tmpfs and XFS do not.
    monkeypatch.setattr("glacier_mpu.source.file.os", StatSays(st_mtime_ns=seconds * 10**9))
    check_unchanged(inspect(source.path))


# -- one reading for both hashes


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_the_digest_of_any_block_is_hashlibs_and_botocores(file, data):
    plan = Plan(file.size, MIB * data.draw(st.sampled_from([1, 2, 4])))
    block = plan.block(data.draw(st.sampled_from(plan.numbers)))
    reads: list[int] = []
    found = digest_of(file, block, on_read=reads.append)
    there = pattern(file.size)[block.offset : block.last_byte + 1]
    assert found.linear == hashlib.sha256(there).hexdigest()
    assert found.tree.hex() == calculate_tree_hash(BytesIO(there))
    assert sum(reads) == block.size


def test_hashing_and_sending_a_large_block_takes_less_than_3_mib(tmp_path):
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 64 * MIB)
    source = inspect(str(path))
    tracemalloc.start()
    try:
        digest_of(source)
        with body_of(source) as body:
            while body.read(16 * 1024):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MIB


# -- a block as a body


def test_a_body_has_its_blocks_length_and_bytes_and_no_more(file):
    block = Plan(file.size, MIB).block(1)
    with body_of(file, block) as body:
        assert len(body) == block.size
        assert body.read(10) + body.read(0) + body.read(None) == pattern(file.size)[MIB : 2 * MIB]
        assert (body.read(), body.read(5), body.tell()) == (b"", b"", block.size)


def test_the_last_block_ends_with_the_file(file):
    block = Plan(file.size, MIB).block(3)
    with body_of(file, block) as body:
        assert body.read(MIB) == pattern(file.size)[-5:]


def test_a_grown_file_gives_the_block_that_it_had(tmp_path):
    source = write(tmp_path / "file", b"x" * 100)
    grow(tmp_path / "file")
    with body_of(source) as body:
        assert body.read() == b"x" * 100


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(-1, 40)),
            st.tuples(st.just("seek"), st.integers(-20, 120), st.sampled_from([0, 1, 2])),
        ),
        max_size=20,
    )
)
def test_a_body_reads_and_seeks_as_a_file_and_its_moves_add_up_to_the_position(small, steps):
    like = BytesIO(pattern(100))
    moves: list[int] = []
    with body_of(small, on_move=moves.append) as body:
        for step, *arguments in steps:
            if step == "read":
                assert body.read(*arguments) == like.read(*arguments)
            else:
                offset, whence = arguments
                base = (0, like.tell(), 100)[whence]
                wanted = min(max(base + offset, 0), 100)  # a body stays within its block
                assert body.seek(offset, whence) == like.seek(wanted)
            assert body.tell() == like.tell() == sum(moves)
            assert body.furthest >= body.tell()
        body.seek(0)
    assert sum(moves) == 0
    assert 0 not in moves


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Source:
    return write(tmp_path_factory.mktemp("small") / "file", pattern(100))


def test_a_rewind_is_told_as_bytes_less_and_furthest_stays(small):
    moves: list[int] = []
    clock = Clock()
    with body_of(small, on_move=moves.append, clock=clock) as body:
        clock.passes(5)
        body.read(60)
        moved_at = body.moved_at
        clock.passes(5)
        body.seek(0)
        assert (body.furthest, body.moved_at) == (60, moved_at)
        body.read(20)
    assert moves == [60, -60, 20]
    assert (body.furthest, body.moved_at - moved_at) == (60, 5)


def test_a_closed_body_reads_no_more_and_closing_twice_is_well(small):
    body = body_of(small)
    body.close()
    body.close()
    with pytest.raises(ValueError, match="closed"):
        body.read(1)


# -- trouble in the middle


def read_as_body(source, *, stopped=never, on_read=ignore):
    with body_of(source, stopped=stopped, on_move=on_read) as body:
        while body.read(64 * 1024):
            pass


both_readings = pytest.mark.parametrize("reading", [digest_of, read_as_body])


@both_readings
def test_a_file_that_is_truncated_while_it_is_read_has_changed(tmp_path, reading):
    source = write(tmp_path / "file", pattern(3 * MIB))

    def cut(_):
        os.truncate(source.path, 2 * MIB + 1)

    with pytest.raises(SourceChanged, match=str(3 * MIB - 1)) as caught:
        reading(source, on_read=cut)
    assert not isinstance(caught.value, OSError)


@needs_broken_disk
@both_readings
def test_a_disk_that_cannot_read_is_unreadable_and_no_broken_connection(reading):
    source = Source(path=BROKEN_DISK, size=4096, mtime_ns=0, inode=0)
    with pytest.raises(SourceUnreadable, match="block 0") as caught:
        reading(source)
    assert not isinstance(caught.value, OSError)
    assert (caught.value.keeps_upload, caught.value.every_block_alike) == (True, False)


@both_readings
def test_a_file_that_is_gone_is_unreadable(tmp_path, reading):
    source = write(tmp_path / "file", b"x")
    os.unlink(source.path)
    with pytest.raises(SourceUnreadable, match="file"):
        reading(source)


@both_readings
def test_reading_stops_in_the_middle_when_asked_to(tmp_path, reading):
    source = write(tmp_path / "file", pattern(3 * MIB))
    reads: list[int] = []
    with pytest.raises(Stopped):
        reading(source, stopped=lambda: bool(reads), on_read=reads.append)
    assert len(reads) == 1


def test_unreadable_names_the_blocks_number_and_bytes(tmp_path):
    source = write(tmp_path / "file", pattern(2 * MIB))
    os.unlink(source.path)
    with pytest.raises(SourceUnreadable, match=f"block 1 .*{MIB}-{2 * MIB - 1}"):
        digest_of(source, Block(number=1, offset=MIB, size=MIB))
