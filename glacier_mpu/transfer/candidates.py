"""Whether an open upload may be of this file: by its sizes, and by a sample of what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from glacier_mpu.errors import BlockSizeMismatch, FileTooShort
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.source.file import FileSource
from glacier_mpu.source.ledger import Ledger
from glacier_mpu.source.treehash import Digest
from glacier_mpu.transfer.request import FileRequest, Request
from glacier_mpu.vault.answers import Listing, OpenUpload, StoredPart
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.errors import CompletionUnknown, UploadNotFound
from glacier_mpu.vault.retry import Retries

# Read from the file for each of several uploads of its description, to choose among them.
SAMPLED_BLOCKS = 8


def plan_in(upload: OpenUpload, request: FileRequest) -> Plan:
    """Return the plan of the request's file in this upload. Raises BadInput if it does not fit."""
    if request.block_size not in (None, upload.block_size):
        raise BlockSizeMismatch(f"the open upload has blocks of {upload.block_size // MIB} MiB")
    return Plan(request.source.size, upload.block_size)


def is_described_so(upload: OpenUpload, request: Request) -> bool:
    """Tell whether the open upload has the request's description."""
    return upload.description.strip() == request.description.strip()


def list_found(upload: OpenUpload, vault: Vault) -> Listing:
    """List what an upload holds that the vault has just told of.

    Raises CompletionUnknown if it is gone: another run has completed it, or somebody aborted it,
    and to begin a new one could store the same twice.
    """
    try:
        return vault.list_parts(upload.upload_id)
    except UploadNotFound as error:
        raise CompletionUnknown(
            f"{error.message}; the upload was listed a moment ago: another run completed it, or it "
            "was aborted or expired",
            sent=False,
        ) from error


def stored_blocks(listing: Listing, plan: Plan) -> dict[int, StoredPart]:
    """Return what is stored, by block number. Raises FileTooShort if it cannot be of this file."""
    beyond = [offset for offset in listing.parts if offset >= plan.size]
    if beyond:
        raise FileTooShort(
            f"the open upload holds data at byte {min(beyond):,}, and the file ends at "
            f"{plan.size:,}"
        )
    return {offset // plan.block_size: part for offset, part in listing.parts.items()}


@dataclass(frozen=True, slots=True)
class Candidate:
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


class Sample:
    """A few blocks of the file, which tell whose an open upload is; none is read twice.

    at_rest  the hashes of those that were read may be kept for later runs
    """

    def __init__(self, source: FileSource, ledger: Ledger, reads: Retries) -> None:
        self.at_rest = source.is_at_rest()
        self._source = source
        self._ledger = ledger
        self._reads = reads
        self._digests: dict[tuple[int, int], Digest] = {}

    def compare(
        self, listing: Listing, plan: Plan, *, enough: int, most: int = SAMPLED_BLOCKS
    ) -> Candidate:
        """Compare up to `most` stored blocks with the file, until `enough` are the file's.

        Raises SourceUnreadable once reading was retried for long enough, SourceChanged, Stopped.
        """
        stored = stored_blocks(listing, plan)
        compared = matching = 0
        for number in _spread(sorted(stored), plan)[:most]:
            part = StoredPart(plan.block(number).size, self._digest(number, plan).tree)
            compared += 1
            matching += stored[number] == part
            if matching == enough:
                break
        return Candidate(listing, plan, compared, matching)

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
