"""The tree hash against botocore's own, and against every vector that somebody published."""

from __future__ import annotations

import hashlib
import pickle
import random
from collections.abc import Iterator
from io import BytesIO
from typing import Any, cast

import pytest
from botocore.utils import calculate_tree_hash
from hypothesis import given, settings
from hypothesis import strategies as st

from glacier_mpu.source.treehash import LEAF_SIZE, Digest, combine, digest

POWERS = [1 << n for n in range(13)]
NODE_COUNTS = st.one_of(
    st.integers(1, 200),
    st.builds(lambda power, off: max(1, power + off), st.sampled_from(POWERS), st.integers(-1, 1)),
)


class Chunks:
    """A file of prepared chunks, one for each read, so that thousands of leaves cost little."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._rest = iter(chunks)

    def read(self, _: int) -> bytes:
        return next(self._rest, b"")


def botocores_tree_hash(file: BytesIO | Chunks) -> str:
    return calculate_tree_hash(cast("Any", file))  # the stubs say it takes a str


def leaves_of(data: bytes) -> list[memoryview]:
    return [memoryview(data)[i : i + LEAF_SIZE] for i in range(0, len(data), LEAF_SIZE)]


def nodes_of(count: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % n).digest() for n in range(count)]


@settings(max_examples=40)
@given(mib=st.integers(0, 9), off=st.integers(-2, 2), seed=st.integers(0, 9))
def test_both_hashes_around_mib_boundaries_are_hashlibs_and_botocores(
    mib: int, off: int, seed: int
) -> None:
    data = random.Random(seed).randbytes(max(0, mib * LEAF_SIZE + off))
    found = digest(leaves_of(data))
    assert found.tree.hex() == botocores_tree_hash(BytesIO(data))
    assert found.linear == hashlib.sha256(data).hexdigest()


@settings(max_examples=60)
@given(count=NODE_COUNTS)
def test_a_tree_of_any_number_of_leaves_is_botocores(count: int) -> None:
    leaves = [b"%d" % n for n in range(count)]
    assert digest(leaves).tree.hex() == botocores_tree_hash(Chunks(leaves))


@settings(max_examples=60)
@given(count=NODE_COUNTS)
def test_roots_of_blocks_of_every_power_of_two_combine_to_the_hash_of_the_whole(count: int) -> None:
    leaves = nodes_of(count)
    whole = combine(leaves)
    for power in POWERS:
        roots = [combine(leaves[i : i + power]) for i in range(0, count, power)]
        assert combine(roots) == whole, f"blocks of {power} leaves"


@given(count=st.integers(2, 50), data=st.data())
def test_two_runs_in_the_wrong_order_give_another_hash(count: int, data: st.DataObject) -> None:
    nodes = nodes_of(count)
    a, b = data.draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=2, unique=True))
    swapped = list(nodes)
    swapped[a], swapped[b] = nodes[b], nodes[a]
    assert combine(swapped) != combine(nodes)


def test_combining_leaves_its_argument_as_it_was() -> None:
    nodes = nodes_of(5)
    combine(nodes)
    assert nodes == nodes_of(5)


def test_a_leafs_buffer_may_be_reused_once_the_next_is_asked_for() -> None:
    data = random.Random(1).randbytes(3 * LEAF_SIZE + 7)
    buffer = bytearray(LEAF_SIZE)

    def leaves() -> Iterator[memoryview]:
        for leaf in leaves_of(data):
            buffer[: len(leaf)] = leaf
            yield memoryview(buffer)[: len(leaf)]

    assert digest(leaves()) == digest(leaves_of(data))


MIB = LEAF_SIZE
VECTORS = [
    ("nothing", b"a", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (
        "Hello World",
        b"Hello World",
        11,
        "a591a6d40bf420404a011733cfb7b190d62c65bf0bcda32b57b277d9ad9f146e",
    ),
    (
        "AWS's guide: 4,608,000 x NUL",
        b"\0",
        4_608_000,
        "3d760edb291bfc9d90d35809243de092aea4c47b308290ad12d084f69988ae0c",
    ),
    ("a x 1 MiB", b"a", MIB, "9bc1b2a288b26af7257a36277ae3816a7d4f16e89c1e7e77d0a5c48bad62b360"),
    (
        "a x 2 MiB",
        b"a",
        2 * MIB,
        "560c2c9333c719cb00cfdffee3ba293db17f58743cdd1f7e4055373ae6300afa",
    ),
    (
        "a x 3 MiB",
        b"a",
        3 * MIB,
        "70239f4f2ead7561f69d48b956b547edef52a1280a93c262c0b582190be7db17",
    ),
    (
        "a x 3.5 MiB",
        b"a",
        7 * MIB // 2,
        "daede4eb580f914dacd5e0bdf7015c937fd615c1e6c6552d25cb04a8b7219828",
    ),
    (
        "a x 4 MiB",
        b"a",
        4 * MIB,
        "9491cb2ed1d4e7cd53215f4017c23ec4ad21d7050a1e6bb636c4f67e8cddb844",
    ),
    (
        "a x (4 MiB + 20)",
        b"a",
        4 * MIB + 20,
        "12f3cbd6101b981cde074039f6f728071da8879d6f632de8afc7cdf00661b08f",
    ),
    (
        "a x 8 MiB",
        b"a",
        8 * MIB,
        "c87a460c93d4a8ffcf09a9a236cc17a486d7ed8a1a2f48e9c361c5f7ac0f1280",
    ),
    (
        "0 x 2 MiB",
        b"0",
        2 * MIB,
        "489117033ee4cf06991b60ce56830ac409862a6ec8afdfb3b510e8fad3b80d24",
    ),
    (
        "0 x 3 MiB",
        b"0",
        3 * MIB,
        "940257b3e0d13f92c98dc3fc32182e3acd07a81fe82f2b2dcd1802e1eedc5a3c",
    ),
    (
        "0 x 4 MiB",
        b"0",
        4 * MIB,
        "0c2c286faeadbb8ef7aab5e1198af77b1c00d6ff634a739f0e4d55ea3a40ad2d",
    ),
    (
        "0 x 5.5 MiB",
        b"0",
        5_767_168,
        "154e26c78fd74d0c2c9b3cc4644191619dc4f2cd539ae2a74d5fd07957a3ee6a",
    ),
    (
        "0 x 8 MiB",
        b"0",
        8 * MIB,
        "ff9ea39186cb33cd5ade7aca078e297a1622f8c1abdd4cc47bcbf66dc5877e1f",
    ),
]


@pytest.mark.parametrize(
    ("unit", "size", "tree_hash"),
    [row[1:] for row in VECTORS],
    ids=[row[0] for row in VECTORS],
)
def test_the_tree_hash_is_the_published_one(unit: bytes, size: int, tree_hash: str) -> None:
    data = unit * (size // len(unit))
    assert digest(leaves_of(data)).tree.hex() == tree_hash


def test_the_linear_hash_of_the_same_pass_is_the_published_one() -> None:
    assert digest(leaves_of(b"0" * 5_767_168)).linear == (
        "68aff0c5a91aa0491752bfb96e3fef33eb74953804f6a2f7b708d5bcefa8ff6b"
    )


def test_a_digest_comes_back_equal_from_another_process() -> None:
    found = digest(leaves_of(b"data"))
    assert pickle.loads(pickle.dumps(found)) == found
    assert found == Digest(linear=found.linear, tree=found.tree)
    assert found not in (Digest("0" * 64, found.tree), Digest(found.linear, bytes(32)))
