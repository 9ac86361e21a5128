"""What a command writes to stderr, as it is shown."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterable
from io import FileIO
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glacier_mpu.source.stderr import LONGEST_LINE, lines


class Writes:
    """A pipe from which each read gives what one write has put there."""

    def __init__(self, writes: Iterable[bytes]) -> None:
        self._writes = iter(writes)

    def read(self, size: int) -> bytes:
        data = next(self._writes, b"")
        assert len(data) <= size
        return data


def heard(*writes: bytes) -> list[str]:
    return list(lines(cast("FileIO", Writes(writes))))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"tar: removing leading `/'\n", ["tar: removing leading `/'"]),
        (b"one\ntwo", ["one", "two"]),
        (b"\n\n  \none\n", ["one"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"10 %\r20 %\r100 %\ndone\n", ["100 %", "done"]),
        (b"10 %\r20 %\r", ["20 %"]),
        (b"\x1b[31mred\x1b[0m\n", ["red"]),
        (b"a\x07\x1b]b\x00c\td\n", ["a]bc d"]),
        ("naïve 日本\n".encode(), ["naïve 日本"]),
        (b"caf\xe9\n", ["caf\ufffd"]),
        (b"x" * 5000 + b"\nshort\n", ["x" * LONGEST_LINE, "short"]),
        (b"", []),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the encoding of Windows' consoles is no UTF-8")
def test_a_line_is_shown_as_it_is_at_last_and_cannot_harm_a_terminal(
    written: bytes, shown: list[str]
) -> None:
    assert heard(written[:3], written[3:]) == shown


@given(
    text=st.lists(st.sampled_from([b"a", b"bc", b"\r", b"\n", b"\t", b"x" * 700])).map(b"".join),
    cuts=st.lists(st.integers(min_value=1, max_value=9)),
)
def test_lines_are_the_same_however_they_arrive(text: bytes, cuts: list[int]) -> None:
    pieces, rest = [], text
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    assert heard(*filter(None, [*pieces, rest])) == heard(*filter(None, [text]))


@pytest.mark.parametrize("end", [b"", b"\r"], ids=["", "written over"])
def test_a_line_without_an_end_takes_constant_memory(end: bytes) -> None:
    chunk = b"x" * 60_000 + end
    tracemalloc.start()
    try:
        assert heard(*(chunk for _ in range(500))) == ["x" * LONGEST_LINE]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
