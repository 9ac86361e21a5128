"""The vault's calls in our terms, each retried through transient errors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from itertools import chain

from glacier_mpu.source.blocks import Block
from glacier_mpu.source.body import BlockBody
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.vault.answers import (
    Archive,
    Listing,
    OpenUpload,
    check_whole,
    is_hash,
    read_archive,
    read_part,
    read_upload,
    read_upload_id,
)
from glacier_mpu.vault.caller import Caller
from glacier_mpu.vault.client import Address, connect
from glacier_mpu.vault.completion import Completion, Initiation, raise_unless_open
from glacier_mpu.vault.errors import (
    ArchiveMismatch,
    HashMismatch,
    Refused,
    UploadNotFound,
    VaultError,
)
from glacier_mpu.vault.refusals import CLOCKS_DIFFER_SECONDS
from glacier_mpu.vault.regions import UnknownRegion
from glacier_mpu.vault.retry import Retries, Tries, Trouble

# Where the two clocks differ by more, signatures are refused: the service's times are this exact.
_CLOCK_TOLERANCE = timedelta(seconds=CLOCKS_DIFFER_SECONDS)


class Vault:
    """One vault of one account; safe to use from several threads, with up to `connections` open.

    Every call raises the VaultError that ended it for good, or Stopped once `stop` is asked; `hear`
    is told of each failed try that is followed by another, and when nothing gets through. Raises
    the BadInput that `connect` raises if no client can be made.
    """

    def __init__(
        self,
        address: Address,
        *,
        connections: int,
        stop: Stop,
        hear: Callable[[Trouble], None],
        waits: Waits,
    ) -> None:
        self._waits = waits
        self._retries = Retries.of(
            VaultError, waits=waits, stop=stop, hear=hear, one_at_a_time=True
        )
        self.initiation = Initiation()
        self._clients = connect(address, connections=connections, waits=waits)
        self._caller = Caller(address, clients=self._clients, retries=self._retries)
        self._client, self._patient_client = self._clients.calls, self._clients.patient

    @property
    def region(self) -> str:
        """The region that the calls go to."""
        return self._client.meta.region_name

    @property
    def endpoint_url(self) -> str:
        """The address that the calls go to."""
        return self._client.meta.endpoint_url

    @property
    def unknown_region(self) -> UnknownRegion | None:
        """The region, if it is one that may be new."""
        return self._clients.unknown_region

    @property
    def is_cut_off(self) -> bool:
        """Whether nothing has got through since the last failed try."""
        return self._retries.line.is_down

    def look(self) -> None:
        """Tell `hear` if calls get through again. To be called now and then."""
        self._retries.line.look()

    def close(self) -> None:
        """Close the idle connections."""
        self._clients.close()

    def initiate(self, *, description: str, block_size: int) -> str:
        """Begin an upload and return its id.

        A lost answer may have left an empty upload behind, which is used then. `initiation` tells.
        """
        since = datetime.now(timezone.utc) - _CLOCK_TOLERANCE
        self.initiation = tries = Initiation()

        def attempt() -> str:
            with tries.another():
                if tries.may_have_executed and (
                    left_behind := self._empty_upload(description, block_size, since)
                ):
                    return left_behind
                answer = self._caller.once(
                    self._client.initiate_multipart_upload,
                    wants=("uploadId", "location"),
                    archiveDescription=description,
                    partSize=str(block_size),
                )
                return read_upload_id(answer)

        return self._retries.call("initiate", attempt)

    def send_block(self, upload_id: str, block: Block, *, digest: Digest, body: BlockBody) -> None:
        """Store one block, from its first byte in each try, and check the echoed tree hash."""
        tree_hash = digest.tree.hex()

        def attempt() -> None:
            body.seek(0)
            answer = self._caller.once(
                self._client.upload_multipart_part,
                wants=("checksum",),
                uploadId=upload_id,
                range=f"bytes {block.offset}-{block.last_byte}/*",
                checksum=tree_hash,
                body=body,
            )
            check_whole(is_hash(answer["checksum"]))
            if answer["checksum"] != tree_hash:
                raise HashMismatch(
                    "the vault received other bytes than were read: their tree hash is "
                    f"{answer['checksum']}, the file's {tree_hash}"
                )

        self._retries.call(
            "send_block",
            attempt,
            moving=body,
            block=block.number,
            others_would_succeed=lambda: self._answers_about(upload_id),
        )

    def _answers_about(self, upload_id: str) -> bool:
        """Ask something small, once: whether a block alone fails, or nothing gets through."""
        try:
            self._caller.once(self._client.list_parts, uploadId=upload_id, limit="1")
        except VaultError:
            return False
        return True

    def list_parts(self, upload_id: str) -> Listing:
        """Return the upload and all its stored parts, 50 a call. Raises UploadNotFound."""
        pages = self._caller.pages(
            "list_parts",
            self._client.list_parts,
            lambda page: (read_upload(page), list(map(read_part, page["Parts"]))),
            wants="Parts",
            uploadId=upload_id,
        )
        uploads, parts = zip(*pages, strict=True)
        if uploads[0].upload_id != upload_id:
            raise Refused(
                f"asked about upload {upload_id}, but the answer is about {uploads[0].upload_id}"
            )
        return Listing(upload=uploads[0], parts=dict(chain.from_iterable(parts)))

    def list_uploads(self) -> list[OpenUpload]:
        """Return the vault's open uploads, in no particular order."""
        pages = self._caller.pages(
            "list_uploads",
            self._client.list_multipart_uploads,
            lambda page: [read_upload(item) for item in page["UploadsList"]],
            wants="UploadsList",
        )
        return [upload for uploads in pages for upload in uploads]

    def complete(
        self, upload_id: str, *, size: int, tree_hash: str, tries: Completion | None = None
    ) -> Archive:
        """Turn the upload into an archive of `size` bytes, and return it.

        After a lost answer the call is repeated: for a while it gives the same archive again.
        `tries` is told how each one ends. Raises CompletionUnknown when the upload is gone, or the
        service may still be at work on it, and no answer told of an archive; ArchiveMismatch; and
        any other VaultError when the upload is still open.
        """
        tries = tries or Completion()

        def attempt() -> Archive:
            with tries.another():
                answer = self._caller.once(
                    self._patient_client.complete_multipart_upload,
                    wants=("archiveId", "location"),
                    uploadId=upload_id,
                    archiveSize=str(size),
                    checksum=tree_hash,
                )
                return read_archive(
                    answer, size=size, tree_hash=tree_hash, again=tries.may_have_executed
                )

        try:
            archive = self._retries.call(
                "complete",
                attempt,
                longest_silence_seconds=self._waits.connect + self._waits.complete,
            )
        except VaultError as error:
            if tries.unanswered or tries.may_have_executed:
                raise_unless_open(upload_id, error, tries=tries, list_uploads=self.list_uploads)
            raise
        if archive.tree_hash != tree_hash:
            raise ArchiveMismatch(
                f"archive {archive.archive_id} was stored, but its tree hash is "
                f"{archive.tree_hash}, and the file's is {tree_hash}",
                archive_id=archive.archive_id,
                location=archive.location,
                size=archive.size,
                tree_hash=archive.tree_hash,
            )
        return archive

    def abort(self, upload_id: str) -> None:
        """Abort the upload; the vault drops its stored blocks."""
        tries = Tries()

        def attempt() -> None:
            with tries.another():
                self._caller.once(self._client.abort_multipart_upload, uploadId=upload_id)

        try:
            self._retries.call("abort", attempt)
        except UploadNotFound:
            if not tries.may_have_executed:
                raise

    def _empty_upload(self, description: str, block_size: int, since: datetime) -> str | None:
        """Return the newest upload like this that was begun since then and holds no block yet."""
        uploads = sorted(self.list_uploads(), key=lambda upload: upload.created, reverse=True)
        for upload in uploads:
            alike = (upload.description, upload.block_size) == (description.strip(), block_size)
            if not alike or upload.created < since:
                continue
            with suppress(UploadNotFound):
                if not self.list_parts(upload.upload_id).parts:
                    return upload.upload_id
        return None
