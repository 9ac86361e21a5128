"""The words for what happens: every event has some, and the facts are in them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import get_args

import pytest

from glacier_mpu.cli.figures import as_duration, as_size
from glacier_mpu.cli.words import as_text, begin_lines
from glacier_mpu.errors import BlockSizeMismatch, SourceUnreadable, SpoolFull
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.transfer import stream_events
from glacier_mpu.transfer.bandwidth import BandwidthChanged, Entry
from glacier_mpu.transfer.deadline import StopAfter, StopAt, WindingDown
from glacier_mpu.transfer.events import (
    AbortFailed,
    Amount,
    BlockDiffers,
    BlockFailed,
    BlockMatches,
    BlocksBegin,
    BlockSent,
    BlockSizeRaised,
    CandidateRejected,
    Completing,
    Connected,
    DescriptionKept,
    Event,
    KnownBlocks,
    LedgerUnusable,
    MissingBlocks,
    NothingToResume,
    OtherUpload,
    Resuming,
    TryingAgain,
    UploadOpened,
)
from glacier_mpu.transfer.pacing import Measured, Settled, SlowedDown
from glacier_mpu.vault.answers import OpenUpload, StoredPart
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.errors import CredentialsExpired, ServerError, TransientError, Unreachable
from glacier_mpu.vault.outage import Outage, OutageOver
from glacier_mpu.vault.regions import UnknownRegion
from glacier_mpu.vault.retry import Retry

BLOCK = Block(number=7, offset=7 * MIB, size=MIB)
UPLOAD = OpenUpload("an-id", "mine", MIB, datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc))
RESUMING = Resuming(UPLOAD, stored=2, count=1500, compared=2, matching=2)
AMONG = Resuming(UPLOAD, stored=2, count=5, among=3, compared=8, matching=6)
BUSY = ServerError("HTTP 503: busy", status=503)
UNTIL = datetime(2026, 11, 24, 6, 34)

FACTS: list[tuple[Event, list[str]]] = [
    (
        UnknownRegion("eu-west-9", "eu-west-1"),
        ["warning: ", "eu-west-9 (the nearest is eu-west-1); trying"],
    ),
    (UnknownRegion("nz-north-1", ""), ["warning", "nz-north-1; trying it anyway"]),
    (Connected("http://glacier.example"), ["warning", "unencrypted", "http://glacier.example"]),
    (BlockSizeRaised(256 * MIB), ["10,000 blocks of 128 MiB", "256 MiB"]),
    (
        CandidateRejected("an-id", error=BlockSizeMismatch("blocks of 1 MiB")),
        ["an-id", "1 MiB"],
    ),
    (CandidateRejected("an-id", compared=8), ["an-id", "none of the 8 blocks"]),
    (CandidateRejected("an-id", compared=1), ["an-id", "the block that was compared is not"]),
    (NothingToResume("mine"), ["'mine'", "new"]),
    (
        OtherUpload(UPLOAD, stored=2, count=5),
        [
            "warning: ",
            "'mine'",
            "seems to be of this file, and holds 2 of 5 blocks",
            "give --upload-id=an-id instead",
        ],
    ),
    (OtherUpload(UPLOAD, stored=2, count=5, more=4), ["an-id", "(4 more like it)"]),
    (RESUMING, ["resuming upload an-id, begun ", ": 2 of 1,500 blocks stored"]),
    (AMONG, ["2 of 5 blocks", "of 3 open uploads", "6 of 8"]),
    (DescriptionKept("theirs"), ["'theirs'"]),
    (UploadOpened("an-id", Plan(MIB, MIB), range(1)), ["upload-id: an-id"]),
    (Completing(), ["completing the upload"]),
    (MissingBlocks([0], 1), ["1 of 1 block left (0)"]),
    (MissingBlocks(range(15, 72), 72), ["57 of 72 blocks left (15-71)"]),
    (MissingBlocks([1, 4, 5], 1500), ["3 of 1,500 blocks left (1, 4-5)"]),
    (
        KnownBlocks([0, 1, 2, 7], 4 * MIB),
        ["already stored, according to the ledger: blocks 0-2, 7, 4.0 MiB; not read again"],
    ),
    (LedgerUnusable("/srv/l", "No space left"), ["warning", "'/srv/l'", "No space left", "again"]),
    (BlockSent(BLOCK), ["block 7 is stored"]),
    (BlockMatches(BLOCK), ["block 7 is already stored"]),
    (BlockDiffers(BLOCK, StoredPart(5, b"")), ["block 7 differs", "5 bytes", "1,048,576"]),
    (
        BlockDiffers(BLOCK, StoredPart(MIB, b"\1" * 32), b"\2" * 32),
        ["block 7 differs", "01" * 32, "02" * 32],
    ),
    (BlockFailed(BLOCK, SourceUnreadable("EIO")), ["warning: block 7 failed: EIO"]),
    (AbortFailed(BUSY), ["warning: ", "could not be aborted", "stays open: HTTP 503: busy"]),
    (Measured(3, 5 * MIB), ["auto: measured 5.0 MiB/s with 3 blocks"]),
    (Settled(1, 5 * MIB), ["auto: settled on 1 block at once, 5.0 MiB/s"]),
    (Settled(4, 5 * MIB), ["auto: settled on 4 blocks at once"]),
    (SlowedDown(met=6, slots=3), ["auto: too many blocks at once (6); going on with 3"]),
    (BandwidthChanged(Entry(480, 10**6), at_start=False), ["bandwidth: 1 MB/s from 08:00"]),
    (BandwidthChanged(Entry(1140, None), at_start=False), ["bandwidth: no limit from 19:00"]),
    (
        BandwidthChanged(Entry(6 * 1440 + 5, 512_000), at_start=True),
        ["bandwidth: 512 kB/s since Sun 00:05"],
    ),
    (
        WindingDown(StopAt(datetime(2026, 11, 24, 7)), 3),
        ["stopping at 07:00: 3 blocks on their way are finished first"],
    ),
    (WindingDown(StopAfter(5400), 1), ["after 1:30:00: 1 block on its way is finished first"]),
    (WindingDown(StopAfter(5400), 0), ["stopping after 1:30:00"]),
    (
        Retry("send_block", BUSY, 12.4, 7),
        ["warning: could not send block 7: HTTP 503: busy; retrying in 12 s"],
    ),
    (
        Outage(Unreachable("refused", code="EndpointConnectionError"), UNTIL),
        ["warning: no connection (refused); retrying until 06:34"],
    ),
    (
        Outage(Unreachable("proxy nonsense: name not known", code="ProxyConnectionError"), UNTIL),
        ["proxy nonsense: name not known", "HTTPS_PROXY; retrying until 06:34"],
    ),
    (Outage(BUSY, UNTIL), ["HTTP 503: busy; retrying until 06:34"]),
    (
        Outage(CredentialsExpired("ExpiredToken: late", status=403, profile="work"), UNTIL),
        ["ExpiredToken: late", "new ones until 06:34", "renew", "aws sso login --profile work"],
    ),
    (Outage(SourceUnreadable("cannot read"), UNTIL), ["cannot read; retrying until 06:34"]),
    (OutageOver(BUSY, 305), ["calls get through again after 0:05:05"]),
    (OutageOver(SourceUnreadable("EIO"), 5), ["the file can be read again after 0:00:05"]),
    (OutageOver(CredentialsExpired("late"), 5), ["credentials are accepted again"]),
    (OutageOver(SpoolFull("no room"), 5), ["there is room in the spool again after 0:00:05"]),
    (Outage(SpoolFull("cannot write"), UNTIL), ["cannot write; retrying until 06:34"]),
    (Outage(BUSY, UNTIL, 305), ["HTTP 503: busy; retrying until 06:34 (0:05:05 so far)"]),
    (Outage(TransientError("no sense"), UNTIL), ["no sense; retrying until 06:34"]),
    (
        Retry("read_block", SourceUnreadable("cannot read block 7"), 0.2, 7),
        ["warning: cannot read block 7; retrying now"],
    ),
    (TryingAgain([2, 5, 6]), ["blocks 2, 5-6", "once more"]),
    (Retry("complete", BUSY, 0.2), ["complete the upload", "retrying now"]),
]


@pytest.mark.parametrize(("event", "facts"), FACTS, ids=[type(row[0]).__name__ for row in FACTS])
def test_the_facts_of_an_event_are_in_its_line(event: Event, facts: list[str]) -> None:
    text = as_text(event)
    assert [fact for fact in facts if fact not in text] == []
    assert "\n" not in text


def test_an_upload_that_is_resumed_is_named_once() -> None:
    assert as_text(UploadOpened("an-id", Plan(MIB, MIB), range(1), is_new=False)) == ""


def test_when_an_upload_was_begun_is_told_by_this_machines_time(in_india: None) -> None:
    assert "begun 2026-01-02 08:34: " in as_text(RESUMING)


def test_every_event_has_words() -> None:
    of_streams = {kind for kind in get_args(Event) if kind.__module__ == stream_events.__name__}
    assert {type(event) for event, _ in FACTS} == set(get_args(Event)) - {BlocksBegin} - of_streams


@pytest.mark.parametrize(
    "url",
    [
        "https://glacier.eu-west-1.amazonaws.com",
        "http://127.0.0.1:8080",
        "http://[::1]:9",
        "http://localhost:9",
    ],
)
def test_an_encrypted_connection_or_one_within_this_machine_is_not_warned_of(url: str) -> None:
    assert as_text(Connected(url)) == ""


CALLS = {
    "initiate": "start the upload",
    "send_block": "send block",
    "list_parts": "list the stored blocks",
    "list_uploads": "list the open uploads",
    "complete": "complete the upload",
    "abort": "abort the upload",
}


@pytest.mark.parametrize(("call", "words"), CALLS.items(), ids=CALLS)
def test_each_call_of_the_vault_has_words(call: str, words: str) -> None:
    assert callable(getattr(Vault, call))
    assert f"could not {words}: " in as_text(Retry(call, BUSY, 1))


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (
            BlocksBegin(Amount(57, 57 * 128 * MIB), Amount(15, 15 * 128 * MIB)),
            ["sending 57 blocks, 7.1 GiB", "comparing 15 stored blocks with the file, 1.9 GiB"],
        ),
        (BlocksBegin(Amount(1, MIB), Amount()), ["sending 1 block, 1.0 MiB"]),
        (
            BlocksBegin(Amount(), Amount(1, MIB)),
            ["comparing 1 stored block with the file, 1.0 MiB"],
        ),
    ],
    ids=["both", "only to send", "only to compare"],
)
def test_what_is_about_to_be_done_is_a_line_for_each_amount(
    event: BlocksBegin, lines: list[str]
) -> None:
    assert begin_lines(event) == lines


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (63_019_418, "60.1 MiB"),
        (40_000 << 30, "39.1 TiB"),
        (2000 << 40, "2000.0 TiB"),
    ],
)
def test_a_size_is_written_for_people(size: int, text: str) -> None:
    assert as_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (59.9, "0:00:59"), (11_109, "3:05:09"), (200_000, "2 d 7:33:20")],
)
def test_a_time_is_written_for_people(seconds: float, text: str) -> None:
    assert as_duration(seconds) == text
