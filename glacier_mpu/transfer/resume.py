"""Finds the open upload that a run resumes, or begins one. The vault's own list is all it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from glacier_mpu.errors import BadInput
from glacier_mpu.source.blocks import PREFERRED_BLOCK, Plan
from glacier_mpu.source.cache import lock_file
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.filelock import lock
from glacier_mpu.source.ledger import Ledger
from glacier_mpu.source.treehash import Digest
from glacier_mpu.transfer.candidates import (
    SAMPLED_BLOCKS,
    Sample,
    is_described_so,
    list_found,
    plan_in,
    stored_blocks,
)
from glacier_mpu.transfer.events import (
    BlockSizeRaised,
    CandidateRejected,
    Event,
    NothingToResume,
    Resuming,
)
from glacier_mpu.transfer.others import tell_of_others
from glacier_mpu.transfer.request import FileRequest
from glacier_mpu.vault.answers import Listing, OpenUpload, StoredPart
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.retry import Retries

_LOCK_TRIES = 300
_SECONDS_BETWEEN_TRIES = 0.2

Hear = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open upload that fits the request.

    By block number: `stored` is what it holds, `known` the hashes that the ledger knows or that
    were read to find the upload, and `fresh` those of the latter that may be kept for later runs.
    """

    upload_id: str
    plan: Plan
    description: str
    is_new: bool
    stored: Mapping[int, StoredPart] = field(default_factory=dict)
    known: Mapping[int, Digest] = field(default_factory=dict)
    fresh: Mapping[int, Digest] = field(default_factory=dict)


def open_upload(
    request: FileRequest, vault: Vault, *, ledger: Ledger, reads: Retries, hear: Hear
) -> Opened:
    """Find the upload to resume, or begin one; may take as long as its calls are retried.

    `reads` repeats what fails because the file cannot be read for a while, and has the stop that
    ends all. Raises BadInput if the open upload does not fit the request, Stopped, and the errors
    of the vault and of the source.
    """
    sample = Sample(request.source, ledger, reads)
    if request.upload_id is not None:
        listing = vault.list_parts(request.upload_id)
        opened = _resumed(listing, request)
        hear(Resuming(listing.upload, stored=len(opened.stored), count=opened.plan.count))
    elif not request.resume:
        opened = _begun(request, vault, hear)
    else:
        with _no_other_run(request.source, reads):
            found = _find(request, vault, sample, hear)
            opened = _begun(request, vault, hear) if found is None else found
    read = sample.read_of(opened.plan)
    known = {**ledger.recall(opened.plan.block_size), **read}
    return replace(opened, known=known, fresh=read if sample.at_rest else {})


def _begun(request: FileRequest, vault: Vault, hear: Hear) -> Opened:
    plan = request.plan()
    if request.block_size is None and plan.block_size != PREFERRED_BLOCK:
        hear(BlockSizeRaised(plan.block_size))
    upload_id = vault.initiate(description=request.description, block_size=plan.block_size)
    return Opened(upload_id=upload_id, plan=plan, description=request.description, is_new=True)


def _resumed(listing: Listing, request: FileRequest) -> Opened:
    plan = plan_in(listing.upload, request)
    plan.selection(request.first, request.last)  # refuses what the file does not have
    return Opened(
        upload_id=listing.upload.upload_id,
        plan=plan,
        description=listing.upload.description,
        is_new=False,
        stored=stored_blocks(listing, plan),
    )


def _find(request: FileRequest, vault: Vault, sample: Sample, hear: Hear) -> Opened | None:
    """Return the open upload to resume, or None; `hear` is told which and why.

    It has the request's description and, where one is asked for, block size, and it holds blocks
    of this file. Among several it is the one that holds most, and of equals the newest. Of a single
    one no more is read than the first block that is this file's. Where there is none, others that
    hold blocks of this file are told of, and left to the user to choose.
    """
    uploads = vault.list_uploads()
    mine = [upload for upload in uploads if is_described_so(upload, request)]
    fitting = list(_fitting(mine, request, vault, hear))
    enough = 1 if len(fitting) == 1 else SAMPLED_BLOCKS
    candidates = []
    for listing, plan in fitting:
        candidate = sample.compare(listing, plan, enough=enough)
        if candidate.compared and not candidate.matching:
            hear(CandidateRejected(listing.upload.upload_id, compared=candidate.compared))
        else:
            candidates.append(candidate)
    if not candidates:
        others = [upload for upload in uploads if not is_described_so(upload, request)]
        tell_of_others(others, request, vault, sample, hear)
        hear(NothingToResume(request.description))
        return None
    best = max(candidates, key=lambda candidate: candidate.rank)
    hear(
        Resuming(
            best.listing.upload,
            stored=len(best.listing.parts),
            count=best.plan.count,
            among=len(candidates),
            compared=best.compared,
            matching=best.matching,
        )
    )
    return _resumed(best.listing, request)


def _fitting(
    uploads: Sequence[OpenUpload], request: FileRequest, vault: Vault, hear: Hear
) -> Iterator[tuple[Listing, Plan]]:
    """Yield those of the uploads of its description that the file fits, and tell why not others.

    Raises CompletionUnknown if one is gone as soon as it was listed.
    """
    for upload in uploads:
        try:
            plan = plan_in(upload, request)
            listing = list_found(upload, vault)
            stored_blocks(listing, plan)
        except BadInput as error:
            hear(CandidateRejected(upload.upload_id, error))
        else:
            yield listing, plan


@contextmanager
def _no_other_run(source: FileSource, reads: Retries) -> Iterator[None]:
    """Let no other run of this user on this machine look for the file's upload at the same time.

    Both would find none and begin one; so the second finds what the first has begun. Raises
    SourceChanged, and SourceUnreadable once that was retried for long enough.
    """
    reads.call("read_file", source.check_unchanged)
    with lock_file(source.path) as file:
        for _ in range(_LOCK_TRIES):  # not for ever: a shared folder may keep a dead machine's lock
            if file is None or lock(file):
                break
            reads.stop.wait(_SECONDS_BETWEEN_TRIES)
        yield
