"""The table of faults: what a line may say, and the one message for one that is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.faults import (
    ALWAYS,
    Act,
    AnswerBare,
    CutAnswer,
    CutBeforeReading,
    CutInBody,
    EchoAnotherHash,
    Fault,
    LeaveHashOut,
    LoseAnswer,
    NeverAnswer,
    Refuse,
    RefuseEarly,
    Slow,
)
from glacier_mpu.rehearsal.table import KINDS, TableError, read_faults
from tests.support.wire_client import Clock, call, served

Write = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Write:
    """Write a table of these lines; an object is written as JSON."""

    def write(*lines: object) -> Path:
        path = tmp_path / "faults.txt"
        text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(text), encoding="utf-8")
        return path

    return write


def row(kind: str, **members: object) -> dict[str, object]:
    return {"call": "UploadMultipartPart", "kind": kind, **members}


ROWS: list[tuple[dict[str, object], Act]] = [
    (row("cut-before-reading"), CutBeforeReading()),
    (row("cut-in-body"), CutInBody(50)),
    (row("cut-in-body", percent=1), CutInBody(1)),
    (row("lose-answer"), LoseAnswer()),
    (row("cut-answer"), CutAnswer(50)),
    (row("cut-answer", percent=99), CutAnswer(99)),
    (row("never-answer"), NeverAnswer()),
    (row("slow", seconds=0.5), Slow(0.5, "after")),
    (row("slow", seconds=86400, when="before"), Slow(86400, "before")),
    (row("slow", seconds=1, when="after"), Slow(1, "after")),
    (row("leave-hash-out"), LeaveHashOut()),
    (row("echo-another-hash"), EchoAnotherHash()),
    (row("refuse", status=400, code="A", message="b"), Refuse(400, "A", "b")),
    (row("refuse-early", status=599, code="A"), RefuseEarly(599, "A")),
    (row("answer-bare", status=503), AnswerBare(503)),
]


def test_a_line_gives_a_fault_of_its_kind_with_the_kinds_own_members(table: Write) -> None:
    faults = read_faults(table(*(line for line, _ in ROWS)))
    assert [fault.act for fault in faults] == [act for _, act in ROWS]
    assert {line["kind"] for line, _ in ROWS} == set(KINDS)


def numbers(fault: Fault) -> tuple[str, int, int, tuple[int, ...]]:
    return fault.operation, fault.times, fault.after, tuple(fault.blocks)


def test_a_line_says_of_which_call_and_block_and_how_often(table: Write) -> None:
    faults = read_faults(
        table(
            row("lose-answer"),
            row("lose-answer", block=0, times=3, after=2),
            row("lose-answer", block=[0, 9999], times="always", after=0),
            {"kind": "lose-answer", "call": "ListParts"},
        )
    )
    assert list(map(numbers, faults)) == [
        ("UploadMultipartPart", 1, 0, ()),
        ("UploadMultipartPart", 3, 2, (0,)),
        ("UploadMultipartPart", ALWAYS, 0, (0, 9999)),
        ("ListParts", 1, 0, ()),
    ]


def test_empty_lines_remarks_and_the_marks_of_editors_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "faults"
    line = b'{"call": "ListParts", "kind": "lose-answer"}'
    path.write_bytes(b"\xef\xbb\xbf# a remark\r\n\r\n  # another\r\n  " + line + b"\r\n")
    (fault,) = read_faults(path)
    assert fault.act == LoseAnswer()


WRONG = {
    "no JSON": ('{"call":', "not a JSON object on one line"),
    "no object": ('["ListParts"]', "not a JSON object on one line"),
    "endless brackets": ("[" * 100_000, "not a JSON object on one line"),
    "an unknown kind": (row("explode"), "No kind is named 'explode'. Allowed: answer-bare, cut-a"),
    "a kind that is no name": (row("x") | {"kind": [1]}, "No kind is named [1]. Allowed: answer-"),
    "no kind": ({"call": "ListParts"}, "The member kind is missing. Allowed: answer-bare, cut-"),
    "an unknown call": (
        row("lose-answer") | {"call": "GetJob"},
        "No call is named 'GetJob'. Allowed: AbortMultipartUpload, Com",
    ),
    "no call": ({"kind": "lose-answer"}, "The member call is missing. Allowed: AbortMultipartU"),
    "an unknown member": (
        row("refuse", status=500, code="A", tims=1),
        "refuse has no member 'tims'. Allowed: call, kind, block, after, times, status, code, mess",
    ),
    "another kind's member": (row("lose-answer", percent=5), "lose-answer has no member 'percent'"),
    "a member twice": (
        '{"call": "ListParts", "kind": "slow", "seconds": 1, "seconds": 2}',
        "A member is given twice.",
    ),
    "no status": (row("refuse", code="A"), "refuse needs the member status."),
    "no code": (row("refuse", status=500), "refuse needs the member code."),
    "no seconds": (row("slow"), "slow needs the member seconds."),
    "a body where there is none": (
        row("cut-in-body") | {"call": "ListParts"},
        "cut-in-body is for these calls only: UploadArchive, UploadMultipartPart.",
    ),
    "an early refusal without a body": (
        row("refuse-early", status=500, code="A") | {"call": "CompleteMultipartUpload"},
        "refuse-early is for these calls only: UploadArchive, UploadMultipartPart.",
    ),
    "a hash where there is none": (
        row("leave-hash-out") | {"call": "ListParts"},
        "leave-hash-out is for these calls only: CompleteMultipartUpload, UploadArchive, Upl",
    ),
    "another hash where there is none": (
        row("echo-another-hash") | {"call": "ListParts"},
        "echo-another-hash is for these calls only: CompleteMultipartUpload, UploadArchive, Upl",
    ),
    "a block of no part": (
        {"call": "ListParts", "kind": "lose-answer", "block": 0},
        "block is for UploadMultipartPart only.",
    ),
}
NO_VALUES: list[tuple[str, str, list[object]]] = [
    ("lose-answer", "block", [-1, 10_000, 1.0, "1", [], [0, -1], [[0]], None, True]),
    ("lose-answer", "after", [-1, 0.5, "1", True, None]),
    ("lose-answer", "times", [0, -1, 1.5, "forever", True, None]),
    ("cut-answer", "percent", [0, 100, 5.5, "5", True, None]),
    ("slow", "seconds", [0, -1, 86_401, "1", True, None, float("nan")]),
    ("slow", "when", ["during", "", 1, None]),
    ("refuse", "status", [399, 600, "500", 500.0, None]),
    ("refuse", "code", ["", 5, None]),
    ("refuse", "message", ["", 5, None]),
]
NEEDED: dict[str, dict[str, object]] = {
    "slow": {"seconds": 1},
    "refuse": {"status": 500, "code": "A"},
}


@pytest.mark.parametrize(("line", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_line_is_refused_by_its_number_and_with_what_is_allowed_if_it_has(
    table: Write, line: object, says: str
) -> None:
    path = table("# a remark", row("lose-answer"), line)
    with pytest.raises(TableError) as refused:
        read_faults(path)
    assert f"{path}, line 3: " in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [(kind, name, value) for kind, name, values in NO_VALUES for value in values],
)
def test_a_value_is_refused_with_the_allowed_ones(
    table: Write, kind: str, name: str, value: object
) -> None:
    line = row(kind, **{**NEEDED.get(kind, {}), name: value})
    with pytest.raises(TableError) as refused:
        read_faults(table(line))
    assert f"line 1: {name} cannot be {json.dumps(value)}. Allowed: " in str(refused.value)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table").write_bytes(b"\xff\xfe{")
    with pytest.raises(TableError, match="table is not UTF-8"):
        read_faults(tmp_path / "table")


# -- the command -----------------------------------------------------------------------------


def test_the_command_carries_out_a_table(tmp_path: Path, table: Write) -> None:
    path = table({"call": "ListVaults", "kind": "answer-bare", "status": 502})
    with served(tmp_path / "vaults", "--faults", str(path)) as (endpoint, process):
        assert process.stdout is not None
        greeting = [process.stdout.readline() for _ in range(4)]
        clock = Clock.set_right()
        assert [call(endpoint, clock, "GET", "/-/vaults").status for _ in range(2)] == [502, 200]
    assert greeting[3].endswith(" faults:   1\n")


def test_the_command_ends_with_one_message_if_the_table_cannot_be_used(
    tmp_path: Path, table: Write
) -> None:
    wrong = table({"call": "ListVaults", "kind": "explode"})
    for path, says in [(wrong, "line 1: No kind is named 'explode'"), (tmp_path, str(tmp_path))]:
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "glacier_mpu.rehearsal"),
                *("--dir", str(tmp_path / "vaults"), "--faults", str(path)),
            ],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("error: the table of faults cannot be used: ")
        assert says in ended.stderr
        assert ended.stderr.count("\n") == 1
        assert not (tmp_path / "vaults").exists()
