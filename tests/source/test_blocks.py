"""The block plan: blocks tile the file, within Glacier's limits; messages name what would do."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glacier_mpu.errors import BadInput, BlocksOutsideFile, TooManyBlocks
from glacier_mpu.source.blocks import (
    LARGEST_BLOCK,
    LARGEST_FILE,
    MIB,
    MOST_BLOCKS,
    PREFERRED_BLOCK,
    Block,
    Plan,
    as_ranges,
    check_file_size,
    choose_block_size,
    is_block_size,
    nearest_block_sizes,
    smallest_block_size,
)

BLOCK_SIZES = [MIB << n for n in range(13)]
FILE_SIZES = st.one_of(
    st.integers(1, LARGEST_FILE),
    st.builds(
        lambda size, count, off: min(max(1, size * count + off), LARGEST_FILE),
        st.sampled_from(BLOCK_SIZES),
        st.integers(0, MOST_BLOCKS),
        st.integers(-1, 1),
    ),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    size = draw(FILE_SIZES)
    fitting = [b for b in BLOCK_SIZES if size <= b * MOST_BLOCKS]
    return Plan(size, draw(st.sampled_from(fitting)))


@given(plan=plans())
def test_the_blocks_tile_the_file_exactly_and_none_is_empty(plan: Plan) -> None:
    blocks = list(plan.blocks(plan.numbers))
    assert 1 <= len(blocks) == plan.count <= MOST_BLOCKS
    position = 0
    for number, block in enumerate(blocks):
        assert (block.number, block.offset) == (number, position)
        assert 1 <= block.size <= plan.block_size
        assert block.last_byte == block.offset + block.size - 1
        position += block.size
    assert position == plan.size
    assert all(block.size == plan.block_size for block in blocks[:-1])


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (1, [1]),
        (MIB - 1, [MIB - 1]),
        (MIB, [MIB]),
        (MIB + 1, [MIB, 1]),
        (2 * MIB - 1, [MIB, MIB - 1]),
        (2 * MIB, [MIB, MIB]),
        (2 * MIB + 1, [MIB, MIB, 1]),
    ],
)
def test_only_the_last_block_is_shorter_around_a_boundary(size: int, sizes: list[int]) -> None:
    plan = Plan(size, MIB)
    assert [block.size for block in plan.blocks(plan.numbers)] == sizes


def test_the_largest_file_has_the_most_blocks_of_the_largest_size() -> None:
    check_file_size(LARGEST_FILE)
    plan = Plan(LARGEST_FILE, LARGEST_BLOCK)
    assert plan.count == MOST_BLOCKS
    assert plan.block(MOST_BLOCKS - 1).last_byte == LARGEST_FILE - 1


def largest_blocks(size: int) -> Plan:
    return Plan(size, LARGEST_BLOCK)


@pytest.mark.parametrize(
    "function", [check_file_size, smallest_block_size, choose_block_size, largest_blocks]
)
@pytest.mark.parametrize(
    ("size", "fact"),
    [(LARGEST_FILE + 1, f"{LARGEST_FILE:,}"), (0, "the file is empty")],
    ids=["one byte over", "empty"],
)
def test_a_size_that_no_archive_has_is_bad_input_that_says_why(
    function: Callable[[int], object], size: int, fact: str
) -> None:
    with pytest.raises(BadInput, match=fact) as caught:
        function(size)
    assert type(caught.value) is BadInput


@given(size=FILE_SIZES)
def test_the_smallest_block_size_fits_and_half_of_it_does_not(size: int) -> None:
    smallest = smallest_block_size(size)
    assert smallest in BLOCK_SIZES
    assert size <= smallest * MOST_BLOCKS
    assert smallest == MIB or size > smallest // 2 * MOST_BLOCKS


@given(size=FILE_SIZES)
def test_the_chosen_block_size_is_128_mb_or_the_smallest_that_fits(size: int) -> None:
    chosen = choose_block_size(size)
    fits = size <= PREFERRED_BLOCK * MOST_BLOCKS
    assert chosen == (PREFERRED_BLOCK if fits else smallest_block_size(size))
    assert Plan(size, chosen).count <= MOST_BLOCKS


@pytest.mark.parametrize("power", range(13))
def test_one_block_over_ten_thousand_is_refused_with_the_smallest_size_that_fits(
    power: int,
) -> None:
    block_size = MIB << power
    most = block_size * MOST_BLOCKS
    assert Plan(most, block_size).count == MOST_BLOCKS
    if block_size == LARGEST_BLOCK:
        return
    with pytest.raises(TooManyBlocks, match="10,001") as caught:
        Plan(most + 1, block_size)
    assert caught.value.smallest == 2 * block_size


@given(size=st.integers(-MIB, 2 * LARGEST_BLOCK))
def test_a_block_size_is_a_power_of_two_of_mib_from_1_to_4096(size: int) -> None:
    assert is_block_size(size) == (size in BLOCK_SIZES)


@pytest.mark.parametrize("block_size", [0, -MIB, 1, MIB - 1, 3 * MIB, 2 * LARGEST_BLOCK])
def test_a_plan_with_another_block_size_is_refused(block_size: int) -> None:
    with pytest.raises(BadInput, match=f"{block_size:,} bytes"):
        Plan(1, block_size)


@given(mib=st.integers(-5000, 10_000).filter(lambda mib: not is_block_size(mib * MIB)))
def test_the_nearest_block_sizes_are_neighbours_around_or_next_to_the_wrong_one(mib: int) -> None:
    below, above = nearest_block_sizes(mib)
    assert is_block_size(below * MIB)
    assert above == 2 * below
    assert is_block_size(above * MIB)
    if 1 < mib < 4096:
        assert below < mib < above
    else:
        assert (below, above) == ((1, 2) if mib < 1 else (2048, 4096))


@given(numbers=st.lists(st.integers(0, 60), max_size=40))
def test_ranges_name_each_block_once_and_in_order(numbers: list[int]) -> None:
    text = as_ranges(numbers)
    runs = [
        (int(first), int(last or first))
        for first, _, last in (run.partition("-") for run in text.split(", ") if run)
    ]
    assert [n for first, last in runs for n in range(first, last + 1)] == sorted(set(numbers))
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(runs))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([2], "2"), ([5, 6], "5-6"), ([7, 2, 5, 6], "2, 5-7"), (range(10_000), "0-9999")],
)
def test_ranges_are_written_as_people_do(numbers: Iterable[int], text: str) -> None:
    assert as_ranges(numbers) == text


@pytest.mark.parametrize(
    ("first", "last", "numbers"),
    [
        (None, None, range(10)),
        (0, 9, range(10)),
        (3, None, range(3, 10)),
        (None, 0, range(1)),
        (9, 9, range(9, 10)),
    ],
)
def test_a_selection_includes_both_ends_and_none_is_the_files_own(
    first: int | None, last: int | None, numbers: range
) -> None:
    assert Plan(10 * MIB, MIB).selection(first, last) == numbers


@pytest.mark.parametrize(
    ("first", "last", "ends"),
    [
        (10, None, (10, 9)),
        (None, 10, (0, 10)),
        (-1, None, (-1, 9)),
        (None, -1, (0, -1)),
        (4, 3, (4, 3)),
        (0, 10**30, (0, 10**30)),
    ],
    ids=["start past", "end past", "start negative", "end negative", "start after end", "huge"],
)
def test_a_range_that_is_empty_or_leaves_the_file_is_refused_with_the_valid_one(
    first: int | None, last: int | None, ends: tuple[int, int]
) -> None:
    with pytest.raises(BlocksOutsideFile, match="0 to 9") as caught:
        Plan(10 * MIB, MIB).selection(first, last)
    assert all(str(number) in caught.value.message for number in ends)


@pytest.mark.parametrize("number", [-1, 3, 10_000])
def test_a_block_outside_the_file_is_refused_with_the_files_range(number: int) -> None:
    with pytest.raises(BadInput, match=f"no block {number}: .*0 to 2"):
        Plan(3 * MIB, MIB).block(number)


@pytest.mark.parametrize("number", [-1, 3])
def test_a_list_of_blocks_with_one_outside_the_file_is_refused(number: int) -> None:
    with pytest.raises(BadInput, match=f"no block {number}"):
        list(Plan(3 * MIB, MIB).blocks([0, number]))


def test_blocks_are_given_in_the_order_asked_for() -> None:
    assert [block.number for block in Plan(3 * MIB, MIB).blocks([2, 0, 2])] == [2, 0, 2]


@given(plan=plans())
def test_a_plan_and_its_blocks_come_back_equal_from_another_process(plan: Plan) -> None:
    last = plan.block(plan.count - 1)
    assert pickle.loads(pickle.dumps((plan, last))) == (plan, last)
    assert Block(last.number, last.offset, last.size) == last
    assert Plan(plan.size, plan.block_size) == plan


def test_blocks_that_differ_in_anything_are_not_equal() -> None:
    block = Block(number=1, offset=2, size=3)
    assert block == Block(1, 2, 3)
    assert block not in (Block(0, 2, 3), Block(1, 0, 3), Block(1, 2, 4))
    assert Plan(3, MIB) not in (Plan(4, MIB), Plan(3, 2 * MIB))


@pytest.mark.parametrize("value", [Plan(3, MIB), Block(1, 2, 3)], ids=["plan", "block"])
def test_a_plan_and_a_block_cannot_be_changed(value: Plan | Block) -> None:
    with pytest.raises(AttributeError):
        value.size = 4  # type: ignore[misc]
