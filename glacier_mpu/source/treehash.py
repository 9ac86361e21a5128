"""SHA-256 tree hash, as Amazon Glacier defines it. Pure: bytes in, digests out.

Each leaf is the SHA-256 of 1 MiB, the last leaf of what is left. Neighbours are joined and hashed,
pair by pair and level by level; one without a neighbour goes up unchanged.
Source: https://docs.aws.amazon.com/amazonglacier/latest/dev/checksum-calculations.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

LEAF_SIZE = 1 << 20
_DIGEST_SIZE = sha256().digest_size


@dataclass(frozen=True, slots=True)
class Digest:
    """Both hashes of one run of bytes: `linear` in hex, `tree` as 32 raw bytes."""

    linear: str
    tree: bytes


def digest(leaves: Iterable[bytes | memoryview]) -> Digest:
    """Hash the leaves in order, each LEAF_SIZE bytes and the last 1 to LEAF_SIZE, in one pass.

    A leaf is not looked at again once the next is asked for, so the caller may reuse its buffer.
    """
    linear = sha256()
    nodes: list[bytes] = []
    for leaf in leaves:
        linear.update(leaf)
        # Of the first leaf both are the same, which saves blocks of 1 MiB half of the work.
        nodes.append(sha256(leaf).digest() if nodes else linear.digest())
    return Digest(linear=linear.hexdigest(), tree=combine(nodes))


def combine(nodes: Sequence[bytes]) -> bytes:
    """Combine the 32-byte tree hashes of neighbouring runs into the tree hash of the whole.

    The runs are in order, and all but the last have the same size, a power of two of MiB: then each
    is a node of the whole's tree. No run at all gives the SHA-256 of nothing.
    """
    if not nodes:
        return sha256(b"").digest()
    while len(nodes) > 1:
        nodes = [b"".join(nodes[i : i + 2]) for i in range(0, len(nodes), 2)]
        nodes = [sha256(pair).digest() if len(pair) > _DIGEST_SIZE else pair for pair in nodes]
    return nodes[0]
