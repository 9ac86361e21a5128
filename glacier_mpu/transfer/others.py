"""Open uploads of other descriptions that hold blocks of this file.

The default description is the path as it was written, so `big.tar` and `./big.tar` do not find each
other's upload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from glacier_mpu.errors import BadInput
from glacier_mpu.source.blocks import Plan
from glacier_mpu.transfer.candidates import Candidate, Sample, plan_in
from glacier_mpu.transfer.events import OtherUpload
from glacier_mpu.transfer.request import FileRequest
from glacier_mpu.vault.answers import Listing, OpenUpload
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.errors import UploadNotFound, VaultError

# For each of these its blocks are listed, which AWS bills, and at most one block is read.
MOST_LOOKED_AT = 10
MOST_TOLD = 3


def tell_of_others(
    uploads: Sequence[OpenUpload],
    request: FileRequest,
    vault: Vault,
    sample: Sample,
    hear: Callable[[OtherUpload], None],
) -> None:
    """Tell of those of the uploads, the newest of them, that hold blocks of the request's file.

    Nothing depends on it, so an upload whose blocks the vault does not list ends the search and not
    the run. Raises the errors of the source, and Stopped.
    """
    found = list(_of_this_file(uploads, request, vault, sample))
    told = found[:MOST_TOLD]
    for candidate in told:
        hear(
            OtherUpload(
                candidate.listing.upload,
                stored=len(candidate.listing.parts),
                count=candidate.plan.count,
                more=len(found) - len(told) if candidate is told[-1] else 0,
            )
        )


def _of_this_file(
    uploads: Sequence[OpenUpload], request: FileRequest, vault: Vault, sample: Sample
) -> Iterator[Candidate]:
    for upload, plan in _newest_with_plan(uploads, request):
        try:
            listing = vault.list_parts(upload.upload_id)
        except UploadNotFound:
            continue  # it was completed or aborted a moment ago, and is nobody's to resume
        except VaultError:
            return  # each of the others might be retried in vain for as long as this one
        if _fits(listing, plan):
            candidate = sample.compare(listing, plan, enough=1, most=1)
            if candidate.matching:
                yield candidate


def _newest_with_plan(
    uploads: Sequence[OpenUpload], request: FileRequest
) -> list[tuple[OpenUpload, Plan]]:
    """Return the newest uploads whose block size could be that of the file, with its plan."""
    fitting = []
    for upload in sorted(uploads, key=lambda upload: upload.created, reverse=True):
        try:
            fitting.append((upload, plan_in(upload, request)))
        except BadInput:
            continue  # another block size is asked for, or its blocks are too small for the file
    return fitting[:MOST_LOOKED_AT]


def _fits(listing: Listing, plan: Plan) -> bool:
    """Tell whether there are stored blocks, and each lies and ends where one of the file's does."""
    return bool(listing.parts) and all(
        offset % plan.block_size == 0
        and offset < plan.size
        and part.size == plan.block(offset // plan.block_size).size
        for offset, part in listing.parts.items()
    )
