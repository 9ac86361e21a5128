"""Times, inside one process, what grows with the number of blocks: the plan, the list, the end.

growth_probe.py ROOT URL UPLOAD_ID BLOCKS BLOCK_BYTES

Prints JSON, in seconds. Without a URL there is only the plan.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Return how long this takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    root, url, upload_id, blocks, block_size = sys.argv[1:6]
    sys.path.insert(0, root)
    size = int(blocks) * int(block_size)
    plan_all(1, 1 << 20)  # the import is no part of the plan
    found = {"plan_seconds": seconds(lambda: plan_all(size, int(block_size)))}
    if url:
        found |= service(url, upload_id, int(blocks), size)
    print(json.dumps(found))


def plan_all(size: int, block_size: int) -> int:
    """Make the plan and look at every block."""
    from glacier_mpu.source.blocks import Plan

    plan = Plan(size, block_size)
    return sum(block.size for block in plan.blocks(plan.selection(None, None)))


def service(url: str, upload_id: str, blocks: int, size: int) -> dict[str, float]:
    """List all parts, and finish."""
    from glacier_mpu.source.treehash import combine
    from glacier_mpu.vault.calls import Vault
    from glacier_mpu.vault.client import Address
    from glacier_mpu.waits import Waits

    vault = Vault(
        Address(vault="bench", endpoint_url=url),
        connections=2,
        stop=threading.Event(),
        on_retry=lambda _: None,
        waits=Waits(),
    )
    listing = []
    list_seconds = seconds(lambda: listing.append(vault.list_parts(upload_id)))
    roots = [part.tree_hash for _, part in sorted(listing[0].parts.items())]
    if len(roots) != blocks:
        raise RuntimeError(f"{len(roots)} of {blocks} parts were listed")

    def finish() -> None:
        vault.complete(upload_id, size=size, tree_hash=combine(roots).hex())

    return {"list_seconds": list_seconds, "finish_seconds": seconds(finish)}


if __name__ == "__main__":
    main()
