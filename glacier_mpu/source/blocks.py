"""Blocks of a file: limits, block size, numbers, ranges. Pure, integers only.

A block is what Glacier calls a part. Numbers are 0-based, and ranges of numbers include both ends.
Source of the limits:
https://docs.aws.amazon.com/amazonglacier/latest/dev/uploading-archive-mpu.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from glacier_mpu.errors import BadInput, BlocksOutsideFile, TooManyBlocks

MIB = 1 << 20
SMALLEST_BLOCK = MIB
LARGEST_BLOCK = 4096 * MIB
MOST_BLOCKS = 10_000
LARGEST_FILE = MOST_BLOCKS * LARGEST_BLOCK
PREFERRED_BLOCK = 128 * MIB


@dataclass(frozen=True, slots=True)
class Block:
    """`size` bytes of the file from byte `offset` on; `size` is at least 1."""

    number: int
    offset: int
    size: int

    @property
    def last_byte(self) -> int:
        """Offset of the block's last byte."""
        return self.offset + self.size - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file of `size` bytes is cut into blocks of `block_size` bytes, the last maybe shorter.

    Raises BadInput for sizes that Glacier does not take.
    """

    size: int
    block_size: int

    def __post_init__(self) -> None:
        check_file_size(self.size)
        if not is_block_size(self.block_size):
            raise BadInput(
                f"blocks of {self.block_size:,} bytes are not a power of two from 1 to 4096 MiB"
            )
        if self.count > MOST_BLOCKS:
            raise TooManyBlocks(
                f"the file has {self.count:,} blocks of {self.block_size // MIB} MiB, and Glacier "
                f"takes at most {MOST_BLOCKS:,}",
                smallest=smallest_block_size(self.size),
            )

    @property
    def count(self) -> int:
        """Number of blocks."""
        return -(-self.size // self.block_size)

    @property
    def numbers(self) -> range:
        """All block numbers, in order."""
        return range(self.count)

    def block(self, number: int) -> Block:
        """Return the block with this number. Raises BadInput outside the file."""
        if number not in self.numbers:
            raise BadInput(f"there is no block {number}: the file has blocks 0 to {self.count - 1}")
        offset = number * self.block_size
        return Block(number=number, offset=offset, size=min(self.block_size, self.size - offset))

    def blocks(self, numbers: Iterable[int]) -> Iterator[Block]:
        """Return the blocks with these numbers, in the order given."""
        return (self.block(number) for number in numbers)

    def selection(self, first: int | None, last: int | None) -> range:
        """Return block numbers `first` to `last`, both included; None is the file's own end.

        Raises BadInput for a range that is empty or leaves the file.
        """
        start = 0 if first is None else first
        end = self.count - 1 if last is None else last
        if start not in self.numbers or end not in self.numbers or start > end:
            raise BlocksOutsideFile(
                f"blocks {start} to {end} are not a valid range: the file has blocks 0 to "
                f"{self.count - 1}"
            )
        return range(start, end + 1)


def check_file_size(size: int) -> None:
    """Raise BadInput for a size that no archive can have."""
    if size < 1:
        raise BadInput("the file is empty, and Glacier does not take empty archives")
    if size > LARGEST_FILE:
        raise BadInput(f"the file has {size:,} bytes, and Glacier takes at most {LARGEST_FILE:,}")


def is_block_size(block_size: int) -> bool:
    """Tell whether Glacier takes blocks of so many bytes: 2^n MiB, 1 MiB to 4 GiB."""
    return SMALLEST_BLOCK <= block_size <= LARGEST_BLOCK and block_size & (block_size - 1) == 0


def smallest_block_size(size: int) -> int:
    """Return the smallest block size, in bytes, that cuts the file into at most MOST_BLOCKS."""
    check_file_size(size)
    block_size = SMALLEST_BLOCK
    while block_size * MOST_BLOCKS < size:
        block_size *= 2
    return block_size


def choose_block_size(size: int) -> int:
    """Return the default block size, in bytes, for a file of `size` bytes."""
    return max(PREFERRED_BLOCK, smallest_block_size(size))


def nearest_block_sizes(mib: int) -> tuple[int, int]:
    """Return the two valid block sizes, in MiB, nearest to one that is not valid."""
    below = 1
    while below * 4 * MIB <= LARGEST_BLOCK and below * 2 <= mib:
        below *= 2
    return below, below * 2


def as_named_ranges(numbers: Collection[int]) -> str:
    """Write them with the word: `block 2` or `blocks 2, 5-7`."""
    return f"block{'s' * (len(numbers) != 1)} {as_ranges(numbers)}"


def as_ranges(numbers: Iterable[int]) -> str:
    """Write block numbers as people do: `2, 5-7`. An empty string for none."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)
