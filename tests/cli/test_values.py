"""What the value of each flag may be, and the description of an archive that was given none."""

from __future__ import annotations

import os
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glacier_mpu.cli import values
from glacier_mpu.cli.values import LONGEST_DESCRIPTION, default_description
from glacier_mpu.source.blocks import is_block_size

needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
READERS: list[Callable[[str], object]] = [
    values.threads,
    values.block_number,
    values.vault,
    values.comment,
    values.upload_id,
    values.blocksize,
    values.true_or_false,
    values.rate,
    values.size,
    values.command,
    values.url,
    values.account_id,
    values.minutes,
]


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@given(text=st.text())
def test_any_text_is_read_or_refused_in_one_line(read: Callable[[str], object], text: str) -> None:
    try:
        read(text)
    except ValueError as error:
        assert str(error).splitlines() == [str(error)]  # noqa: PT017 - most texts raise nothing


@given(mib=st.integers(min_value=-(10**6), max_value=10**6))
def test_a_wrong_block_size_names_two_that_are_right(mib: int) -> None:
    try:
        assert is_block_size(values.blocksize(str(mib)))
    except ValueError as error:
        below, _, above = str(error).rpartition("are ")[2].partition(" and ")
        assert values.blocksize(below) * 2 == values.blocksize(above)


@pytest.mark.parametrize(
    ("text", "bytes_a_second"),
    [
        ("8bit", 1),
        ("50Mbit", 6_250_000),
        ("50Mbps", 6_250_000),
        ("1Gbit/s", 125_000_000),
        ("6MB", 6_000_000),
        ("6 MB/s", 6_000_000),
        ("0.5kB", 500),
        ("1MiB", 1 << 20),
    ],
)
def test_a_rate_is_read_in_bits_or_bytes(text: str, bytes_a_second: int) -> None:
    assert values.rate(text) == bytes_a_second


@pytest.mark.parametrize("text", ["50", "0MB", "MB", "1mb", "-1MB", "1e3MB", "7bit", ""])
def test_a_rate_without_a_unit_or_below_a_byte_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="50Mbit"):
        values.rate(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("12345", 12345),
        ("12345 B", 12345),
        ("8TB", 8 * 10**12),
        ("500 GiB", 500 << 30),
        ("1.5TiB", 3 << 39),
        ("0.1kB", 100),
        ("39.0625TiB", 42_949_672_960_000),
    ],
)
def test_a_size_is_read_in_decimal_and_in_binary_units_and_exactly(text: str, size: int) -> None:
    assert values.size(text) == size


def test_a_url_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="password") as caught:
        values.url("https://me:secret@example.org")
    assert "secret" not in str(caught.value)


# -- the default description


@pytest.mark.parametrize(
    ("path", "description"),
    [
        ("a b.zip", "Archive for a b.zip"),
        (r"C:\My Files\a.zip", r"Archive for C:\My Files\a.zip"),
        ("100%.zip", "Archive for 100%.zip"),
        ("na\u00efve", "Archive for na%C3%AFve"),
        ("\u65e5", "Archive for %E6%97%A5"),
        ("tab\there", "Archive for tab%09here"),
        ("line\n", "Archive for line%0A"),
        ("del\x7f", "Archive for del%7F"),
        pytest.param("caf\udce9", "Archive for caf%E9", marks=needs_posix),
        ("p" * 2000, "Archive for " + "p" * 1012),
    ],
    ids=ascii,
)
def test_the_default_description_names_the_path(path: str, description: str) -> None:
    assert default_description(path) == description


@given(path=st.text(max_size=400) if os.name == "nt" else st.binary(max_size=400).map(os.fsdecode))
def test_any_path_makes_a_description_that_glacier_takes_and_that_can_be_read_back(
    path: str,
) -> None:
    description = default_description(path)
    assert len(description) <= LONGEST_DESCRIPTION
    assert set(description) <= set(PRINTABLE)
    if "%" not in path and len(description) < LONGEST_DESCRIPTION:
        assert unquote_to_bytes(description) == b"Archive for " + os.fsencode(path)
