"""Calls, answers and refusals as values, and how a request is parsed into a call.

No socket or file is read here. Where the service's text is not known, a comment says "our
wording".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import unquote

ACCOUNT_ID = "000000000000"
# mt-aws-glacier refuses keys that have not 20 and 40 characters of AWS's alphabets. The first has
# none of AWS's prefixes, by which scanners for leaked secrets find keys.
ACCESS_KEY = "REHEARSALONLYKEY0000"
SECRET_KEY = "rehearsal/only/this/key/opens/nothing/00"  # noqa: S105
REGION = "us-east-1"
MIB = 1024 * 1024

VAULT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")
DECIMAL = re.compile(r"[0-9]{1,18}")
_PATH = re.compile(
    r"/(?P<account>[^/]+)/vaults"
    r"(?:/(?P<vault>[^/]+)(?:/(?P<shelf>archives|multipart-uploads)(?:/(?P<item>[^/]+))?)?)?"
)
# The characters that a request target may have. botocore's signer cuts or recodes any other
# ("#", raw UTF-8), so that the path that is served would not be the path that was signed.
_TARGET = re.compile(r"/[!$-~]*")

_OPERATIONS = {
    "GET vaults": "ListVaults",
    "PUT vault": "CreateVault",
    "GET vault": "DescribeVault",
    "DELETE vault": "DeleteVault",
    "POST archives": "UploadArchive",
    "DELETE archives item": "DeleteArchive",
    "POST multipart-uploads": "InitiateMultipartUpload",
    "GET multipart-uploads": "ListMultipartUploads",
    "PUT multipart-uploads item": "UploadMultipartPart",
    "GET multipart-uploads item": "ListParts",
    "POST multipart-uploads item": "CompleteMultipartUpload",
    "DELETE multipart-uploads item": "AbortMultipartUpload",
}
OPERATIONS = frozenset(_OPERATIONS.values())
WITH_BODY = frozenset({"UploadArchive", "UploadMultipartPart"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the operation that it asks for, and its target and headers.

    operation is the name in AWS's model ("UploadMultipartPart"), or "" if the path has none.
    path is as sent, still percent-encoded; vault, upload_id and archive_id are decoded and
    not checked. headers have lower-case names; repeated ones are joined by a comma, so that
    a doubled Content-Range is one malformed value instead of a choice between two.
    body_size is None when Content-Length is missing or malformed.
    """

    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body_size: int | None
    account: str = ""
    vault: str = ""
    upload_id: str = ""
    archive_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, without the headers that every response has (Date, x-amzn-RequestId)."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Refusal(Exception):
    """An error answer: status, code, message, and the layer of the service that gives it.

    The layer decides the order of the members in the body, as recorded from the service:
    code, message, type from "service"; message, code, type from "auth".
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        layer: Literal["service", "auth"] = "service",
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.layer = layer

    def answer(self) -> Answer:
        """The answer that tells the client."""
        members = {"code": self.code, "message": self.message}
        if self.layer == "auth":
            members = {"message": self.message, "code": self.code}
        return json_answer(
            self.status, members | {"type": "Client" if self.status < 500 else "Server"}
        )


def invalid(message: str) -> Refusal:
    """400 InvalidParameterValueException."""
    return Refusal(400, "InvalidParameterValueException", message)


def missing(parameter: str) -> Refusal:
    """400 MissingParameterValueException, in the pattern recorded for "API version"."""
    return Refusal(
        400, "MissingParameterValueException", f"Required parameter missing: {parameter}"
    )


def not_found(message: str) -> Refusal:
    """404 ResourceNotFoundException."""
    return Refusal(404, "ResourceNotFoundException", message)


def unavailable(message: str) -> Refusal:
    """500 ServiceUnavailableException: the call may succeed when it is repeated."""
    return Refusal(500, "ServiceUnavailableException", message)


def json_answer(status: int, members: Mapping[str, Any], **headers: str) -> Answer:
    """A compact JSON answer that includes null members, like the service's."""
    body = json.dumps(members, separators=(",", ":")).encode("ascii")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {**named, "Content-Type": "application/json"}, body)


def vault_arn(name: str) -> str:
    """The ARN of a vault of the rehearsal account."""
    return f"arn:aws:glacier:{REGION}:{ACCOUNT_ID}:vaults/{name}"


def read_call(method: str, target: str, headers: list[tuple[str, str]]) -> Call:
    """Parse a request. Refuses nothing: the checks come later, in the service's order."""
    joined: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        value = value.strip(" \t\r\n")
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    path, _, query = target.partition("?")
    length = joined.get("content-length", "")
    call = Call(
        operation="",
        method=method,
        path=path,
        query=tuple(_pair(item) for item in query.split("&") if item),
        headers=joined,
        body_size=int(length) if DECIMAL.fullmatch(length) else None,
    )
    found = _PATH.fullmatch(path)
    return _routed(call, found) if found and _TARGET.fullmatch(target) else call


def _pair(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return unquote(name), unquote(value)


def _routed(call: Call, found: re.Match[str]) -> Call:
    account, vault, shelf, item = (unquote(part) if part else "" for part in found.groups())
    place = shelf or ("vault" if vault else "vaults")
    return replace(
        call,
        operation=_OPERATIONS.get(f"{call.method} {place}{' item' if item else ''}", ""),
        account=account,
        vault=vault,
        upload_id=item if shelf == "multipart-uploads" else "",
        archive_id=item if shelf == "archives" else "",
    )
