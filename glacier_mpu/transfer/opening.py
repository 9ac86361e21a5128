"""Opens the upload that a run sends its blocks into: a new one, or the one that goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field

from glacier_mpu.source.blocks import Block, Plan
from glacier_mpu.source.file import digest_block, reopen
from glacier_mpu.source.filelock import lock
from glacier_mpu.source.treehash import Digest
from glacier_mpu.transfer.request import Request
from glacier_mpu.transfer.resume import find_upload, plan_to_go_on, stored_blocks
from glacier_mpu.transfer.send import Tools
from glacier_mpu.transfer.workers import run_alone
from glacier_mpu.vault.answers import Listing, StoredPart
from glacier_mpu.vault.calls import Vault

_LOCK_TRIES = 300
_SECONDS_BETWEEN_TRIES = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open upload that fits the request; `stored` is what it holds, by block number."""

    upload_id: str
    plan: Plan
    description: str
    is_new: bool
    stored: Mapping[int, StoredPart] = field(default_factory=dict)


def open_upload(
    request: Request,
    *,
    tools: Tools,
    workers: Executor,
    tick: Callable[[], None],
    note: Callable[[str], None],
) -> Opened:
    """Find or begin the upload. `tick` is called meanwhile, and may raise to leave.

    Raises BadInput if the open upload does not fit the request, and what the vault and the file do.
    """
    with _nobody_else_opening(request, tools, tick):
        found = run_alone(workers, lambda: _find(request, tools, note), tick=tick)
        if found is not None:
            return _go_on_with(found, request)
        return run_alone(workers, lambda: _begin(request, tools.vault), tick=tick)


def _find(request: Request, tools: Tools, note: Callable[[str], None]) -> Listing | None:
    """Return the open upload that is to go on, or None where a new one is to begin."""
    if request.upload_id is not None:
        return tools.vault.list_parts(request.upload_id)
    if not request.resume:
        return None

    def digest(block: Block) -> Digest:
        return digest_block(request.source, block, stopped=tools.stopped, on_read=lambda _: None)

    return find_upload(tools.vault, request, digest=digest, note=note)


def _go_on_with(listing: Listing, request: Request) -> Opened:
    plan = plan_to_go_on(listing.upload, request)
    plan.selection(request.first, request.last)  # refuses what the file does not have
    return Opened(
        upload_id=listing.upload.upload_id,
        plan=plan,
        description=listing.upload.description,
        is_new=False,
        stored=stored_blocks(listing, plan),
    )


def _begin(request: Request, vault: Vault) -> Opened:
    plan = request.plan()
    upload_id = vault.initiate(description=request.description, block_size=plan.block_size)
    return Opened(upload_id=upload_id, plan=plan, description=request.description, is_new=True)


@contextmanager
def _nobody_else_opening(
    request: Request, tools: Tools, tick: Callable[[], None]
) -> Iterator[None]:
    """With `resume`, let no other run on this machine look for the file's upload meanwhile.

    Both would find none and begin one; so the second finds what the first has begun.
    """
    if not request.resume:
        yield
        return
    with reopen(request.source) as file:
        for _ in range(_LOCK_TRIES):  # not for ever: the caller may hold this lock itself
            if lock(file):
                break
            tools.pause(_SECONDS_BETWEEN_TRIES)
            tick()
        yield
