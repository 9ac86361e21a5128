"""The words for what only a stream tells."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import get_args

import pytest

from glacier_mpu.cli.stream_words import opened_lines, said_text
from glacier_mpu.cli.words import as_text
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.transfer import stream_events
from glacier_mpu.transfer.events import Event
from glacier_mpu.transfer.stream_events import (
    BlockRead,
    BlocksRunningOut,
    CommandSaid,
    MoreThanExpected,
    SourceSilent,
    StreamEnded,
    StreamOpened,
)

GIB = 1024 * MIB
OPENED = StreamOpened("an-id", 128 * MIB, 1250 * GIB)
NIGHT = datetime(2026, 11, 24, 20, 33, tzinfo=timezone.utc)
FACTS: list[tuple[Event, list[str]]] = [
    (BlockRead(Block(7, 7 * MIB, MIB)), ["block 7 was read"]),
    (
        StreamEnded(Plan(57 * 128 * MIB, 128 * MIB)),
        ["the stream has ended: 7.1 GiB, 57 blocks of 128 MiB"],
    ),
    (
        BlocksRunningOut(8000, 10_000, 250 * GIB),
        ["warning: ", "8,000 of the 10,000 blocks", "250.0 GiB more", "--expected-size"],
    ),
    (
        MoreThanExpected(8 * GIB, 1250 * GIB),
        ["warning: ", "longer than the 8.0 GiB of --expected-size", "1.2 TiB fit"],
    ),
    (SourceSilent(3600, NIGHT), ["warning: ", "nothing to send for 1:00:00", "a block is stored"]),
    (CommandSaid("tar", "Removing leading '/'"), ["tar: Removing leading '/'"]),
]


@pytest.mark.parametrize(("event", "facts"), FACTS, ids=[type(row[0]).__name__ for row in FACTS])
def test_the_facts_of_an_event_are_in_its_line(event: Event, facts: list[str]) -> None:
    text = as_text(event)
    assert [fact for fact in facts if fact not in text] == []
    assert "\n" not in text


def test_every_event_of_a_stream_has_words() -> None:
    of_streams = {kind for kind in get_args(Event) if kind.__module__ == stream_events.__name__}
    assert {type(event) for event, _ in FACTS} == of_streams - {StreamOpened}


@pytest.mark.usefixtures("in_india")
def test_when_an_upload_may_expire_is_told_by_this_machines_time() -> None:
    assert "may expire on 2026-11-25 at 02:03 unless" in as_text(SourceSilent(3600, NIGHT))


def test_a_new_upload_tells_its_id_and_how_much_it_takes_and_how_it_would_take_more() -> None:
    fits = "blocks of 128 MiB: the stream may have up to 1.2 TiB"
    assert opened_lines(OPENED) == [
        "upload-id: an-id",
        f"{fits} (--expected-size or --blocksize allow more)",
    ]
    assert opened_lines(replace(OPENED, expected_size=GIB))[1] == fits


def test_a_resumed_upload_says_that_the_stream_is_read_from_its_beginning() -> None:
    told, fits = opened_lines(replace(OPENED, is_new=False, stored=12))
    assert told == (
        "resuming upload an-id: 12 blocks stored; the stream is read from its beginning, and what "
        "is stored alike is not sent again"
    )
    assert "--expected-size" not in fits


def test_the_program_is_named_once_though_most_name_themselves() -> None:
    assert said_text("tar", "tar: Removing leading '/'") == "tar: Removing leading '/'"
    assert said_text("command", "tar: Removing") == "command: tar: Removing"
