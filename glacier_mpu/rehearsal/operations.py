"""The twelve operations of the stand-in, each with its checks in the service's order.

No sockets here: the `receive` that is passed in reads the body of a call.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from glacier_mpu.rehearsal import checks
from glacier_mpu.rehearsal.auth import wrong_payload_hash
from glacier_mpu.rehearsal.files import Incoming
from glacier_mpu.rehearsal.records import Archive, Upload, Vault, iso_date
from glacier_mpu.rehearsal.store import Store
from glacier_mpu.rehearsal.wire import (
    ACCOUNT_ID,
    DECIMAL,
    MIB,
    VAULT_NAME,
    WITH_BODY,
    Answer,
    Call,
    Refusal,
    invalid,
    json_answer,
    not_found,
    vault_arn,
)

MAX_ARCHIVE_IN_ONE_PIECE = 4096 * MIB
# A body on a call that takes none: the SDK for JavaScript 2 sends "{}", the one for Ruby 1 its
# parameters. What the service accepts at most is not known.
MAX_IGNORED_BODY = 4096
_UPLOAD_ID = re.compile(r"[A-Za-z0-9_-]{92}")
_ARCHIVE_ID = re.compile(r"[A-Za-z0-9_-]{138}")
_NEEDS_NO_VAULT = frozenset({"ListVaults", "CreateVault", "DeleteVault"})


@dataclass(frozen=True, slots=True)
class Digests:
    """The hashes of a received body: SHA-256 and tree hash, in lower-case hex."""

    linear: str
    tree: str


Receive = Callable[[Call, Incoming], Digests]


class Operations:
    """Answers calls from a store. Every method may raise Refusal."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_name: dict[str, Callable[[Call], Answer]] = {
            "CreateVault": self._create_vault,
            "DescribeVault": self._describe_vault,
            "ListVaults": self._list_vaults,
            "DeleteVault": self._delete_vault,
            "DeleteArchive": self._delete_archive,
            "InitiateMultipartUpload": self._initiate,
            "ListMultipartUploads": self._list_uploads,
            "ListParts": self._list_parts,
            "CompleteMultipartUpload": self._complete,
            "AbortMultipartUpload": self._abort,
        }

    def admit_body(self, call: Call) -> None:
        """The check before the signature, for which a body that the call does not take is read."""
        if call.operation in WITH_BODY or (call.body_size or 0) <= MAX_IGNORED_BODY:
            return
        _check_operation(call)
        raise invalid(f"Invalid Content-Length: {call.body_size}")

    def admit(self, call: Call) -> None:
        """The checks between signature and operation: account and vault."""
        _check_operation(call)
        if call.account not in ("-", ACCOUNT_ID):
            raise Refusal(
                403,
                "AccessDeniedException",
                f"Access denied for account ID: {call.account}",
                layer="auth",
            )
        if call.operation not in _NEEDS_NO_VAULT:
            self._vault(call)

    def block(self, call: Call) -> int | None:
        """Which part a call brings, counted from 0. None if it brings none, or a wrong one."""
        if call.operation != "UploadMultipartPart":
            return None
        try:
            part_size = self._store.uploads.get(call.vault, call.upload_id).part_size
            return checks.span(call, part_size)[0] // part_size
        except Refusal:
            return None

    def perform(self, call: Call, receive: Receive) -> Answer:
        """Do the operation of a call that was admitted."""
        if call.operation == "UploadMultipartPart":
            return self._upload_part(call, receive)
        if call.operation == "UploadArchive":
            return self._upload_archive(call, receive)
        return self._by_name[call.operation](call)

    def _vault(self, call: Call) -> Vault:
        legal = VAULT_NAME.fullmatch(call.vault)
        vault = self._store.vault(call.vault) if legal else None
        if vault is None:
            # The service echoes a name with illegal characters as it is, others as an ARN.
            shown = vault_arn(call.vault) if legal else call.vault
            raise not_found(f"Vault not found for ARN: {shown}")
        return vault

    # -- vaults ------------------------------------------------------------------------------

    def _create_vault(self, call: Call) -> Answer:
        self._store.create_vault(call.vault)
        return json_answer(201, {}, Location=_location(call.vault))

    def _describe_vault(self, call: Call) -> Answer:
        return json_answer(200, _vault_members(self._vault(call)))

    def _list_vaults(self, call: Call) -> Answer:
        """Like the service, take a limit over 10 for 10: boto 2 always asks for 1,000.

        The marker is the ARN of the last vault of the page before (sources disagree on that).
        """
        limit, prefix = checks.limit(call, most=10, refuse_more=False), vault_arn("")
        marker = checks.query(call, "marker")
        if marker and not marker.startswith(prefix):
            raise invalid(f"Invalid marker: {marker}")
        vaults = self._store.vaults(after=marker.removeprefix(prefix), limit=limit + 1)
        more = vault_arn(vaults[limit - 1].name) if len(vaults) > limit else None
        shown = [_vault_members(vault) for vault in vaults[:limit]]
        return json_answer(200, {"Marker": more, "VaultList": shown})

    def _delete_vault(self, call: Call) -> Answer:
        self._store.delete_vault(call.vault)
        return Answer(204)

    # -- archives ----------------------------------------------------------------------------

    def _upload_archive(self, call: Call, receive: Receive) -> Answer:
        size = checks.body_size(call)
        if not 0 < size <= MAX_ARCHIVE_IN_ONE_PIECE:
            raise invalid(f"Invalid Content-Length: {size}")
        wanted = checks.tree_hash(call)
        description = checks.description(call)
        with self._store.receiving() as body:
            tree = _verified(call, receive(call, body), wanted)
            archive = self._store.keep_archive(
                body, call.vault, size=size, tree_hash=tree, description=description
            )
        return _archive_created(archive)

    def _delete_archive(self, call: Call) -> Answer:
        if not _ARCHIVE_ID.fullmatch(call.archive_id):
            raise not_found(f"The archive ID was not found: {call.archive_id}")  # our wording
        self._store.delete_archive(call.vault, call.archive_id)
        return Answer(204)

    # -- multipart uploads -------------------------------------------------------------------

    def _initiate(self, call: Call) -> Answer:
        upload_id = self._store.uploads.initiate(
            call.vault, part_size=checks.part_size(call), description=checks.description(call)
        )
        return json_answer(
            201,
            {},
            Location=_location(call.vault, "multipart-uploads", upload_id),
            x_amz_multipart_upload_id=upload_id,
        )

    def _upload_part(self, call: Call, receive: Receive) -> Answer:
        upload = self._store.uploads.get(call.vault, call.upload_id)
        wanted = checks.tree_hash(call)
        first, size = checks.span(call, upload.part_size)
        with self._store.receiving() as body:
            tree = _verified(call, receive(call, body), wanted)
            self._store.uploads.keep(body, upload, first=first, size=size, tree_hash=tree)
        return Answer(204, {"x-amz-sha256-tree-hash": tree})

    def _list_parts(self, call: Call) -> Answer:
        upload = self._store.uploads.get(call.vault, call.upload_id)
        limit, start = checks.limit(call, most=50), checks.parts_start(call)
        parts = self._store.uploads.parts(upload.upload_id, start=start, limit=limit + 1)
        more = (
            checks.parts_marker(upload.upload_id, parts[limit].first)
            if len(parts) > limit
            else None
        )
        shown = [
            {
                "RangeInBytes": f"{part.first}-{part.first + part.size - 1}",
                "SHA256TreeHash": part.tree_hash,
            }
            for part in parts[:limit]
        ]
        return json_answer(200, {**_upload_members(upload), "Marker": more, "Parts": shown})

    def _list_uploads(self, call: Call) -> Answer:
        """The marker is the id of the next upload, as in the documented example."""
        limit, marker = checks.limit(call, most=50), checks.query(call, "marker")
        if marker and not _UPLOAD_ID.fullmatch(marker):
            raise invalid(f"Invalid marker: {marker}")
        uploads = self._store.uploads.page(call.vault, start=marker, limit=limit + 1)
        more = uploads[limit].upload_id if len(uploads) > limit else None
        shown = [_upload_members(upload) for upload in uploads[:limit]]
        return json_answer(200, {"Marker": more, "UploadsList": shown})

    def _complete(self, call: Call) -> Answer:
        text = checks.header(call, "x-amz-archive-size")
        tree_hash = checks.header(call, "x-amz-sha256-tree-hash")
        if not DECIMAL.fullmatch(text):
            raise invalid(f"Invalid x-amz-archive-size: {text}")
        archive = self._store.uploads.complete(
            call.vault, call.upload_id, size=int(text), tree_hash=tree_hash
        )
        return _archive_created(archive)

    def _abort(self, call: Call) -> Answer:
        self._store.uploads.abort(call.vault, call.upload_id)
        return Answer(204)


def _check_operation(call: Call) -> None:
    if not call.operation:
        raise Refusal(400, "BadRequest", "The rehearsal knows no such operation.")


def _verified(call: Call, digests: Digests, tree_hash: str) -> str:
    """The tree hash of a body whose hashes are right. The linear hash is checked first."""
    linear = call.headers["x-amz-content-sha256"]
    if digests.linear != linear:
        raise wrong_payload_hash(computed=digests.linear, expected=linear)
    if digests.tree != tree_hash:
        raise invalid(f"Checksum mismatch: expected {tree_hash}, computed {digests.tree}")
    return digests.tree


def _location(vault: str, *rest: str) -> str:
    """A relative URI with the account number, even if the call said "-"."""
    return "/".join(["", ACCOUNT_ID, "vaults", vault, *rest])


def _archive_created(archive: Archive) -> Answer:
    return json_answer(
        201,
        {},
        Location=_location(archive.vault, "archives", archive.archive_id),
        x_amz_archive_id=archive.archive_id,
        x_amz_sha256_tree_hash=archive.tree_hash,
    )


def _vault_members(vault: Vault) -> dict[str, str | int | None]:
    seen = vault.inventory_ms
    return {
        "CreationDate": iso_date(vault.created_ms),
        "LastInventoryDate": None if seen is None else iso_date(seen),
        "NumberOfArchives": vault.archives,
        "SizeInBytes": vault.size,
        "VaultARN": vault_arn(vault.name),
        "VaultName": vault.name,
    }


def _upload_members(upload: Upload) -> dict[str, str | int | None]:
    return {
        "ArchiveDescription": upload.description,
        "CreationDate": iso_date(upload.created_ms),
        "MultipartUploadId": upload.upload_id,
        "PartSizeInBytes": upload.part_size,
        "VaultARN": vault_arn(upload.vault),
    }
