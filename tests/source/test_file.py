"""A local file as the source: what may be uploaded, how a block is read, and what can go wrong."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace as with_other
from io import BytesIO, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.utils import calculate_tree_hash
from hypothesis import given, settings
from hypothesis import strategies as st

from glacier_mpu.errors import (
    BadInput,
    SourceChanged,
    SourceIsStream,
    SourceUnreadable,
)
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.source.body import BlockBody
from glacier_mpu.source.file import FileSource, as_moment, inspect
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Stop, Stopped
from tests.support.kit import ignore, pattern, whole, write

if TYPE_CHECKING:
    from typing_extensions import Buffer

OnRead = Callable[[int], None]

needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
needs_fadvise = pytest.mark.skipif(
    not hasattr(os, "posix_fadvise"), reason="a system that takes no advice on its page cache"
)
# Reading its first page ends in EIO on every Linux: a broken disk that is always at hand.
BROKEN_DISK = "/proc/self/mem"
needs_broken_disk = pytest.mark.skipif(
    not os.path.exists(BROKEN_DISK), reason="no file at hand whose reads fail"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    return write(tmp_path_factory.mktemp("source") / "file", pattern(3 * MIB + 5))


def digest_of(
    source: FileSource,
    block: Block | None = None,
    *,
    stop: Stop | None = None,
    on_read: OnRead = ignore,
) -> Digest:
    return source.digest(block or whole(source), stop=stop or Stop(), on_read=on_read)


def opened(
    source: FileSource,
    block: Block | None = None,
    *,
    stop: Stop | None = None,
    on_read: OnRead = ignore,
) -> BlockBody:
    return source.open(
        block or whole(source),
        linear_hash="0" * 64,
        stop=stop or Stop(),
        on_move=on_read,
        allow=lambda size: size,
    )


def name_of(value: object) -> str:
    """Return the id of a parameter: a function's name."""
    return getattr(value, "__name__", "")


# -- which files may be uploaded


@pytest.mark.parametrize("name", ["a b.zip", "naïve.zip", "日本.zip", "%41.zip", "it's.zip"])
def test_a_file_with_this_name_is_inspected_and_read(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / name, b"data")
    status = os.stat(source.path)
    assert (source.size, source.mtime_ns, source.inode) == (4, status.st_mtime_ns, status.st_ino)
    assert source.ctime_ns == (None if os.name == "nt" else status.st_ctime_ns)
    assert source.name == source.path == str(tmp_path / name)
    assert digest_of(source).linear == hashlib.sha256(b"data").hexdigest()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_whose_name_is_no_utf8_is_inspected_read_and_named_in_messages(
    tmp_path: Path,
) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    source = write(Path(path), b"data")
    assert digest_of(source).linear == hashlib.sha256(b"data").hexdigest()
    os.unlink(path)
    with pytest.raises(SourceUnreadable) as caught:
        source.check_unchanged()
    caught.value.message.encode()  # can be printed anywhere


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux only")
def test_a_file_that_has_no_size_before_it_is_read_is_not_called_empty() -> None:
    with pytest.raises(SourceIsStream, match="has content, but no size"):
        inspect("/proc/self/status")


@needs_posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"data")
    path.chmod(0)
    with pytest.raises(BadInput, match="secret"):
        inspect(str(path))


# -- a value that crosses to other processes


def test_a_source_comes_back_equal_from_another_process_and_can_be_read_there(
    source: FileSource,
) -> None:
    copy = pickle.loads(pickle.dumps(source))
    assert copy == source
    assert copy == inspect(source.path)
    copy.check_unchanged()
    assert digest_of(copy) == digest_of(source)


@pytest.mark.parametrize(
    "other",
    [{"path": "other"}, {"size": 1}, {"mtime_ns": 1}, {"inode": 1}, {"ctime_ns": 1}],
    ids=str,
)
def test_a_source_that_differs_in_anything_is_another(
    source: FileSource, other: dict[str, Any]
) -> None:
    assert with_other(source, **other) != source


# -- whether it is still the same


def truncate(path: Path) -> None:
    os.truncate(path, 10)


def grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def rewrite(path: Path) -> None:
    status = path.stat()
    path.write_bytes(b"y" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1000))


def replace(path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"z" * status.st_size)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize(
    ("change", "named", "unnamed"),
    [
        (truncate, ["size was 100, now 10", "modification time"], ["inode"]),
        (grow, ["size was 100, now 104", "modification time"], ["inode"]),
        (rewrite, ["modification time"], ["size", "inode"]),
        (replace, ["inode"], ["size", "modification time"]),
    ],
    ids=name_of,
)
def test_a_changed_file_is_told_by_what_changed(
    tmp_path: Path, change: Callable[[Path], None], named: list[str], unnamed: list[str]
) -> None:
    path = write(tmp_path / "file", b"x" * 100).path
    os.utime(path, ns=(0, 0))
    source = inspect(path)
    source.check_unchanged()
    change(tmp_path / "file")
    with pytest.raises(SourceChanged) as caught:
        source.check_unchanged()
    assert all(text in caught.value.message for text in named)
    assert not any(text in caught.value.message for text in unnamed)
    assert (caught.value.keeps_upload, caught.value.every_block_alike) == (True, True)


def test_reading_a_file_does_not_change_it(source: FileSource) -> None:
    digest_of(source)
    with opened(source) as body:
        body.read()
    source.release(whole(source))
    source.check_unchanged()


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        pytest.param(-1, "1969-12-31T23:59:59.999999999Z", marks=needs_posix),
        (1_795_507_200_000_000_100, "2026-11-24T08:00:00.000000100Z"),
        pytest.param(
            253_402_300_799_999_999_999, "9999-12-31T23:59:59.999999999Z", marks=needs_posix
        ),
        (253_402_300_800 * 10**9, "253402300800000000000 ns"),
        (2**40 * 10**9, f"{2**40}000000000 ns"),
        (2**100, f"{2**100} ns"),
    ],
    ids=["epoch", "before it", "now", "year 9999", "year 10000", "year 36812", "beyond all"],
)
def test_a_files_time_is_told_to_the_nanosecond_however_far_off(
    nanoseconds: int, text: str
) -> None:
    assert as_moment(nanoseconds) == text


@pytest.mark.parametrize("seconds", [253_402_300_800, 2**40], ids=["year 10000", "year 36812"])
def test_a_modification_time_far_off_is_compared_and_named_as_any_other(
    tmp_path: Path, in_india: None, seconds: int
) -> None:
    path = write(tmp_path / "file", b"x").path
    os.utime(path, ns=(0, 0))
    source = with_other(inspect(path), mtime_ns=seconds * 10**9)
    with pytest.raises(SourceChanged) as caught:
        source.check_unchanged()
    said = f"modification time was {seconds}000000000 ns, now 1970-01-01 05:30:00"
    assert said in caught.value.message


def test_modification_times_are_told_to_the_nanosecond_only_within_a_second(
    tmp_path: Path, in_india: None
) -> None:
    path = write(tmp_path / "file", b"x").path
    os.utime(path, ns=(0, 1))
    for before, said in (
        (2, "was 1970-01-01T00:00:00.000000002Z, now 1970-01-01T00:00:00.000000001Z"),
        (10**9, "was 1970-01-01 05:30:01, now 1970-01-01 05:30:00"),
    ):
        with pytest.raises(SourceChanged, match=said):
            with_other(inspect(path), mtime_ns=before).check_unchanged()


# -- whether hashes of it may be kept


def seen(source: FileSource, *, later: int) -> bool:
    """Tell whether it is at rest so many nanoseconds after the later of its times."""
    newest = max(source.mtime_ns or 0, source.ctime_ns or 0)
    return source.is_at_rest(clock=lambda: newest + later)


def test_a_file_is_at_rest_once_its_times_are_over_two_seconds_old(tmp_path: Path) -> None:
    source = write(tmp_path / "file", b"x")
    assert not seen(source, later=2 * 10**9)
    assert seen(source, later=2 * 10**9 + 1)


@needs_posix
def test_an_old_modification_time_does_not_hide_that_the_file_has_just_changed(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "file", b"x").path
    os.utime(path, ns=(0, 0))
    source = inspect(path)
    assert not source.is_at_rest(clock=lambda: 100 * 10**9)
    assert source.ctime_ns is not None
    assert not source.is_at_rest(clock=lambda: (source.ctime_ns or 0) + 1)


def test_by_a_clock_that_was_turned_back_no_file_is_at_rest(tmp_path: Path) -> None:
    assert not seen(write(tmp_path / "file", b"x"), later=-3600 * 10**9)


@needs_posix
@pytest.mark.parametrize("change", [truncate, grow, rewrite, replace, os.unlink], ids=name_of)
def test_a_file_that_is_no_longer_the_inspected_one_is_not_at_rest(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    source = write(tmp_path / "file", b"x" * 100)
    change(tmp_path / "file")
    assert not seen(source, later=10**18)


@needs_posix
def test_a_change_whose_modification_time_is_put_back_is_told_by_the_time_that_cannot_be_set(
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "file", b"x" * 100)
    status = os.stat(source.path)
    while os.stat(source.path).st_ctime_ns == source.ctime_ns:  # until the system's clock has moved
        os.chmod(source.path, 0o600)
    os.utime(source.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert inspect(source.path).mtime_ns == source.mtime_ns
    source.check_unchanged()
    assert not seen(source, later=10**18)


# -- one reading for both hashes


@settings(max_examples=25)
@given(data=st.data())
def test_the_digest_of_any_block_is_hashlibs_and_botocores(
    source: FileSource, data: st.DataObject
) -> None:
    plan = Plan(source.size, MIB * data.draw(st.sampled_from([1, 2, 4])))
    block = plan.block(data.draw(st.sampled_from(plan.numbers)))
    reads: list[int] = []
    found = digest_of(source, block, on_read=reads.append)
    there = pattern(source.size)[block.offset : block.last_byte + 1]
    assert found.linear == hashlib.sha256(there).hexdigest()
    # The stubs say that it takes a str.
    assert found.tree.hex() == calculate_tree_hash(cast("Any", BytesIO(there)))
    assert sum(reads) == block.size


def test_hashing_and_sending_a_large_block_takes_less_than_3_mib(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 64 * MIB)
    source = inspect(str(path))
    tracemalloc.start()
    try:
        digest_of(source)
        with opened(source) as body:
            while body.read(16 * 1024):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MIB


# -- a block as a body


def test_an_opened_block_is_that_block_and_carries_the_hash_it_was_given(
    source: FileSource,
) -> None:
    block = Plan(source.size, MIB).block(1)
    moves: list[int] = []
    with source.open(
        block,
        linear_hash="ab" * 32,
        stop=Stop(),
        on_move=moves.append,
        allow=lambda size: min(size, 1000),
    ) as body:
        assert body.linear_hash == "ab" * 32
        assert body.read() == pattern(source.size)[MIB : MIB + 1000]
    assert moves == [1000]


def test_each_opened_block_has_a_handle_of_its_own(source: FileSource) -> None:
    plan = Plan(source.size, MIB)
    with opened(source, plan.block(0)) as first, opened(source, plan.block(3)) as last:
        assert first.read(10) == pattern(source.size)[:10]
        assert last.read() == pattern(source.size)[-5:]
        assert first.read(10) == pattern(source.size)[10:20]


def test_a_grown_file_gives_the_block_that_it_had(tmp_path: Path) -> None:
    source = write(tmp_path / "file", b"x" * 100)
    grow(tmp_path / "file")
    with opened(source) as body:
        assert body.read() == b"x" * 100


# -- trouble in the middle


def read_as_body(
    source: FileSource,
    block: Block | None = None,
    *,
    stop: Stop | None = None,
    on_read: OnRead = ignore,
) -> None:
    with opened(source, block, stop=stop, on_read=on_read) as body:
        while body.read(64 * 1024):
            pass


Reading = Callable[..., object]
both_readings = pytest.mark.parametrize("reading", [digest_of, read_as_body])


@both_readings
def test_a_file_that_is_truncated_while_it_is_read_has_changed(
    tmp_path: Path, reading: Reading
) -> None:
    source = write(tmp_path / "file", pattern(3 * MIB))

    def cut(_: int) -> None:
        os.truncate(source.path, 2 * MIB + 1)

    with pytest.raises(SourceChanged, match=str(3 * MIB - 1)) as caught:
        reading(source, on_read=cut)
    assert not isinstance(caught.value, OSError)


@needs_broken_disk
@both_readings
def test_a_disk_that_cannot_read_is_unreadable_and_no_broken_connection(reading: Reading) -> None:
    source = FileSource(path=BROKEN_DISK, size=4096, mtime_ns=0, inode=0)
    with pytest.raises(SourceUnreadable, match="block 0") as caught:
        reading(source)
    assert not isinstance(caught.value, OSError)
    assert (caught.value.keeps_upload, caught.value.every_block_alike) == (True, False)


def check(source: FileSource) -> None:
    source.check_unchanged()


every_look = pytest.mark.parametrize("look", [check, digest_of, read_as_body], ids=name_of)


@every_look
def test_a_file_that_is_gone_is_unreadable_and_has_not_changed(
    tmp_path: Path, look: Reading
) -> None:
    source = write(tmp_path / "file", b"x")
    os.unlink(source.path)
    with pytest.raises(SourceUnreadable, match=r"'.*file'.*(No such file|not found|cannot find)"):
        look(source)


@every_look
@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EIO, errno.ENOTCONN, errno.ESTALE], ids=errno.errorcode.get
)
def test_a_file_that_cannot_be_looked_at_for_a_while_is_unreadable_and_has_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Reading, number: int
) -> None:
    source = write(tmp_path / "file", b"x")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "stat", refuse)
    monkeypatch.setattr("glacier_mpu.source.file.open", refuse, raising=False)
    with pytest.raises(SourceUnreadable, match=os.strerror(number)):
        look(source)


@every_look
def test_what_cannot_be_opened_because_it_is_another_file_now_has_changed(
    tmp_path: Path, look: Reading
) -> None:
    source = write(tmp_path / "file", b"x")
    os.unlink(source.path)
    os.mkdir(source.path)
    with pytest.raises(SourceChanged, match="size was 1, now"):
        look(source)


class CutShort(FileIO):
    """A file on a drive that says that the file ends where it does not."""

    def read(self, size: int | None = -1, /) -> bytes:
        return b""

    def readinto(self, buffer: Buffer, /) -> int:
        return 0


class CutShortAndLost(CutShort):
    """The same, and the drive is gone before it can be asked how long the file is."""

    def fileno(self) -> int:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


@both_readings
@pytest.mark.parametrize("kind", [CutShort, CutShortAndLost], ids=name_of)
def test_a_reading_that_ends_early_though_the_file_is_as_long_as_it_was_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reading: Reading, kind: type[FileIO]
) -> None:
    source = write(tmp_path / "file", b"x")

    def cut_short(path: str, *_: object, **__: object) -> FileIO:
        return kind(path)

    monkeypatch.setattr("glacier_mpu.source.file.open", cut_short, raising=False)
    with pytest.raises(SourceUnreadable, match="block 0"):
        reading(source)


@both_readings
def test_reading_stops_in_the_middle_when_asked_to(tmp_path: Path, reading: Reading) -> None:
    source = write(tmp_path / "file", pattern(3 * MIB))
    stop = Stop()
    reads: list[int] = []

    def on_read(size: int) -> None:
        reads.append(size)
        stop.ask()

    with pytest.raises(Stopped):
        reading(source, stop=stop, on_read=on_read)
    assert len(reads) == 1


@both_readings
def test_a_run_that_was_stopped_before_reads_nothing(source: FileSource, reading: Reading) -> None:
    stop = Stop()
    stop.ask()
    reads: list[int] = []
    with pytest.raises(Stopped):
        reading(source, stop=stop, on_read=reads.append)
    assert reads == []


@both_readings
def test_unreadable_names_the_blocks_number_and_bytes(tmp_path: Path, reading: Reading) -> None:
    source = write(tmp_path / "file", pattern(2 * MIB))
    os.unlink(source.path)
    with pytest.raises(SourceUnreadable, match=f"block 1 .*{MIB}-{2 * MIB - 1}"):
        reading(source, Block(number=1, offset=MIB, size=MIB))


# -- the page cache


@needs_fadvise
def test_a_released_block_and_no_other_is_dropped_from_the_page_cache(
    source: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice: list[tuple[int, int, int, int]] = []

    def note(descriptor: int, offset: int, size: int, advised: int) -> None:
        advice.append((os.fstat(descriptor).st_ino, offset, size, advised))

    block = Plan(source.size, MIB).block(2)
    monkeypatch.setattr(os, "posix_fadvise", note)
    source.release(block)
    assert advice == [(source.inode, 2 * MIB, MIB, os.POSIX_FADV_DONTNEED)]


def test_releasing_a_block_of_a_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    source = write(tmp_path / "file", b"x")
    os.unlink(source.path)
    source.release(whole(source))


@needs_fadvise
@pytest.mark.parametrize(
    "number", [errno.EINVAL, errno.EIO, errno.ENOSYS, errno.ESTALE], ids=errno.errorcode.get
)
def test_a_file_system_that_takes_no_advice_is_read_and_released_all_the_same(
    source: FileSource, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    asked: list[int] = []

    def refuse(*arguments: int) -> None:
        asked.append(arguments[-1])
        raise OSError(number, os.strerror(number))

    found = digest_of(source)
    monkeypatch.setattr(os, "posix_fadvise", refuse)
    assert digest_of(source) == found
    source.release(whole(source))
    assert asked == [os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_DONTNEED]


def test_a_system_without_such_advice_reads_and_releases_all_the_same(
    source: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = digest_of(source)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    assert digest_of(source) == found
    source.release(whole(source))
