"""One block as the body of a request: it reads and seeks as a file does, and tells each move."""

from __future__ import annotations

import errno
import os
from io import BytesIO, FileIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glacier_mpu.errors import SourceChanged, SourceUnreadable
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.source.body import BlockBody
from glacier_mpu.source.file import FileSource
from glacier_mpu.stop import Stop, Stopped
from tests.support.kit import Clock, body_of, ignore, pattern, whole, write

Step = tuple[str, int] | tuple[str, int, int]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    return write(tmp_path_factory.mktemp("source") / "file", pattern(3 * MIB + 5))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    return write(tmp_path_factory.mktemp("small") / "file", pattern(100))


def test_a_body_has_its_blocks_length_and_bytes_and_no_more(source: FileSource) -> None:
    block = Plan(source.size, MIB).block(1)
    with body_of(source, block) as body:
        assert len(body) == block.size
        assert body.read(10) + body.read(0) + body.read(None) == pattern(source.size)[MIB : 2 * MIB]
        assert (body.read(), body.read(5), body.tell()) == (b"", b"", block.size)


def test_the_last_block_ends_with_the_file(source: FileSource) -> None:
    block = Plan(source.size, MIB).block(3)
    with body_of(source, block) as body:
        assert body.read(MIB) == pattern(source.size)[-5:]


def test_a_body_carries_the_hash_that_the_request_declares(small: FileSource) -> None:
    with body_of(small, linear_hash="ab" * 32) as body:
        assert body.linear_hash == "ab" * 32


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(-1, 40)),
            st.tuples(st.just("seek"), st.integers(-20, 120), st.sampled_from([0, 1, 2])),
        ),
        max_size=20,
    ),
    offset=st.integers(0, 20),
)
def test_a_body_reads_and_seeks_as_a_file_and_its_moves_add_up_to_the_position(
    small: FileSource, steps: list[Step], offset: int
) -> None:
    block = Block(number=0, offset=offset, size=60)
    like = BytesIO(pattern(100)[offset : offset + 60])
    moves: list[int] = []
    with body_of(small, block, on_move=moves.append) as body:
        for step in steps:
            if len(step) == 2:
                assert body.read(step[1]) == like.read(step[1])
            else:
                _, distance, whence = step
                base = (0, like.tell(), 60)[whence]
                position = min(max(base + distance, 0), 60)  # a body stays within its block
                assert body.seek(distance, whence) == like.seek(position)
            assert body.tell() == like.tell() == sum(moves)
            assert body.furthest >= body.tell()
        body.seek(0)
    assert sum(moves) == 0
    assert 0 not in moves


def test_a_rewind_is_told_as_bytes_less_and_furthest_stays(small: FileSource) -> None:
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


def test_a_body_asks_for_what_is_left_and_reads_what_it_is_allowed(small: FileSource) -> None:
    asked: list[int] = []
    moves: list[int] = []

    def allow(size: int) -> int:
        asked.append(size)
        return min(size, 40)

    with body_of(small, on_move=moves.append, allow=allow) as body:
        read = [body.read(), body.read(50), body.read(50), body.read(50)]
    assert read == [pattern(100)[:40], pattern(100)[40:80], pattern(100)[80:], b""]
    assert asked == [100, 50, 20]  # nothing is left to be allowed at the end
    assert moves == [40, 40, 20]


def test_a_stop_while_a_read_waits_for_its_turn_ends_it(small: FileSource) -> None:
    moves: list[int] = []

    def allow(size: int) -> int:
        raise Stopped

    with (
        body_of(small, on_move=moves.append, allow=allow) as body,
        pytest.raises(Stopped),
    ):
        body.read()
    assert moves == []


def test_a_stopped_body_reads_no_more_and_can_still_be_rewound(small: FileSource) -> None:
    stop = Stop()
    with body_of(small, stop=stop) as body:
        body.read(10)
        stop.ask()
        for size in (10, 0):
            with pytest.raises(Stopped):
                body.read(size)
        assert body.seek(0) == 0


@pytest.mark.parametrize("beyond", [1, 10])
def test_a_file_that_ends_in_the_block_has_changed_and_names_the_blocks_last_byte(
    small: FileSource, beyond: int
) -> None:
    block = Block(number=7, offset=90, size=10 + beyond)
    with body_of(small, block) as body:
        assert body.read() == pattern(100)[90:]
        with pytest.raises(SourceChanged, match=rf"byte {99 + beyond}.*block 7"):
            body.read()


class Fallible(FileIO):
    """A file on a drive that is lost once `lost` is set."""

    lost = False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.check()
        return super().seek(offset, whence)

    def close(self) -> None:
        super().close()
        self.check()

    def check(self) -> None:
        if self.lost:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def body_on(file: FileIO, source: FileSource) -> BlockBody:
    return BlockBody(
        file,
        whole(source),
        name=source.path,
        linear_hash="0" * 64,
        stop=Stop(),
        on_move=ignore,
    )


def test_a_body_that_cannot_go_back_is_unreadable_and_no_broken_connection(
    small: FileSource,
) -> None:
    file = Fallible(small.path)
    with body_on(file, small) as body:
        body.read(10)
        file.lost = True
        with pytest.raises(SourceUnreadable, match=f"block 0.*{os.strerror(errno.ESTALE)}"):
            body.seek(0)
        assert body.tell() == 10
        file.lost = False


def test_a_body_on_a_file_that_is_lost_already_is_unreadable_and_closes_it(
    small: FileSource,
) -> None:
    file = Fallible(small.path)
    file.lost = True
    with pytest.raises(SourceUnreadable, match="block 0"):
        body_on(file, small)
    assert file.closed


def test_a_file_that_is_lost_once_the_block_was_sent_does_not_matter(small: FileSource) -> None:
    file = Fallible(small.path)
    with body_on(file, small) as body:
        body.read()
        file.lost = True
    assert file.closed


def test_a_closed_body_reads_no_more_and_may_be_closed_again(small: FileSource) -> None:
    body = body_of(small)
    body.close()
    body.close()
    with pytest.raises(ValueError, match="closed"):
        body.read(1)
