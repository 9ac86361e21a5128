"""Finds the open upload that a file goes on with; the vault's own list is all it asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from glacier_mpu.errors import BadInput, CompletionUnknown, UploadGone
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.source.treehash import Digest
from glacier_mpu.transfer.request import Request
from glacier_mpu.vault.answers import Listing, OpenUpload, StoredPart
from glacier_mpu.vault.calls import Vault

# Read from the file for each upload of its description: enough to know the file's own.
SAMPLED_BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """An open upload that this file fits, with what was compared of it to choose among several."""

    listing: Listing
    plan: Plan
    compared: int
    matching: int

    @property
    def stored_size(self) -> int:
        """Bytes stored."""
        return sum(part.size for part in self.listing.parts.values())

    @property
    def rank(self) -> tuple[float, datetime]:
        """The more of this file's bytes are stored, as far as was compared, and then the newer."""
        share = self.matching / self.compared if self.compared else 0.0
        return share * self.stored_size, self.listing.upload.created


def plan_to_go_on(upload: OpenUpload, request: Request) -> Plan:
    """Return the plan of the request's file in this upload. Raises BadInput if it does not fit."""
    if request.block_size not in (None, upload.block_size):
        raise BadInput(
            f"the open upload has blocks of {upload.block_size // MIB} MB",
            next_step=f"use --blocksize {upload.block_size // MIB}, or leave it out",
        )
    return Plan(request.source.size, upload.block_size)


def stored_blocks(listing: Listing, plan: Plan) -> dict[int, StoredPart]:
    """Return what is stored, by block number. Raises BadInput if it cannot be of this file."""
    beyond = [offset for offset in listing.parts if offset >= plan.size]
    if beyond:
        raise BadInput(
            f"the open upload holds data from byte {min(beyond)} on, and the file ends at "
            f"{plan.size}",
            next_step="name the file that the upload is of, or begin a new upload",
        )
    return {offset // plan.block_size: part for offset, part in listing.parts.items()}


def find_upload(
    vault: Vault,
    request: Request,
    *,
    digest: Callable[[Block], Digest],
    note: Callable[[str], None],
) -> Listing | None:
    """Return the open upload to go on with, or None; `note` hears which and why.

    It has the request's description and, where one is asked for, block size, and a sample of what
    it holds is this file's. Among several it is the one that holds most, and of equals the newest.
    """
    digests: dict[tuple[int, int], Digest] = {}
    candidates = []
    for listing, plan in _fitting(vault, request, note=note):
        candidate = _compared(listing, plan, digest, digests)
        if candidate.compared and not candidate.matching:
            note(
                f"not going on with upload {listing.upload.upload_id}: none of "
                f"{candidate.compared} compared blocks is this file's"
            )
        else:
            candidates.append(candidate)
    if not candidates:
        note(f"no open upload is described as {request.description!r}; beginning a new one")
        return None
    best = max(candidates, key=lambda candidate: candidate.rank)
    note(_reason(best, among=len(candidates)))
    return best.listing


def _fitting(
    vault: Vault, request: Request, *, note: Callable[[str], None]
) -> list[tuple[Listing, Plan]]:
    """Return the uploads that the file fits, and say of others of its description why not.

    Raises CompletionUnknown if one is gone as soon as it was listed: another run has completed it,
    or somebody aborted it, and to begin a new one could store the file twice.
    """
    found = []
    for upload in vault.list_uploads():
        if upload.description.strip() != request.description.strip():
            continue
        try:
            plan = plan_to_go_on(upload, request)
            listing = vault.list_parts(upload.upload_id)
            stored_blocks(listing, plan)
        except BadInput as error:
            note(f"not going on with upload {upload.upload_id}: {error.message}")
        except UploadGone as error:
            raise CompletionUnknown(
                f"{error.message}; the upload was listed a moment ago: another run completed it, "
                "or it was aborted or expired",
                sent=False,
            ) from error
        else:
            found.append((listing, plan))
    return found


def _compared(
    listing: Listing,
    plan: Plan,
    digest: Callable[[Block], Digest],
    digests: dict[tuple[int, int], Digest],
) -> Candidate:
    """Compare a sample of the stored blocks with the file; `digests` keeps what was read of it."""
    stored = stored_blocks(listing, plan)
    numbers = sorted(stored)
    sample = numbers[:: -(-len(numbers) // SAMPLED_BLOCKS) or 1]
    matching = 0
    for number in sample:
        block = plan.block(number)
        key = block.offset, block.size
        if key not in digests:
            digests[key] = digest(block)
        matching += stored[number] == StoredPart(block.size, digests[key].tree)
    return Candidate(listing, plan, compared=len(sample), matching=matching)


def _reason(best: Candidate, *, among: int) -> str:
    upload = best.listing.upload
    text = (
        f"going on with upload {upload.upload_id} of {upload.created:%Y-%m-%d %H:%M:%S}: "
        f"{len(best.listing.parts):,} of {best.plan.count:,} blocks are stored"
    )
    if among > 1:
        text += (
            f"; of {among} open uploads of this description it holds most of this file "
            f"({best.matching} of {best.compared} compared blocks are the file's)"
        )
    return text
