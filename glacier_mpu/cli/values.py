"""What the value of each flag may be. Pure: each function reads a text, or raises ValueError."""

from __future__ import annotations

import os
import re
from urllib.parse import quote_from_bytes, urlsplit

from glacier_mpu.errors import quoted
from glacier_mpu.source.blocks import LARGEST_FILE, MIB, is_block_size, nearest_block_sizes

LONGEST_DESCRIPTION = 1024
STREAM_DESCRIPTION = "Archive from a stream"
AUTO = 0
NO_LEDGER = ""
MOST_THREADS = 1000
_PRINTABLE_ASCII = "".join(map(chr, range(0x20, 0x7F)))
_BYTES_IN = {
    "bit": 1 / 8,
    "kbit": 1e3 / 8,
    "kbps": 1e3 / 8,
    "Mbit": 1e6 / 8,
    "Mbps": 1e6 / 8,
    "Gbit": 1e9 / 8,
    "Gbps": 1e9 / 8,
    "B": 1,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
_MIB_IN = {"": 1, "MiB": 1, "GiB": 1024}
_SIZE_OF = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}


def default_description(source_path: str) -> str:
    """Return the description of an archive for which none was given.

    The path's printable ASCII characters stay as they are, the bytes of all others are
    percent-encoded, and the whole is cut to what Glacier takes.
    """
    path = quote_from_bytes(os.fsencode(source_path), safe=_PRINTABLE_ASCII)
    return f"Archive for {path}"[:LONGEST_DESCRIPTION]


def threads(text: str) -> int:
    """Read how many blocks are sent at once; `auto` is AUTO."""
    if text == "auto":
        return AUTO
    count = _whole_number(text)
    if not 1 <= count <= MOST_THREADS:
        raise ValueError(f"{text!r} is neither a number from 1 to {MOST_THREADS:,} nor auto")
    return count


def block_number(text: str) -> int:
    """Read a block's number; whether there is such a block depends on the file."""
    return _whole_number(text)


def vault(text: str) -> str:
    """Read a vault's name."""
    wrong = re.search(r"[^A-Za-z0-9_.-]", text)
    if wrong:
        raise ValueError(
            f"a vault's name cannot contain {quoted(wrong.group())}, only A-Z a-z 0-9 _ . -"
        )
    if not 1 <= len(text) <= 255:
        raise ValueError(f"a vault's name has 1 to 255 characters, and this has {len(text)}")
    return text


def comment(text: str) -> str:
    """Read an archive description."""
    for position, character in enumerate(text, start=1):
        if character not in _PRINTABLE_ASCII:
            raise ValueError(
                f"character {position} is {character!r}, and Glacier takes only printable ASCII"
            )
    if len(text) > LONGEST_DESCRIPTION:
        raise ValueError(
            f"{len(text):,} characters are more than the {LONGEST_DESCRIPTION:,} that Glacier takes"
        )
    return text


def upload_id(text: str) -> str:
    """Read an upload id."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise ValueError(f"{text!r} is not a valid upload id, which contains only A-Z a-z 0-9 _ -")
    return text


def blocksize(text: str) -> int:
    """Read a block size such as 16, 16MiB or 1GiB, in MiB if it says no unit; return it in bytes.

    MB is refused: it is 1,000,000 in a rate, and no block has a multiple of that.
    """
    match = re.fullmatch(r"(-?\d{1,18})( ?[A-Za-z]*)", text, re.ASCII)
    unit = match[2].strip() if match else "?"
    if match is None or unit not in _MIB_IN:
        example = match[1] if match and unit.upper() in ("M", "MB") else "16"
        raise ValueError(
            f"{text[:40]!r} is not a valid block size; write it in MiB, such as {example}"
        )
    mib = int(match[1]) * _MIB_IN[unit]
    block_size = mib * MIB
    if not is_block_size(block_size):
        below, above = nearest_block_sizes(mib)
        raise ValueError(
            f"{mib} MiB is not a power of two from 1 to 4096; the nearest are {below} and {above}"
        )
    return block_size


def size(text: str) -> int:
    """Read the size of an archive such as 8TB, 500 GiB or 12345, and return it in bytes."""
    match = re.fullmatch(r"(\d{1,18})(?:\.(\d{1,9}))? ?([A-Za-z]*)", text, re.ASCII)
    if match is None or match[3] not in _SIZE_OF or (match[2] and match[3] in ("", "B")):
        raise ValueError(f"{text[:40]!r} is not a size; write it as 8TB, 500GiB or 12345 (bytes)")
    whole, fraction = match[1], match[2] or ""
    size = int(int(whole + fraction) * _SIZE_OF[match[3]] // 10 ** len(fraction))
    if not 1 <= size <= LARGEST_FILE:
        raise ValueError(f"{text[:40]!r} is not from 1 to {LARGEST_FILE:,} bytes, as archives are")
    return size


def command(text: str) -> str:
    """Read a line for the shell."""
    if not text.strip():
        raise ValueError("there is no command in it")
    return text


def true_or_false(text: str) -> bool:
    """Read True or False, in any case."""
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither True nor False")
    return text.lower() == "true"


def rate(text: str) -> int:
    """Read a rate such as 50Mbit or 6MB, and return it in bytes a second, at least 1."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([A-Za-z]+)(?:/s)?", text, re.ASCII)
    size = float(match[1]) * _BYTES_IN.get(match[2], 0) if match else 0
    if size < 1:
        raise ValueError(
            f"{text[:40]!r} is not a valid rate; write it as 50Mbit, 6MB or 500kB (per second)"
        )
    return int(size)


def ledger(text: str) -> str:
    """Read the folder of the ledger; `none` is NO_LEDGER."""
    if not text:
        raise ValueError("'' is neither a folder nor none")
    return NO_LEDGER if text == "none" else text


def url(text: str) -> str:
    """Read the URL of a service."""
    if "@" in text:  # not repeated: what stands before it may be a password
        raise ValueError("the URL must not contain a user name or a password")
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # the port or the IPv6 address is malformed
        fits = False
    if not fits:
        raise ValueError(f"{text!r} is not a URL such as https://host:port")
    return text


def account_id(text: str) -> str:
    """Read an account's number, or the hyphen that stands for one's own."""
    if not re.fullmatch(r"-|\d{12}", text, re.ASCII):
        raise ValueError(f"{text!r} is neither 12 digits nor - for your own account")
    return text


def minutes(text: str) -> float:
    """Read a number of minutes."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < float("inf"):
        raise ValueError(f"{text!r} is not a number of minutes, 0 or more")
    return minutes


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise ValueError(f"{text[:40]!r} is not a whole number")
    return int(text)
