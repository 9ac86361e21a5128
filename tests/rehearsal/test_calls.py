"""What the stand-in does and refuses, a row a rule, over real sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, ACCOUNT_ID, REGION, SECRET_KEY
from tests.support.wire_client import (
    ARN,
    MIB,
    VAULT,
    VERSION,
    Clock,
    call,
    complete,
    hashes,
    initiate,
    pattern,
    put_part,
    send,
    sign,
    stored,
    tree_hash,
)

if TYPE_CHECKING:
    from mypy_boto3_glacier import GlacierClient

INVALID = "InvalidParameterValueException"
MISSING = "MissingParameterValueException"
NOT_FOUND = "ResourceNotFoundException"
UNKNOWN_ID = "u" * 92
FULL, TAIL = pattern(MIB), pattern(1000, seed=1)


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[RehearsalServer]:
    with RehearsalServer(tmp_path / "vaults", now=clock) as server:
        server.store.create_vault(VAULT)
        yield server


# -- the answers -----------------------------------------------------------------------------


def test_an_upload_of_parts_in_any_order_becomes_the_file(
    server: RehearsalServer, clock: Clock
) -> None:
    upload = initiate(server, clock)
    pieces = [pattern(MIB, seed=seed) for seed in range(4)] + [TAIL]
    for index in (4, 0, 3, 1, 2):
        assert put_part(server, clock, upload, index * MIB, pieces[index]).status == 204
    whole = b"".join(pieces)
    reply = complete(server, clock, upload, size=len(whole), tree=tree_hash(whole))
    assert (reply.status, reply.body) == (201, b"{}")
    archive_id = reply.headers["x-amz-archive-id"]
    assert reply.headers["x-amz-sha256-tree-hash"] == tree_hash(whole)
    assert reply.headers["Location"] == f"/{ACCOUNT_ID}/vaults/{VAULT}/archives/{archive_id}"
    path = server.store.archive_path(archive_id)
    assert path.samefile(server.folder / "archives" / archive_id)
    assert path.read_bytes() == whole
    assert not list((server.folder / "uploads").iterdir())
    assert not list((server.folder / "incoming").iterdir())


def test_a_part_is_acknowledged_with_204_its_tree_hash_and_no_body(
    server: RehearsalServer, clock: Clock
) -> None:
    reply = put_part(server, clock, initiate(server, clock), 0, FULL)
    assert (reply.status, reply.body) == (204, b"")
    assert set(reply.headers) == {"x-amzn-RequestId", "x-amz-sha256-tree-hash", "Date"}
    assert reply.headers["x-amz-sha256-tree-hash"] == tree_hash(FULL)
    assert re.fullmatch(r"[A-Za-z0-9_-]{47}", reply.headers["x-amzn-RequestId"])
    assert reply.headers["Date"] == "Fri, 20 Mar 2026 17:03:43 GMT"


def test_initiating_gives_an_id_and_a_location_with_the_real_account(
    server: RehearsalServer, clock: Clock
) -> None:
    target = f"/-/vaults/{VAULT}/multipart-uploads"
    reply = call(server, clock, "POST", target, {"x-amz-part-size": str(MIB)})
    upload_id = reply.headers["x-amz-multipart-upload-id"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{92}", upload_id)
    assert reply.headers["Location"] == (
        f"/{ACCOUNT_ID}/vaults/{VAULT}/multipart-uploads/{upload_id}"
    )
    assert reply.headers["Content-Type"] == "application/json"
    assert (reply.status, reply.body) == (201, b"{}")


def test_lists_are_compact_json_with_nulls_and_milliseconds(
    server: RehearsalServer, clock: Clock
) -> None:
    upload = initiate(server, clock)
    put_part(server, clock, upload, 0, FULL)
    upload_id = upload.rpartition("/")[2]
    facts = {
        "ArchiveDescription": None,
        "CreationDate": "2026-03-20T17:03:43.221Z",
        "MultipartUploadId": upload_id,
        "PartSizeInBytes": MIB,
        "VaultARN": ARN,
    }
    part = {"RangeInBytes": f"0-{MIB - 1}", "SHA256TreeHash": tree_hash(FULL)}
    parts = call(server, clock, "GET", upload)
    assert parts.json == {**facts, "Marker": None, "Parts": [part]}
    assert parts.body == json.dumps(parts.json, separators=(",", ":")).encode()
    uploads = call(server, clock, "GET", upload.rpartition("/")[0])
    assert uploads.json == {"Marker": None, "UploadsList": [facts]}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param("Archive for  a b", "Archive for  a b", id="double spaces stay"),
        pytest.param("   led by spaces", "led by spaces", id="leading spaces go"),
        pytest.param("~" * 1024, "~" * 1024, id="1024 characters"),
    ],
)
def test_a_description_is_kept_but(
    server: RehearsalServer, clock: Clock, sent: str, kept: str
) -> None:
    headers = {"x-amz-part-size": str(MIB), "x-amz-archive-description": sent}
    target = f"/-/vaults/{VAULT}/multipart-uploads"
    assert call(server, clock, "POST", target, headers).status == 201
    (listed,) = call(server, clock, "GET", target).json["UploadsList"]
    assert listed["ArchiveDescription"] == kept


def test_vaults_are_created_described_listed_and_deleted(
    server: RehearsalServer, clock: Clock
) -> None:
    for _ in range(2):  # idempotent
        made = call(server, clock, "PUT", "/-/vaults/a.b-C_9")
        assert (made.status, made.body) == (201, b"{}")
        assert made.headers["Location"] == f"/{ACCOUNT_ID}/vaults/a.b-C_9"
    facts = {
        "CreationDate": "2026-03-20T17:03:43.221Z",
        "LastInventoryDate": None,
        "NumberOfArchives": 0,
        "SizeInBytes": 0,
        "VaultARN": ARN.replace(VAULT, "a.b-C_9"),
        "VaultName": "a.b-C_9",
    }
    assert call(server, clock, "GET", f"/{ACCOUNT_ID}/vaults/a.b-C_9").json == facts
    listed = call(server, clock, "GET", "/-/vaults").json
    assert listed["VaultList"][0] == facts
    assert [vault["VaultName"] for vault in listed["VaultList"]] == ["a.b-C_9", VAULT]
    for _ in range(2):
        gone = call(server, clock, "DELETE", "/-/vaults/a.b-C_9")
        assert (gone.status, gone.body) == (204, b"")
    assert call(server, clock, "GET", "/-/vaults/a.b-C_9").status == 404


def test_a_vault_is_counted_a_day_on_and_deleted_only_empty_and_at_rest(
    server: RehearsalServer, clock: Clock
) -> None:
    target = f"/-/vaults/{VAULT}"
    made = call(server, clock, "POST", f"{target}/archives", hashes(TAIL), TAIL)
    assert call(server, clock, "GET", target).json["NumberOfArchives"] == 0
    clock.move(hours=25)
    seen = call(server, clock, "GET", target).json
    assert (seen["NumberOfArchives"], seen["SizeInBytes"]) == (1, 1000 + 32 * 1024)
    refused = (400, INVALID, f"Vault not empty or recently written to: {ARN}")
    assert call(server, clock, "DELETE", target).said == refused
    archive = f"{target}/archives/{made.headers['x-amz-archive-id']}"
    assert call(server, clock, "DELETE", archive).status == 204
    assert call(server, clock, "DELETE", target).said == refused
    clock.move(hours=24)
    assert call(server, clock, "DELETE", target).status == 204


def test_an_archive_in_one_piece_is_stored_and_deleted(
    server: RehearsalServer, clock: Clock
) -> None:
    target = f"/-/vaults/{VAULT}/archives"
    made = call(server, clock, "POST", target, hashes(TAIL), TAIL)
    archive_id = made.headers["x-amz-archive-id"]
    assert (made.status, made.body) == (201, b"{}")
    assert re.fullmatch(r"[A-Za-z0-9_-]{138}", archive_id)
    assert server.store.archive_path(archive_id).read_bytes() == TAIL
    server.store.create_vault("other")
    wrong = call(server, clock, "DELETE", f"/-/vaults/other/archives/{archive_id}")
    assert wrong.said == (400, INVALID, f"Invalid vault name: {ARN.replace(VAULT, 'other')}")
    for _ in range(2):
        assert call(server, clock, "DELETE", f"{target}/{archive_id}").status == 204
    with pytest.raises(KeyError):
        server.store.archive_path(archive_id)
    assert not list((server.folder / "archives").iterdir())


# -- refusals --------------------------------------------------------------------------------

NAMES = {
    "unknown": ("/-/vaults/other", (404, NOT_FOUND, ARN.replace(VAULT, "other"))),
    "with a colon": ("/-/vaults/testz:z", (404, NOT_FOUND, "testz:z")),
    "with a slash": ("/-/vaults/a%2Fb", (404, NOT_FOUND, "a/b")),
    "two dots, encoded": ("/-/vaults/%2e%2e", (404, NOT_FOUND, ARN.replace(VAULT, ".."))),
    "two dots": ("/-/vaults/..", (404, NOT_FOUND, ARN.replace(VAULT, ".."))),
    "a path up": ("/-/vaults/..%2F..%2Fetc", (404, NOT_FOUND, "../../etc")),
    "a zero byte": ("/-/vaults/a%00b", (404, NOT_FOUND, "a\0b")),
    "too long": (f"/-/vaults/{'v' * 256}", (404, NOT_FOUND, "v" * 256)),
}


@pytest.mark.parametrize(("target", "said"), NAMES.values(), ids=NAMES)
def test_a_vault_is_not_found_if_its_name_is(
    server: RehearsalServer, clock: Clock, target: str, said: tuple[int, str, str]
) -> None:
    reply = call(server, clock, "GET", target)
    assert reply.said == (*said[:2], f"Vault not found for ARN: {said[2]}")


def test_a_vault_named_two_dots_is_a_vault_like_any_other(
    server: RehearsalServer, clock: Clock
) -> None:
    assert call(server, clock, "PUT", "/-/vaults/%2e%2e").status == 201
    upload = initiate(server, clock, vault="%2e%2e")
    assert put_part(server, clock, upload, 0, TAIL).status == 204
    done = complete(server, clock, upload, size=1000, tree=tree_hash(TAIL))
    assert done.status == 201
    assert done.headers["Location"].startswith(f"/{ACCOUNT_ID}/vaults/../archives/")
    assert server.store.archive_path(done.headers["x-amz-archive-id"]).read_bytes() == TAIL
    assert sorted(path.name for path in server.folder.parent.iterdir()) == ["vaults"]


BAD_CALLS = {
    "a path that is none": ("GET", "/vaults", {}, (400, "BadRequest")),
    "an unknown shelf": ("GET", f"/-/vaults/{VAULT}/jobs", {}, (400, "BadRequest")),
    "a slash at the end": ("GET", f"/-/vaults/{VAULT}/", {}, (400, "BadRequest")),
    "an operation that is none": ("PUT", f"/-/vaults/{VAULT}/archives", {}, (400, "BadRequest")),
    "another account": ("GET", "/123456789012/vaults", {}, (403, "AccessDeniedException")),
    "a bad new name": ("PUT", "/-/vaults/a%2Fb", {}, (400, INVALID)),
    "no part size": ("POST", "multipart-uploads", {}, (400, INVALID)),
    "a limit of 0": ("GET", "multipart-uploads?limit=0", {}, (400, INVALID)),
    "a limit of 51": ("GET", "multipart-uploads?limit=51", {}, (400, INVALID)),
    "a limit of words": ("GET", "multipart-uploads?limit=many", {}, (400, INVALID)),
    "an empty limit": ("GET", "multipart-uploads?limit=", {}, (400, INVALID)),
    "two limits": ("GET", "multipart-uploads?limit=1&limit=2", {}, (400, INVALID)),
    "a marker that is no ARN": ("GET", "/-/vaults?marker=a", {}, (400, INVALID)),
    "a marker that is no id": ("GET", "multipart-uploads?marker=a", {}, (400, INVALID)),
    "an empty archive": ("POST", "archives", hashes(b""), (400, INVALID)),
    "no archive tree hash": (
        "POST",
        "archives",
        {"x-amz-content-sha256": hashes(b"")["x-amz-content-sha256"]},
        (400, INVALID),
    ),
    "an archive id of no shape": ("DELETE", "archives/..%2F..%2Fx", {}, (404, NOT_FOUND)),
    "an upload id of no shape": ("GET", "multipart-uploads/..%2Fx", {}, (404, NOT_FOUND)),
    "an unknown upload id": ("GET", f"multipart-uploads/{UNKNOWN_ID}", {}, (404, NOT_FOUND)),
    "an abort of the unknown": (
        "DELETE",
        f"multipart-uploads/{UNKNOWN_ID}",
        {},
        (404, NOT_FOUND),
    ),
}


@pytest.mark.parametrize(("method", "target", "headers", "said"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_call_is_refused_if_it_has(
    server: RehearsalServer,
    clock: Clock,
    method: str,
    target: str,
    headers: dict[str, str],
    said: tuple[int, str],
) -> None:
    path = target if target.startswith("/") else f"/-/vaults/{VAULT}/{target}"
    assert call(server, clock, method, path, headers).said[:2] == said


@pytest.mark.parametrize("limit", [1, 50])
def test_a_page_may_have_1_to_50_uploads_or_parts(
    server: RehearsalServer, clock: Clock, limit: int
) -> None:
    upload = initiate(server, clock)
    for target in (upload, upload.rpartition("/")[0]):
        assert call(server, clock, "GET", f"{target}?limit={limit}").status == 200


@pytest.mark.parametrize(
    "size", ["0", "10485759", "10485760", "17179869184", "524288", "abc", "+1048576", "1e6", ""]
)
def test_a_part_size_is_a_power_of_two_from_1_mib_to_4_gib(
    server: RehearsalServer, clock: Clock, size: str
) -> None:
    target = f"/-/vaults/{VAULT}/multipart-uploads"
    reply = call(server, clock, "POST", target, {"x-amz-part-size": size})
    assert reply.said == (
        400,
        INVALID,
        f"Invalid part size: {size}. Part size must not be null, must be a power of two and be "
        "between 1048576 and 4294967296 bytes.",
    )


@pytest.mark.parametrize("text", ["tab\there", "caf\xe9", "~" * 1025])
def test_a_description_is_1024_characters_of_printable_ascii(
    server: RehearsalServer, clock: Clock, text: str
) -> None:
    headers = {"x-amz-part-size": str(MIB), "x-amz-archive-description": text}
    reply = call(server, clock, "POST", f"/-/vaults/{VAULT}/multipart-uploads", headers)
    assert reply.said[:2] == (400, INVALID)


OTHER = "0" * 64
BAD_PARTS = {
    # what is sent, and status, code, message; first byte 1 MiB, 1000 bytes, parts of 1 MiB
    "no range": ({"content_range": None}, 400, MISSING, "parameter missing: Content-Range"),
    "no tree hash": (
        {"x_amz_sha256_tree_hash": None},
        400,
        MISSING,
        "parameter missing: x-amz-sha256-tree-hash",
    ),
    "an equals sign": ({"content_range": "bytes=0-999"}, 400, INVALID, "Content-Range: bytes=0"),
    "an encoded space": (
        {"content_range": "bytes%200-999/*"},
        400,
        INVALID,
        "Invalid Content-Range: bytes%200-999/*",
    ),
    "no total": ({"content_range": "bytes 0-999"}, 400, INVALID, "Content-Range: bytes 0-999"),
    "two ranges": (
        {"content_range": "bytes 0-999/*,bytes 0-999/*"},
        400,
        INVALID,
        "Invalid Content-Range: bytes 0-999/*,bytes 0-999/*",
    ),
    "an end before its start": (
        {"content_range": "bytes 909994937-909994936/*"},
        400,
        INVALID,
        "Invalid Content-Range: bytes 909994937-909994936/*",
    ),
    "a total that is too small": (
        {"content_range": "bytes 0-999/999"},
        400,
        INVALID,
        "Invalid Content-Range: bytes 0-999/999",
    ),
    "a range of another length": (
        {"content_range": "bytes 0-1000/*"},
        400,
        INVALID,
        "Content-Range: bytes 0-1000/* is incompatible with Content-Length: 1000",
    ),
    # It is longer than a part as well, but this comes first (aws-sdk-go#3009).
    "a range longer than a part": (
        {"content_range": "bytes 0-1048576/*"},
        400,
        INVALID,
        "Content-Range: bytes 0-1048576/* is incompatible with Content-Length: 1000",
    ),
    "an odd start": (
        {"content_range": "bytes 500-1499/*"},
        400,
        INVALID,
        "Content-Range: bytes 500-1499/* is incompatible with part size: 1048576",
    ),
    "number 10001": (
        {"content_range": f"bytes {10_000 * MIB}-{10_000 * MIB + 999}/*"},
        400,
        INVALID,
        "This is part number 10001 for the current multipart upload. "
        "It exceeds the limit of 10000 parts.",
    ),
    "another linear hash": (
        {"x_amz_content_sha256": OTHER},
        403,
        "InvalidSignatureException",
        "The value passed in as x-amz-content-sha256 does not match the computed payload hash. "
        f"Computed digest: {hashes(TAIL)['x-amz-content-sha256']} expected hash: {OTHER}",
    ),
    "another tree hash": (
        {"x_amz_sha256_tree_hash": OTHER},
        400,
        INVALID,
        f"Checksum mismatch: expected {OTHER}, computed {tree_hash(TAIL)}",
    ),
    "both hashes of another": (
        {"x_amz_sha256_tree_hash": OTHER, "x_amz_content_sha256": OTHER},
        403,
        "InvalidSignatureException",
        "expected hash",
    ),
    "an upper-case tree hash": (
        {"x_amz_sha256_tree_hash": tree_hash(TAIL).upper()},
        400,
        INVALID,
        "Invalid x-amz-sha256-tree-hash",
    ),
}


@pytest.mark.parametrize(
    ("changed", "status", "code", "message"), BAD_PARTS.values(), ids=BAD_PARTS
)
def test_a_part_is_refused_and_not_stored_if_it_has(
    server: RehearsalServer,
    clock: Clock,
    changed: dict[str, str | None],
    status: int,
    code: str,
    message: str,
) -> None:
    upload = initiate(server, clock)
    reply = put_part(server, clock, upload, MIB, TAIL, **changed)
    assert reply.said[:2] == (status, code)
    assert message in reply.said[2]
    assert stored(server, clock, upload) == []
    assert put_part(server, clock, upload, MIB, TAIL).status == 204


def test_a_part_longer_than_the_part_size_is_refused(server: RehearsalServer, clock: Clock) -> None:
    reply = put_part(server, clock, initiate(server, clock), 0, FULL + b"x")
    assert reply.said == (
        400,
        INVALID,
        "Content-Range: bytes 0-1048576/* is incompatible with part size: 1048576",
    )


def test_the_last_part_that_there_can_be_and_a_true_total_are_accepted(
    server: RehearsalServer, clock: Clock
) -> None:
    upload, first = initiate(server, clock), 9_999 * MIB
    text = f"bytes {first}-{first + 999}/{first + 1000}"
    assert put_part(server, clock, upload, first, TAIL, content_range=text).status == 204
    assert stored(server, clock, upload) == [(f"{first}-{first + 999}", tree_hash(TAIL))]


def test_a_refusal_of_the_service_has_the_members_in_the_services_order(
    server: RehearsalServer, clock: Clock
) -> None:
    reply = call(server, clock, "GET", "/-/vaults/other")
    assert reply.body == (
        b'{"code":"ResourceNotFoundException","message":"Vault not found for ARN: '
        + ARN.replace(VAULT, "other").encode()
        + b'","type":"Client"}'
    )
    assert reply.headers["Content-Type"] == "application/json"
    denied = call(server, clock, "GET", "/123456789012/vaults")
    assert denied.body == (
        b'{"message":"Access denied for account ID: 123456789012",'
        b'"code":"AccessDeniedException","type":"Client"}'
    )
    assert len(denied.body) == 103  # as recorded


def test_the_checks_come_in_the_services_order(server: RehearsalServer, clock: Clock) -> None:
    """One request that is wrong in every way; each answer names the next thing to put right."""
    wrong = {
        "content-range": "bytes=1",
        "x-amz-content-sha256": "1" * 64,
        "x-amz-sha256-tree-hash": "2" * 64,
    }
    target, at, key = f"/123456789012/vaults/other/multipart-uploads/{UNKNOWN_ID}", -600, "wrong"
    upload_id = initiate(server, clock).rpartition("/")[2]

    def answer() -> str:
        clock.move(seconds=at)
        signed = sign("PUT", target, wrong, at=clock(), secret_key=key)
        clock.move(seconds=-at)
        return str(send(server, "PUT", target, signed, TAIL).json["message"])

    assert "API version" in answer()
    wrong |= VERSION
    assert "Signature expired" in answer()
    at = 0
    assert "signature we calculated" in answer()
    key = SECRET_KEY
    assert "Access denied for account" in answer()
    target = target.replace("123456789012", "-")
    assert "Vault not found" in answer()
    target = target.replace("other", VAULT)
    assert "upload ID was not found" in answer()
    target = target.replace(UNKNOWN_ID, upload_id)
    assert answer() == "Invalid Content-Range: bytes=1"
    wrong["content-range"] = f"bytes {10_000 * MIB + 1}-{10_001 * MIB + 1}/*"
    assert "incompatible with Content-Length" in answer()
    wrong["content-range"] = f"bytes {10_000 * MIB + 1}-{10_000 * MIB + 1000}/*"
    assert "incompatible with part size" in answer()
    wrong["content-range"] = f"bytes {10_000 * MIB}-{10_000 * MIB + 999}/*"
    assert "part number 10001" in answer()
    wrong["content-range"] = "bytes 0-999/*"
    assert "computed payload hash" in answer()
    wrong["x-amz-content-sha256"] = hashes(TAIL)["x-amz-content-sha256"]
    assert "Checksum mismatch" in answer()


# -- completion ------------------------------------------------------------------------------

THREE = FULL + FULL + TAIL
INCOMPLETE = {
    # parts as (first, body), then size and tree hash that Complete is given, and the message
    "no part": ([], 1000, tree_hash(TAIL), "No part has been uploaded."),
    "no part and no size": ([], 0, tree_hash(b""), "No part has been uploaded."),
    "no first part": ([(MIB, TAIL)], MIB + 1000, OTHER, f"Missing range: 0-{MIB - 1}"),
    "a hole": (
        [(0, FULL), (2 * MIB, TAIL)],
        2 * MIB + 1000,
        tree_hash(THREE),
        f"Missing range: {MIB}-{2 * MIB - 1}",
    ),
    "a short inner part": (
        [(0, FULL), (MIB, TAIL), (2 * MIB, TAIL)],
        2 * MIB + 1000,
        tree_hash(THREE),
        f"Missing range: {MIB + 1000}-{2 * MIB - 1}",
    ),
    "another size": (
        [(0, FULL), (MIB, TAIL)],
        MIB + 1001,
        tree_hash(FULL + TAIL),
        f"Invalid x-amz-archive-size: {MIB + 1001}. The parts have {MIB + 1000} bytes.",
    ),
    "a size that is none": ([(0, TAIL)], "1e3", tree_hash(TAIL), "Invalid x-amz-archive-size: 1e3"),
    "another tree hash": (
        [(0, FULL), (MIB, TAIL)],
        MIB + 1000,
        OTHER,
        f"Invalid x-amz-sha256-tree-hash: {OTHER}",
    ),
}


@pytest.mark.parametrize(("parts", "size", "tree", "message"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_an_upload_is_not_completed_and_stays_open_with(
    server: RehearsalServer,
    clock: Clock,
    parts: list[tuple[int, bytes]],
    size: int | str,
    tree: str,
    message: str,
) -> None:
    upload = initiate(server, clock)
    for first, body in parts:
        assert put_part(server, clock, upload, first, body).status == 204
    assert complete(server, clock, upload, size=size, tree=tree).said == (400, INVALID, message)
    assert len(stored(server, clock, upload)) == len(parts)
    assert not list((server.folder / "archives").iterdir())


def test_completion_needs_size_and_tree_hash(server: RehearsalServer, clock: Clock) -> None:
    upload = initiate(server, clock)
    said = call(server, clock, "POST", upload).said
    assert said == (400, MISSING, "Required parameter missing: x-amz-archive-size")
    said = call(server, clock, "POST", upload, {"x-amz-archive-size": "1"}).said
    assert said == (400, MISSING, "Required parameter missing: x-amz-sha256-tree-hash")


def test_completion_repeated_within_a_day_gives_the_same_archive(
    server: RehearsalServer, clock: Clock
) -> None:
    upload = initiate(server, clock)
    put_part(server, clock, upload, 0, TAIL)
    first = complete(server, clock, upload, size=1000, tree=tree_hash(TAIL))
    clock.move(hours=23)
    again = complete(server, clock, upload, size=1000, tree=tree_hash(TAIL))
    assert again.status == 201
    assert again.headers["x-amz-archive-id"] == first.headers["x-amz-archive-id"]
    assert complete(server, clock, upload, size=1001, tree=tree_hash(TAIL)).status == 400
    assert complete(server, clock, upload, size=1000, tree=OTHER).status == 400
    clock.move(hours=1)
    late = complete(server, clock, upload, size=1000, tree=tree_hash(TAIL))
    assert late.said[:2] == (404, NOT_FOUND)
    assert server.store.archive_path(first.headers["x-amz-archive-id"]).read_bytes() == TAIL


def test_a_completed_upload_is_gone_for_every_other_call(
    server: RehearsalServer, clock: Clock
) -> None:
    upload = initiate(server, clock)
    put_part(server, clock, upload, 0, TAIL)
    complete(server, clock, upload, size=1000, tree=tree_hash(TAIL))
    gone = (404, NOT_FOUND, f"The upload ID was not found: {upload.rpartition('/')[2]}")
    assert call(server, clock, "GET", upload).said == gone
    assert call(server, clock, "DELETE", upload).said == gone
    assert put_part(server, clock, upload, 0, TAIL).said == gone
    assert call(server, clock, "GET", upload.rpartition("/")[0]).json["UploadsList"] == []


def test_an_aborted_upload_is_gone_and_abort_may_be_repeated_for_a_day(
    server: RehearsalServer, clock: Clock
) -> None:
    upload = initiate(server, clock)
    put_part(server, clock, upload, 0, FULL)
    for _ in range(2):
        reply = call(server, clock, "DELETE", upload)
        assert (reply.status, reply.body) == (204, b"")
    assert not list((server.folder / "uploads").iterdir())
    assert call(server, clock, "GET", upload).status == 404
    assert put_part(server, clock, upload, 0, FULL).status == 404
    assert complete(server, clock, upload, size=MIB, tree=tree_hash(FULL)).status == 404
    assert call(server, clock, "GET", upload.rpartition("/")[0]).json["UploadsList"] == []
    clock.move(hours=24)
    assert call(server, clock, "DELETE", upload).said[:2] == (404, NOT_FOUND)


def test_an_upload_belongs_to_its_vault(server: RehearsalServer, clock: Clock) -> None:
    server.store.create_vault("other")
    upload = initiate(server, clock)
    foreign = upload.replace(VAULT, "other")
    assert call(server, clock, "GET", foreign).said[:2] == (404, NOT_FOUND)
    assert call(server, clock, "DELETE", foreign).status == 404
    assert put_part(server, clock, foreign, 0, TAIL).status == 404
    assert complete(server, clock, foreign, size=1000, tree=tree_hash(TAIL)).status == 404


@pytest.mark.parametrize("hours", [23, 24])
def test_an_upload_lives_for_a_day_after_its_last_stored_part(
    server: RehearsalServer, clock: Clock, hours: int
) -> None:
    upload = initiate(server, clock)
    clock.move(hours=23)
    assert put_part(server, clock, upload, 0, TAIL).status == 204
    clock.move(hours=hours - 1)
    call(server, clock, "GET", upload)  # is no activity
    put_part(server, clock, upload, MIB, TAIL, x_amz_sha256_tree_hash=OTHER)  # nor is this
    clock.move(hours=1)
    expected = 200 if hours < 24 else 404
    assert call(server, clock, "GET", upload).status == expected
    assert put_part(server, clock, upload, 0, TAIL).status == (204 if hours < 24 else 404)


# -- pages -----------------------------------------------------------------------------------


def test_parts_come_in_order_50_a_page_with_a_marker_for_this_upload_only(
    server: RehearsalServer, clock: Clock
) -> None:
    upload, other = initiate(server, clock), initiate(server, clock)
    for number in range(51, -1, -1):
        assert put_part(server, clock, upload, number * MIB, TAIL).status == 204
    page = call(server, clock, "GET", upload).json
    assert [part["RangeInBytes"] for part in page["Parts"]] == [
        f"{number * MIB}-{number * MIB + 999}" for number in range(50)
    ]
    assert re.fullmatch(r"[A-Za-z0-9_-]{50}", page["Marker"])
    rest = call(server, clock, "GET", f"{upload}?limit=2&marker={page['Marker']}").json
    assert [part["RangeInBytes"] for part in rest["Parts"]] == [
        f"{number * MIB}-{number * MIB + 999}" for number in (50, 51)
    ]
    assert rest["Marker"] is None
    for marker in (page["Marker"][:-1], page["Marker"] + "A", "A" * 50, "%2A", "%C3%A9"):
        reply = call(server, clock, "GET", f"{upload}?marker={marker}")
        assert reply.said[:2] == (400, INVALID)
    reply = call(server, clock, "GET", f"{other}?marker={page['Marker']}")
    assert reply.said == (400, INVALID, f"Invalid marker: {page['Marker']}")


def test_boto3_pages_through_uploads_and_vaults(tmp_path: Path) -> None:
    with RehearsalServer(tmp_path) as server, closing(boto3_client(server)) as client:
        for number in range(25):
            server.store.create_vault(f"v{number:02}")
        made = {
            server.store.uploads.initiate("v00", part_size=MIB, description=None)
            for _ in range(101)
        }
        vaults = client.get_paginator("list_vaults").paginate(accountId="-").build_full_result()
        uploads = client.get_paginator("list_multipart_uploads").paginate(
            accountId="-", vaultName="v00"
        )
        found = [upload["MultipartUploadId"] for page in uploads for upload in page["UploadsList"]]
    names = [vault["VaultName"] for vault in vaults["VaultList"]]
    assert names == [f"v{number:02}" for number in range(25)]
    assert sorted(found) == sorted(made)


def boto3_client(server: RehearsalServer) -> GlacierClient:
    return boto3.client(
        "glacier",
        region_name=REGION,
        endpoint_url=server.endpoint_url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(retries={"total_max_attempts": 1}),
    )
