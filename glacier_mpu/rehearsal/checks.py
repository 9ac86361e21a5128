"""Checks of what a call carries: headers, range, part size, pages. They raise Refusal.

Where the service's text is not known the wording is ours, in the pattern of the known ones.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256

from glacier_mpu.rehearsal.wire import DECIMAL, MIB, Call, invalid, missing

MIN_PART_SIZE = MIB
MAX_PART_SIZE = 4096 * MIB
MAX_PARTS = 10_000
MAX_DESCRIPTION = 1_024
_TREE_HASH = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/(\*|[0-9]{1,18})")


def header(call: Call, name: str) -> str:
    """A header that the operation requires."""
    value = call.headers.get(name.lower(), "")
    if not value:
        raise missing(name)
    return value


def query(call: Call, name: str) -> str:
    """A query parameter, "" if it is absent. One that is given twice is refused."""
    values = [value for key, value in call.query if key == name]
    if len(values) > 1:
        raise invalid(f"Invalid {name}: {','.join(values)}")
    return values[0] if values else ""


def tree_hash(call: Call) -> str:
    """The tree hash of a body that is still to come, in lower-case hex."""
    text = header(call, "x-amz-sha256-tree-hash")
    if not _TREE_HASH.fullmatch(text):
        raise invalid(f"Invalid x-amz-sha256-tree-hash: {text}")
    return text


def limit(call: Call, *, most: int, refuse_more: bool = True) -> int:
    """How many items a page may have: 1 to `most`, which is also the default.

    refuse_more=False: a larger limit is no error, and means `most`.
    """
    if all(name != "limit" for name, _ in call.query):
        return most
    text = query(call, "limit")
    wanted = int(text) if DECIMAL.fullmatch(text) else 0
    if wanted < 1 or (refuse_more and wanted > most):
        raise invalid(f"Invalid limit: {text}. Limit must be between 1 and {most}.")
    return min(wanted, most)


def body_size(call: Call) -> int:
    """Content-Length. The documentation contradicts itself; here it is required."""
    if call.body_size is None:
        raise missing("Content-Length")
    return call.body_size


def part_size(call: Call) -> int:
    """The part size of a new upload in bytes: 2^n MiB, 1 MiB to 4 GiB."""
    text = call.headers.get("x-amz-part-size", "null")
    size = int(text) if DECIMAL.fullmatch(text) else 0
    if not MIN_PART_SIZE <= size <= MAX_PART_SIZE or size & (size - 1):
        raise invalid(
            f"Invalid part size: {text}. Part size must not be null, must be a power of two "
            f"and be between {MIN_PART_SIZE} and {MAX_PART_SIZE} bytes."
        )
    return size


def description(call: Call) -> str | None:
    """The archive description. `read_call` has removed spaces at its ends, as the service does."""
    text = call.headers.get("x-amz-archive-description")
    if text is None:
        return None
    if len(text) > MAX_DESCRIPTION:
        raise invalid(f"Invalid archive description: longer than {MAX_DESCRIPTION} characters.")
    if not all(" " <= character <= "~" for character in text):
        raise invalid("Invalid archive description: only characters 0x20 to 0x7E are allowed.")
    return text


def span(call: Call, part_size: int) -> tuple[int, int]:
    """First byte and size of a part, if its headers agree with each other and with the upload."""
    text = header(call, "Content-Range")
    size = body_size(call)
    found = _RANGE.fullmatch(text)
    if not found:
        raise invalid(f"Invalid Content-Range: {text}")
    first, last = int(found[1]), int(found[2])
    # A total instead of * is accepted, because a public tool sends it, but not a too small one.
    if last < first or (found[3] != "*" and int(found[3]) <= last):
        raise invalid(f"Invalid Content-Range: {text}")
    if last - first + 1 != size:
        raise invalid(f"Content-Range: {text} is incompatible with Content-Length: {size}")
    if size > part_size or first % part_size:
        raise invalid(f"Content-Range: {text} is incompatible with part size: {part_size}")
    number = first // part_size + 1
    if number > MAX_PARTS:
        raise invalid(
            f"This is part number {number} for the current multipart upload. "
            f"It exceeds the limit of {MAX_PARTS} parts."
        )
    return first, size


def parts_marker(upload_id: str, first: int) -> str:
    """The first byte of the next page as 50 opaque characters, valid for this upload only."""
    start = first.to_bytes(8, "big")
    seal = sha256(start + upload_id.encode()).digest()[:29]
    return base64.urlsafe_b64encode(start + seal).decode().rstrip("=")


def parts_start(call: Call) -> int:
    """The first byte of the parts on a ListParts page, from a marker made for this upload."""
    marker = query(call, "marker")
    if not marker:
        return 0
    try:
        start = int.from_bytes(base64.urlsafe_b64decode(marker + "==")[:8], "big")
    except ValueError:
        start = -1
    if start < 0 or marker != parts_marker(call.upload_id, start):
        raise invalid(f"Invalid marker: {marker}")
    return start
