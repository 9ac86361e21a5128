"""The answers as values: they cross processes, and half of one is never taken for a whole one."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from glacier_mpu.source.blocks import MIB
from glacier_mpu.vault.answers import (
    Archive,
    Listing,
    OpenUpload,
    StoredPart,
    read_archive,
    read_part,
    read_upload,
    read_upload_id,
)
from glacier_mpu.vault.errors import TransientError

HASH = "ab" * 32
PART = StoredPart(size=MIB, tree_hash=bytes.fromhex(HASH))
CREATED = datetime(2026, 11, 24, 8, 0, 0, 123_000, tzinfo=timezone.utc)
UPLOAD = OpenUpload("an-id_1", description="mine", block_size=MIB, created=CREATED)
ARCHIVE = Archive("an-archive", "/1/vaults/v/archives/an-archive", tree_hash=HASH, size=5)
LISTED = {
    "MultipartUploadId": "an-id_1",
    "ArchiveDescription": "mine",
    "PartSizeInBytes": MIB,
    "CreationDate": "2026-11-24T08:00:00.123Z",
}
COMPLETED = {"archiveId": ARCHIVE.archive_id, "location": ARCHIVE.location, "checksum": HASH}


@pytest.mark.parametrize(
    "value",
    [PART, UPLOAD, Listing(UPLOAD, {0: PART, MIB: replace(PART, size=5)}), ARCHIVE],
    ids=lambda value: type(value).__name__,
)
def test_an_answer_comes_back_equal_from_another_process(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value


def test_stored_parts_of_another_size_or_hash_are_not_equal() -> None:
    assert StoredPart(MIB, bytes.fromhex(HASH)) == PART
    assert PART not in (replace(PART, size=5), replace(PART, tree_hash=bytes(32)))


def test_an_upload_and_a_part_are_read_as_the_service_lists_them() -> None:
    assert read_upload(LISTED) == UPLOAD
    listed = {"RangeInBytes": f"{MIB}-{2 * MIB - 1}", "SHA256TreeHash": HASH}
    assert read_part(listed) == (MIB, PART)


def test_an_upload_without_description_has_an_empty_one() -> None:
    without = {name: value for name, value in LISTED.items() if name != "ArchiveDescription"}
    assert read_upload(without) == replace(UPLOAD, description="")


@pytest.mark.parametrize(
    "wrong",
    [
        {"MultipartUploadId": ""},
        {"MultipartUploadId": "an id; rm"},
        {"MultipartUploadId": None},
        {"PartSizeInBytes": "large"},
        {"CreationDate": "2026-11"},
        {"CreationDate": ""},
    ],
    ids=str,
)
def test_an_upload_that_makes_no_sense_is_not_read(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        read_upload(LISTED | wrong)


@pytest.mark.parametrize("name", ["MultipartUploadId", "PartSizeInBytes", "CreationDate"])
def test_an_upload_that_lacks_a_member_is_not_read(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        read_upload({member: value for member, value in LISTED.items() if member != name})


@pytest.mark.parametrize(
    ("span", "tree_hash"),
    [("0-", HASH), ("7", HASH), ("", HASH), ("0-6", HASH[:-1]), ("0-6", "xy" * 32)],
)
def test_a_part_that_makes_no_sense_is_not_read(span: str, tree_hash: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_part({"RangeInBytes": span, "SHA256TreeHash": tree_hash})


def test_the_id_of_a_new_upload_is_read_from_a_whole_answer_only() -> None:
    location = "/1/vaults/v/multipart-uploads/an-id"
    assert read_upload_id({"uploadId": "an-id", "location": location}) == "an-id"
    for upload_id, place in (
        ("an-i", location),
        ("an-id", location[:-1]),
        ("", "/1/vaults/v/multipart-uploads/"),
        ("an id", "/1/vaults/v/multipart-uploads/an id"),
    ):
        with pytest.raises(TransientError, match="cut short"):
            read_upload_id({"uploadId": upload_id, "location": place})


@pytest.mark.parametrize("again", [False, True], ids=["first answer", "repeated"])
def test_an_archive_is_read_with_the_hash_that_the_vault_gives(again: bool) -> None:
    assert read_archive(COMPLETED, size=5, tree_hash="0" * 64, again=again) == ARCHIVE


@pytest.mark.parametrize(
    "cut",
    [
        {"archiveId": "an-archi"},
        {"location": "/1/vaults/v/archives/an-archi"},
        {"checksum": HASH[:-1]},
        {"checksum": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("again", [False, True], ids=["first answer", "repeated"])
def test_a_completion_that_is_cut_short_is_not_read(cut: dict[str, str], again: bool) -> None:
    with pytest.raises(TransientError, match="cut short"):
        read_archive(COMPLETED | cut, size=5, tree_hash=HASH, again=again)


def test_a_completion_without_hash_is_taken_only_when_it_is_repeated() -> None:
    answer = {name: value for name, value in COMPLETED.items() if name != "checksum"}
    with pytest.raises(TransientError, match="cut short"):
        read_archive(answer, size=5, tree_hash=HASH, again=False)
    assert read_archive(answer, size=5, tree_hash=HASH, again=True) == ARCHIVE
