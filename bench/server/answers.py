"""What Glacier would answer. Nothing is checked, and nothing but hashes is kept."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

_PAGE = 50
_ACCOUNT = "123456789012"
_CREATED = "2024-01-01T00:00:00.000Z"
_REASONS = {200: "OK", 201: "Created", 204: "No Content", 408: "Request Timeout", 404: "Not Found"}


@dataclass(slots=True)
class Upload:
    """An open upload: the hash of each stored part, by the offset of its first byte."""

    description: str
    part_size: int
    parts: dict[int, tuple[int, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Call:
    """The head of a request."""

    method: str
    path: list[str]
    query: dict[str, list[str]]
    headers: dict[str, str]

    @property
    def size(self) -> int:
        """Length of the body."""
        return int(self.headers.get("content-length", 0))

    @property
    def is_part(self) -> bool:
        """Tell whether the body is a part of an archive."""
        return "content-range" in self.headers


def parse(head: bytes) -> Call:
    """Read the head of a request."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    parts = urlsplit(target)
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Call(method, parts.path.strip("/").split("/"), parse_qs(parts.query), headers)


class Uploads:
    """The open uploads. Safe to use from several threads."""

    def __init__(self) -> None:
        self._uploads: dict[str, Upload] = {}
        self._lock = threading.Lock()

    def claim(self, parts: int, size: int) -> str:
        """Claim to hold an upload of so many parts."""
        upload = Upload("claimed", size)
        upload.parts = {n * size: (size, f"{n:064x}") for n in range(parts)}
        return self._add(upload)

    def answer(self, call: Call) -> bytes:
        """Return the answer to a call whose body has been read."""
        with self._lock:
            return self._answer(call)

    def _add(self, upload: Upload) -> str:
        upload_id = "u" + secrets.token_urlsafe(68)
        self._uploads[upload_id] = upload
        return upload_id

    def _answer(self, call: Call) -> bytes:
        named = call.path[4] if len(call.path) > 4 else ""
        upload = self._uploads.get(named)
        if not named:
            return self._begin(call) if call.method == "POST" else self._list_uploads()
        if upload is None:
            return respond(404, body=_error("ResourceNotFoundException", "no such upload"))
        if call.method == "PUT":
            return _store(upload, call)
        if call.method == "GET":
            return _list_parts(named, upload, call)
        del self._uploads[named]
        return respond(204) if call.method == "DELETE" else _completed(call)

    def _begin(self, call: Call) -> bytes:
        if "x-amz-part-size" not in call.headers:
            return _completed(call)  # a whole archive in one call
        upload = Upload(
            call.headers.get("x-amz-archive-description", ""), int(call.headers["x-amz-part-size"])
        )
        upload_id = self._add(upload)
        location = f"/{_ACCOUNT}/vaults/bench/multipart-uploads/{upload_id}"
        headers = {"x-amz-multipart-upload-id": upload_id, "Location": location}
        return respond(201, headers=headers, body=b"{}")

    def _list_uploads(self) -> bytes:
        found = [_told(upload_id, upload) for upload_id, upload in self._uploads.items()]
        return respond(200, body=json.dumps({"Marker": None, "UploadsList": found}).encode())


def respond(
    status: int, *, headers: dict[str, str] | None = None, body: bytes = b"", close: bool = False
) -> bytes:
    """Write an answer."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", "x-amzn-RequestId: bench"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if status != 204:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def timed_out(*, close: bool) -> bytes:
    """Return what Glacier answers to a part when it has had enough of them."""
    body = _error("RequestTimeoutException", "Request timed out.")
    return respond(408, body=body, close=close)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"code": code, "message": message, "type": "Client"}).encode()


def _store(upload: Upload, call: Call) -> bytes:
    span = call.headers["content-range"].removeprefix("bytes ").partition("/")[0]
    first, _, last = span.partition("-")
    tree_hash = call.headers.get("x-amz-sha256-tree-hash", "")
    upload.parts[int(first)] = (int(last) - int(first) + 1, tree_hash)
    return respond(204, headers={"x-amz-sha256-tree-hash": tree_hash})


def _completed(call: Call) -> bytes:
    archive_id = secrets.token_urlsafe(103)
    headers = {
        "x-amz-archive-id": archive_id,
        "x-amz-sha256-tree-hash": call.headers.get("x-amz-sha256-tree-hash", ""),
        "Location": f"/{_ACCOUNT}/vaults/bench/archives/{archive_id}",
    }
    return respond(201, headers=headers, body=b"{}")


def _list_parts(upload_id: str, upload: Upload, call: Call) -> bytes:
    start = int(call.query.get("marker", ["0"])[0])
    offsets = sorted(offset for offset in upload.parts if offset >= start)
    page, rest = offsets[:_PAGE], offsets[_PAGE:]
    parts = []
    for offset in page:
        size, tree_hash = upload.parts[offset]
        last = offset + size - 1
        parts.append({"RangeInBytes": f"{offset}-{last}", "SHA256TreeHash": tree_hash})
    told = {**_told(upload_id, upload), "Marker": str(rest[0]) if rest else None, "Parts": parts}
    return respond(200, body=json.dumps(told).encode())


def _told(upload_id: str, upload: Upload) -> dict[str, object]:
    return {
        "MultipartUploadId": upload_id,
        "ArchiveDescription": upload.description,
        "PartSizeInBytes": upload.part_size,
        "CreationDate": _CREATED,
        "VaultARN": f"arn:aws:glacier:us-east-1:{_ACCOUNT}:vaults/bench",
    }
