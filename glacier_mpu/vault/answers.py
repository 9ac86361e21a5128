"""What the service's answers say, read strictly: half an answer is never taken for a whole one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from glacier_mpu.vault.errors import TransientError


@dataclass(frozen=True, slots=True)
class Archive:
    """A stored archive; `tree_hash` in hex, `size` in bytes."""

    archive_id: str
    location: str
    tree_hash: str
    size: int


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload in progress; `block_size` in bytes."""

    upload_id: str
    description: str
    block_size: int
    created: datetime


@dataclass(frozen=True, slots=True)
class StoredPart:
    """What the vault holds of a block: its size in bytes and its tree hash."""

    size: int
    tree_hash: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """An open upload, and its stored parts by the offset of their first byte."""

    upload: OpenUpload
    parts: Mapping[int, StoredPart]


def read_upload_id(answer: Mapping[str, Any]) -> str:
    """Read the answer to an initiation. Raises TransientError if it was cut short."""
    upload_id = str(answer["uploadId"])
    check_whole(answer["location"].endswith(f"/{upload_id}") and _is_id(upload_id))
    return upload_id


def read_archive(answer: Mapping[str, Any], *, size: int, tree_hash: str, again: bool) -> Archive:
    """Read the answer to a completion. Raises TransientError if it was cut short.

    The documentation of the call does not name the tree hash, though the service sends it. Where it
    stays away in a repeated answer, too, the service has compared it all the same, to complete.
    """
    echoed = answer.get("checksum", tree_hash if again else "")
    check_whole(answer["location"].endswith(f"/{answer['archiveId']}") and is_hash(echoed))
    return Archive(answer["archiveId"], answer["location"], echoed, size)


def check_whole(is_whole: bool) -> None:  # noqa: FBT001 - the condition is the whole argument
    """Raise TransientError for headers that end in the middle, which Python takes for whole."""
    if not is_whole:
        raise TransientError("the answer was cut short")


def is_hash(text: str) -> bool:
    """Tell whether this is a SHA-256 in hex."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def read_upload(answer: Mapping[str, Any]) -> OpenUpload:
    """Read an upload. Raises KeyError, TypeError, ValueError if it makes no sense."""
    upload_id = answer["MultipartUploadId"]
    if not _is_id(upload_id):
        raise ValueError(f"{upload_id!r} is not an upload id")
    return OpenUpload(
        upload_id=upload_id,
        description=answer.get("ArchiveDescription", ""),
        block_size=int(answer["PartSizeInBytes"]),
        created=_moment(answer["CreationDate"]),
    )


def read_part(answer: Mapping[str, Any]) -> tuple[int, StoredPart]:
    """Read a part: its offset and what is stored there. Raises as read_upload does."""
    first, last = map(int, answer["RangeInBytes"].split("-"))
    return first, StoredPart(last - first + 1, bytes.fromhex(answer["SHA256TreeHash"]))


def _is_id(text: str) -> bool:
    """Tell whether this is an id: it is printed, and becomes part of an address."""
    return re.fullmatch(r"[A-Za-z0-9_-]+", text) is not None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # 3.10 does not read the Z
