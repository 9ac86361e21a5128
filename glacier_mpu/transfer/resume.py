"""Finds the open upload that a run resumes, or begins one. The vault's own list is all it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from glacier_mpu.errors import BadInput, BlockSizeMismatch, FileTooShort
from glacier_mpu.source.blocks import MIB, PREFERRED_BLOCK, Plan
from glacier_mpu.source.cache import lock_file
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.filelock import lock
from glacier_mpu.source.ledger import Ledger
from glacier_mpu.source.treehash import Digest
from glacier_mpu.transfer.events import (
    BlockSizeRaised,
    CandidateRejected,
    Event,
    NothingToResume,
    Resuming,
)
from glacier_mpu.transfer.request import Request
from glacier_mpu.vault.answers import Listing, OpenUpload, StoredPart
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.errors import CompletionUnknown, UploadNotFound
from glacier_mpu.vault.retry import Retries

# Read from the file for each of several uploads of its description, to choose among them.
SAMPLED_BLOCKS = 8
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
    request: Request, vault: Vault, *, ledger: Ledger, reads: Retries, hear: Hear
) -> Opened:
    """Find the upload to resume, or begin one; may take as long as its calls are retried.

    `reads` repeats what fails because the file cannot be read for a while, and has the stop that
    ends all. Raises BadInput if the open upload does not fit the request, Stopped, and the errors
    of the vault and of the source.
    """
    sample = _Sample(request.source, ledger, reads)
    if request.upload_id is not None:
        opened = _resumed(vault.list_parts(request.upload_id), request)
    elif not request.resume:
        opened = _begun(request, vault, hear)
    else:
        with _no_other_run(request.source, reads):
            found = _find(request, vault, sample, hear)
            opened = _begun(request, vault, hear) if found is None else found
    read = sample.read_of(opened.plan)
    known = {**ledger.recall(opened.plan.block_size), **read}
    return replace(opened, known=known, fresh=read if sample.at_rest else {})


def stored_blocks(listing: Listing, plan: Plan) -> dict[int, StoredPart]:
    """Return what is stored, by block number. Raises FileTooShort if it cannot be of this file."""
    beyond = [offset for offset in listing.parts if offset >= plan.size]
    if beyond:
        raise FileTooShort(
            f"the open upload holds data from byte {min(beyond)} on, and the file ends at "
            f"{plan.size}"
        )
    return {offset // plan.block_size: part for offset, part in listing.parts.items()}


def _begun(request: Request, vault: Vault, hear: Hear) -> Opened:
    plan = request.plan()
    if request.block_size is None and plan.block_size != PREFERRED_BLOCK:
        hear(BlockSizeRaised(plan.block_size))
    upload_id = vault.initiate(description=request.description, block_size=plan.block_size)
    return Opened(upload_id=upload_id, plan=plan, description=request.description, is_new=True)


def _resumed(listing: Listing, request: Request) -> Opened:
    plan = _plan_in(listing.upload, request)
    plan.selection(request.first, request.last)  # refuses what the file does not have
    return Opened(
        upload_id=listing.upload.upload_id,
        plan=plan,
        description=listing.upload.description,
        is_new=False,
        stored=stored_blocks(listing, plan),
    )


def _plan_in(upload: OpenUpload, request: Request) -> Plan:
    """Return the plan of the request's file in this upload. Raises BadInput if it does not fit."""
    if request.block_size not in (None, upload.block_size):
        raise BlockSizeMismatch(f"the open upload has blocks of {upload.block_size // MIB} MB")
    return Plan(request.source.size, upload.block_size)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An open upload that the file fits; of the blocks compared, `matching` are the file's."""

    listing: Listing
    plan: Plan
    compared: int
    matching: int

    @property
    def rank(self) -> tuple[float, datetime]:
        """The more of this file's bytes are stored, as far as was compared, and then the newer."""
        stored_size = sum(part.size for part in self.listing.parts.values())
        share = self.matching / self.compared if self.compared else 0.0
        return share * stored_size, self.listing.upload.created


def _find(request: Request, vault: Vault, sample: _Sample, hear: Hear) -> Opened | None:
    """Return the open upload to resume, or None; `hear` is told which and why.

    It has the request's description and, where one is asked for, block size, and it holds blocks
    of this file. Among several it is the one that holds most, and of equals the newest. Of a single
    one no more is read than the first block that is this file's.
    """
    fitting = list(_fitting(request, vault, hear))
    enough = 1 if len(fitting) == 1 else SAMPLED_BLOCKS
    candidates = []
    for listing, plan in fitting:
        candidate = sample.compare(listing, plan, enough=enough)
        if candidate.compared and not candidate.matching:
            hear(CandidateRejected(listing.upload.upload_id, compared=candidate.compared))
        else:
            candidates.append(candidate)
    if not candidates:
        hear(NothingToResume(request.description))
        return None
    best = max(candidates, key=lambda candidate: candidate.rank)
    hear(
        Resuming(
            upload=best.listing.upload,
            stored=len(best.listing.parts),
            count=best.plan.count,
            among=len(candidates),
            compared=best.compared,
            matching=best.matching,
        )
    )
    return _resumed(best.listing, request)


def _fitting(request: Request, vault: Vault, hear: Hear) -> Iterator[tuple[Listing, Plan]]:
    """Yield the uploads that the file fits, and tell of others of its description why not.

    Raises CompletionUnknown if one is gone as soon as it was listed: another run has completed it,
    or somebody aborted it, and to begin a new one could store the file twice.
    """
    for upload in vault.list_uploads():
        if upload.description.strip() != request.description.strip():
            continue
        try:
            plan = _plan_in(upload, request)
            listing = vault.list_parts(upload.upload_id)
            stored_blocks(listing, plan)
        except BadInput as error:
            hear(CandidateRejected(upload.upload_id, error))
        except UploadNotFound as error:
            raise CompletionUnknown(
                f"{error.message}; the upload was listed a moment ago: another run completed it, "
                "or it was aborted or expired",
                sent=False,
            ) from error
        else:
            yield listing, plan


class _Sample:
    """A few blocks of the file, which tell whose an open upload is; none is read twice.

    at_rest  the hashes of those that were read may be kept for later runs
    """

    def __init__(self, source: FileSource, ledger: Ledger, reads: Retries) -> None:
        self.at_rest = source.is_at_rest()
        self._source = source
        self._ledger = ledger
        self._reads = reads
        self._digests: dict[tuple[int, int], Digest] = {}

    def compare(self, listing: Listing, plan: Plan, *, enough: int) -> _Candidate:
        """Compare a few stored blocks with the file, until `enough` are the file's."""
        stored = stored_blocks(listing, plan)
        compared = matching = 0
        for number in _spread(sorted(stored), plan):
            part = StoredPart(plan.block(number).size, self._digest(number, plan).tree)
            compared += 1
            matching += stored[number] == part
            if matching == enough:
                break
        return _Candidate(listing, plan, compared, matching)

    def read_of(self, plan: Plan) -> dict[int, Digest]:
        """Return the hashes of this plan's blocks that were read, for whichever upload."""
        starts = {number * plan.block_size: number for number in plan.numbers}
        return {
            starts[offset]: digest
            for (offset, size), digest in self._digests.items()
            if offset in starts and plan.block(starts[offset]).size == size
        }

    def _digest(self, number: int, plan: Plan) -> Digest:
        block = plan.block(number)
        remembered = self._ledger.recall(plan.block_size).get(number)
        if remembered is not None:
            return remembered
        place = block.offset, block.size
        if place not in self._digests:
            read = partial(
                self._source.digest, block, stop=self._reads.stop, on_read=lambda _: None
            )
            self._digests[place] = self._reads.call("read_block", read, block=number)
        return self._digests[place]


def _spread(numbers: list[int], plan: Plan) -> list[int]:
    """Return up to SAMPLED_BLOCKS of the numbers; the file's last block first, if it is cheaper.

    A short last block costs less to read; of less than 1 MiB it says too little.
    """
    step = -(-len(numbers) // SAMPLED_BLOCKS) or 1
    sample = numbers[::step]
    last = plan.block(plan.count - 1)
    if last.number in numbers and MIB <= last.size < plan.block_size:
        sample = [last.number, *(number for number in sample if number != last.number)]
    return sample[:SAMPLED_BLOCKS]


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
