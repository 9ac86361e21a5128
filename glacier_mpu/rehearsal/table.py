"""Reads a table of faults: a file with a JSON object a line, for `--faults FILE`.

    {"call": "UploadMultipartPart", "block": 2, "kind": "refuse", "status": 503, "code": "Busy"}

Empty lines and lines that begin with # are skipped. docs/rehearsal.md explains the members.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from glacier_mpu.rehearsal import faults
from glacier_mpu.rehearsal.faults import ALWAYS, Fault
from glacier_mpu.rehearsal.wire import OPERATIONS, WITH_BODY

KINDS: dict[str, type[Any]] = {  # each makes an Act
    "cut-before-reading": faults.CutBeforeReading,
    "cut-in-body": faults.CutInBody,
    "lose-answer": faults.LoseAnswer,
    "cut-answer": faults.CutAnswer,
    "never-answer": faults.NeverAnswer,
    "slow": faults.Slow,
    "leave-hash-out": faults.LeaveHashOut,
    "echo-another-hash": faults.EchoAnotherHash,
    "refuse": faults.Refuse,
    "refuse-early": faults.RefuseEarly,
    "answer-bare": faults.AnswerBare,
}
_WITH_HASH = {*WITH_BODY, "CompleteMultipartUpload"}
_ONLY_FOR: dict[str, Collection[str]] = {
    "cut-in-body": WITH_BODY,
    "refuse-early": WITH_BODY,
    "leave-hash-out": _WITH_HASH,
    "echo-another-hash": _WITH_HASH,
}
_COMMON = {"block": "blocks", "after": "after", "times": "times"}  # members of Fault
_LONGEST_SECONDS = 86_400


class TableError(Exception):
    """A line of the table is wrong. The message names the file, the line and what is allowed."""


class _WrongLineError(Exception):
    """What is wrong with a line, and what is allowed."""


def read_faults(path: Path) -> list[Fault]:
    """The faults of a file, in its order. Raises OSError and TableError."""
    found = []
    try:
        text = path.read_text(encoding="utf-8-sig")  # an editor may have begun it with a mark
    except UnicodeDecodeError:
        raise TableError(f"{path} is not UTF-8.") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                found.append(_fault(line))
            except _WrongLineError as error:
                raise TableError(f"{path}, line {number}: {error}") from None
    return found


def _fault(line: str) -> Fault:
    row = _row(line)
    call, kind = _chosen(row, "call", OPERATIONS), _chosen(row, "kind", KINDS)
    if call not in _ONLY_FOR.get(kind, OPERATIONS):
        raise _WrongLineError(f"{kind} is for these calls only: {_listed(_ONLY_FOR[kind])}.")
    if "block" in row and call != "UploadMultipartPart":
        raise _WrongLineError("block is for UploadMultipartPart only.")
    act = KINDS[kind](**_own_members(row, kind))
    common = {field: _read(row, name) for name, field in _COMMON.items() if name in row}
    return Fault(call, act, **common)


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        row = None
    if isinstance(row, dict):
        return row
    example = '{"call": "ListParts", "kind": "lose-answer"}'
    raise _WrongLineError(f"This is not a JSON object on one line, such as {example}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a member that is given twice, of which json would keep the last."""
    row = dict(pairs)
    if len(row) < len(pairs):
        raise _WrongLineError("A member is given twice.")
    return row


def _chosen(row: dict[str, Any], name: str, allowed: Collection[str]) -> str:
    value = row.get(name)
    if isinstance(value, str) and value in allowed:
        return value
    wrong = f"No {name} is named {value!r}" if name in row else f"The member {name} is missing"
    raise _WrongLineError(f"{wrong}. Allowed: {_listed(allowed)}.")


def _own_members(row: dict[str, Any], kind: str) -> dict[str, Any]:
    """The members that only this kind has, read. Refuses unknown and missing ones."""
    own = {member.name: member.default is MISSING for member in fields(KINDS[kind])}
    allowed = ["call", "kind", *_COMMON, *own]
    for name in row:
        if name not in allowed:
            raise _WrongLineError(f"{kind} has no member {name!r}. Allowed: {', '.join(allowed)}.")
    for name, required in own.items():
        if required and name not in row:
            raise _WrongLineError(f"{kind} needs the member {name}.")
    return {name: _read(row, name) for name in own if name in row}


def _read(row: dict[str, Any], name: str) -> Any:
    reader, allowed = _READERS[name]
    value = reader(row[name])
    if value is None:
        raise _WrongLineError(f"{name} cannot be {json.dumps(row[name])}. Allowed: {allowed}.")
    return value


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


# -- readers of one value: None if it is not allowed -----------------------------------------


def _whole(least: int, most: int) -> Callable[[Any], int | None]:
    def read(value: Any) -> int | None:
        return value if type(value) is int and least <= value <= most else None  # True is an int

    return read


def _seconds(value: Any) -> float | None:
    return value if type(value) in (int, float) and 0 < value <= _LONGEST_SECONDS else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _when(value: Any) -> str | None:
    return value if value in ("before", "after") else None


def _times(value: Any) -> int | None:
    return ALWAYS if value == "always" else _whole(1, ALWAYS)(value)


def _blocks(value: Any) -> tuple[int, ...] | None:
    numbers = value if isinstance(value, list) else [value]
    is_block = _whole(0, 9_999)
    right = numbers and all(is_block(number) is not None for number in numbers)
    return tuple(numbers) if right else None


_READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "block": (_blocks, "0 to 9999, or a list of such numbers"),
    "after": (_whole(0, ALWAYS), "a whole number from 0"),
    "times": (_times, 'a whole number from 1, or "always"'),
    "percent": (_whole(1, 99), "a whole number from 1 to 99"),
    "seconds": (_seconds, f"a number over 0, up to {_LONGEST_SECONDS}"),
    "when": (_when, '"before" or "after" the work'),
    "status": (_whole(400, 599), "a whole number from 400 to 599"),
    "code": (_text, "a text"),
    "message": (_text, "a text"),
}
