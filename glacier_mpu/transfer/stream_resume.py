"""Finds the open upload that a stream resumes, or begins one.

Nothing of the stream is read for it: what is stored is compared as the stream is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from glacier_mpu.errors import BadInput, BlockSizeMismatch, StreamTooLong
from glacier_mpu.source.blocks import MIB
from glacier_mpu.transfer.candidates import is_described_so, list_found
from glacier_mpu.transfer.events import CandidateRejected, Event, NothingToResume
from glacier_mpu.transfer.request import StreamRequest
from glacier_mpu.vault.answers import Listing, OpenUpload, StoredPart
from glacier_mpu.vault.calls import Vault

Hear = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedForStream:
    """An open upload for a stream; `stored` is what it holds, by block number."""

    upload_id: str
    block_size: int
    description: str
    is_new: bool
    stored: Mapping[int, StoredPart] = field(default_factory=dict)


def open_for_stream(
    request: StreamRequest, vault: Vault, *, prepare: Callable[[int], None], hear: Hear
) -> OpenedForStream:
    """Find the upload to resume, or begin one; may take as long as its calls are retried.

    `prepare` is called with the block size before anything is begun, and may refuse it. Raises
    BadInput and StreamTooLong if the open upload does not fit the request, and the errors of the
    vault.
    """
    listing = _listing(request, vault, hear)
    if listing is None:
        return _begun(request, vault, prepare)
    upload = listing.upload
    _refuse_if_too_small(upload, request)
    prepare(upload.block_size)
    return OpenedForStream(
        upload_id=upload.upload_id,
        block_size=upload.block_size,
        description=upload.description,
        is_new=False,
        stored={offset // upload.block_size: part for offset, part in listing.parts.items()},
    )


def _begun(request: StreamRequest, vault: Vault, prepare: Callable[[int], None]) -> OpenedForStream:
    block_size = request.new_block_size
    prepare(block_size)
    return OpenedForStream(
        upload_id=vault.initiate(description=request.description, block_size=block_size),
        block_size=block_size,
        description=request.description,
        is_new=True,
    )


def _listing(request: StreamRequest, vault: Vault, hear: Hear) -> Listing | None:
    """Return the upload to resume with what it holds, or None where a new one is to be begun."""
    if request.upload_id is not None:
        listing = vault.list_parts(request.upload_id)
        _refuse_other_block_size(listing.upload, request)
        return listing
    if not request.resume:
        return None
    found = max(_fitting(request, vault, hear), key=_rank, default=None)
    if found is None:
        hear(NothingToResume(request.description))
    return found


def _fitting(request: StreamRequest, vault: Vault, hear: Hear) -> Iterator[Listing]:
    """Yield the uploads of its description, and tell of those that have other blocks."""
    for upload in vault.list_uploads():
        if is_described_so(upload, request):
            try:
                _refuse_other_block_size(upload, request)
            except BadInput as error:
                hear(CandidateRejected(upload.upload_id, error))
            else:
                yield list_found(upload, vault)


def _rank(listing: Listing) -> tuple[int, float]:
    """The more is stored, and then the newer."""
    stored = sum(part.size for part in listing.parts.values())
    return stored, listing.upload.created.timestamp()


def _refuse_other_block_size(upload: OpenUpload, request: StreamRequest) -> None:
    if request.block_size not in (None, upload.block_size):
        raise BlockSizeMismatch(f"the open upload has blocks of {upload.block_size // MIB} MiB")


def _refuse_if_too_small(upload: OpenUpload, request: StreamRequest) -> None:
    """Raise StreamTooLong if what is expected does not fit: that would show only in days."""
    most_size = upload.block_size * request.source.most_blocks
    if request.expected_size is not None and request.expected_size > most_size:
        raise StreamTooLong(
            f"the open upload has blocks of {upload.block_size // MIB} MiB and can hold "
            f"{most_size:,} bytes, and up to {request.expected_size:,} are expected",
            block_size=upload.block_size,
        )
