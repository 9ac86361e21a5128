"""The upload of a stream: read once, in order, and sent from the spool."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from botocore.utils import calculate_tree_hash
from hypothesis import given, settings
from hypothesis import strategies as st

from glacier_mpu.errors import StreamDiffers, StreamEmpty, StreamTooLong, StreamTooShort
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.pipe import StreamSource
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.deadline import StopAt
from glacier_mpu.transfer.events import BlockDiffers, BlockMatches, BlockSent, TryingAgain
from glacier_mpu.transfer.request import Outcome, Status
from glacier_mpu.transfer.stream_events import (
    BlocksRunningOut,
    MoreThanExpected,
    SourceSilent,
    StreamEnded,
    StreamOpened,
)
from tests.support.faults import FOREVER, Fault, FaultyHandler, HoldBack, do, faulty, refuse
from tests.support.scripts import VAULT
from tests.support.streams import Heard, carry_out_stream, piped

MIB = 1 << 20
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")


def data_of(size: int, *, seed: int = 0) -> bytes:
    """Return bytes of which every block differs, and differs from those of another seed."""
    return b"".join(
        (start * 1009 + seed).to_bytes(8, "big") * (min(MIB, size - start + 7) // 8)
        for start in range(0, size, MIB)
    )[:size]


def archived(server: RehearsalServer, outcome: Outcome) -> bytes:
    """Return what is stored under the outcome's archive id."""
    assert outcome.status is Status.COMPLETED, outcome.error
    assert outcome.archive is not None
    return (server.folder / "archives" / outcome.archive.archive_id).read_bytes()


def upload_bytes(server: RehearsalServer, data: bytes, **wishes: object) -> Outcome:
    """Upload the bytes by a pipe, in blocks of 1 MiB unless other ones are wished for."""
    with piped([data]) as source:
        return carry_out_stream(server, source, **({"block_size": MIB} | wishes))  # type: ignore[arg-type]


def interrupted(server: RehearsalServer, data: bytes, *, blocks: int) -> str:
    """Store so many blocks of a stream that goes on for ever, and return the open upload's id."""
    stop, heard = Stop(), Heard()

    def chunks() -> Iterator[bytes]:
        yield data[: blocks * MIB]
        heard.await_events(BlockSent, blocks)
        stop.ask()

    with piped(chunks()) as source:
        outcome = carry_out_stream(server, source, block_size=MIB, stop=stop, watcher=heard)
    assert outcome.status is Status.OPEN
    return outcome.upload_id


# -- the archive is the stream


@settings(max_examples=30)
@given(
    blocks=st.integers(0, 3),
    beside=st.sampled_from([-1, 0, 1, 2, 700_000]),
    cuts=st.lists(st.integers(1, 3 * MIB), max_size=6),
    slots=st.integers(1, 4),
)
def test_whatever_its_size_and_however_it_is_chopped_the_archive_is_the_stream(
    tmp_path_factory: pytest.TempPathFactory, blocks: int, beside: int, cuts: list[int], slots: int
) -> None:
    size = max(1, blocks * MIB + beside)
    data = data_of(size)
    places = [0, *sorted({cut for cut in cuts if cut < size}), size]
    heard = Heard()
    folder = tmp_path_factory.mktemp("glacier")
    with RehearsalServer(folder) as server, piped(data[a:b] for a, b in pairwise(places)) as source:
        server.store.create_vault(VAULT)
        outcome = carry_out_stream(
            server, source, watcher=heard, slots=slots, block_size=MIB, keep_going=True
        )
        assert archived(server, outcome) == data
    assert outcome.tree_hash == calculate_tree_hash(BytesIO(data))  # type: ignore[arg-type]
    assert outcome.bytes_sent == heard.bytes["hashed"] == size
    assert heard.most_in_spool <= (slots + 1) * MIB
    assert [event.plan.size for event in heard.of(StreamEnded)] == [size]


def test_a_stream_that_is_empty_begins_nothing(tmp_path: Path) -> None:
    handler = faulty()
    with RehearsalServer(tmp_path, handler=handler) as server, piped([]) as source:
        outcome = carry_out_stream(server, source)
    assert outcome.status is Status.FAILED
    assert isinstance(outcome.error, StreamEmpty)
    assert handler.calls == []


def test_a_stream_that_cannot_be_read_leaves_its_upload_open(
    server: RehearsalServer, tmp_path: Path
) -> None:
    """A folder can be opened, and every read of it fails."""
    outcome = carry_out_stream(server, StreamSource(path=str(tmp_path)), resume=True)
    assert outcome.status is Status.OPEN
    assert outcome.error is not None
    assert "Is a directory" in outcome.error.message


# -- the spool


@needs_proc
def test_the_spool_is_the_users_alone_and_has_no_names(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    files: list[tuple[str, int]] = []

    def look() -> None:
        for number in os.listdir("/proc/self/fd"):
            path = os.path.join("/proc/self/fd", number)
            target = os.readlink(path) if os.path.islink(path) else ""
            if str(spool) in target:
                files.append((target, stat.S_IMODE(os.stat(path).st_mode)))
        files.extend((name, 0) for name in os.listdir(spool))

    handler = faulty(Fault("UploadMultipartPart", do(look)))
    with RehearsalServer(tmp_path / "glacier", handler=handler) as server:
        server.store.create_vault(VAULT)
        archived(server, upload_bytes(server, data_of(MIB), spool=str(spool)))
    assert files
    assert all(name.endswith("(deleted)") for name, _ in files)
    assert {mode for _, mode in files} == {0o600}


def test_a_reader_waits_for_room_in_the_spool(tmp_path: Path) -> None:
    """Of an endless stream only slots + 1 blocks are read while none gets through."""
    hold, heard = HoldBack(), Heard()
    data = data_of(6 * MIB)

    def chunks() -> Iterator[bytes]:
        yield data[: 3 * MIB]
        assert hold.reached.wait(60)
        for start in range(3 * MIB, 6 * MIB, MIB):
            yield data[start : start + MIB]

    handler = faulty(Fault("UploadMultipartPart", hold))
    with RehearsalServer(tmp_path, handler=handler) as server, piped(chunks()) as source:
        server.store.create_vault(VAULT)
        threading.Timer(1, hold.opened.set).start()
        outcome = carry_out_stream(server, source, watcher=heard, slots=2, block_size=MIB)
        assert archived(server, outcome) == data
    assert heard.most_in_spool == 3 * MIB


# -- resuming


@pytest.mark.parametrize("way", ["id", "description"])
def test_what_is_stored_of_a_stream_is_read_again_and_not_sent(
    server: RehearsalServer, way: str
) -> None:
    data = data_of(5 * MIB + 3)
    upload_id = interrupted(server, data, blocks=3)
    wishes = {"upload_id": upload_id} if way == "id" else {"resume": True}
    outcome = upload_bytes(server, data, block_size=None, **wishes)
    assert archived(server, outcome) == data
    assert outcome.upload_id == upload_id
    assert (outcome.bytes_skipped, outcome.bytes_sent) == (3 * MIB, 2 * MIB + 3)


def test_a_stream_that_differs_from_its_first_block_on_overwrites_nothing_unasked(
    server: RehearsalServer,
) -> None:
    data, other = data_of(4 * MIB), data_of(4 * MIB, seed=1)
    upload_id = interrupted(server, data, blocks=2)
    refused = upload_bytes(server, other, upload_id=upload_id)
    assert refused.status is Status.OPEN
    assert isinstance(refused.error, StreamDiffers)
    assert refused.bytes_sent == 0
    outcome = upload_bytes(server, other, upload_id=upload_id, overwrite=True)
    assert archived(server, outcome) == other


def test_from_the_first_difference_on_a_stream_is_sent(server: RehearsalServer) -> None:
    data = data_of(5 * MIB)
    upload_id = interrupted(server, data, blocks=4)
    changed = data[: 2 * MIB] + data_of(3 * MIB, seed=1)
    heard = Heard()
    outcome = upload_bytes(server, changed, upload_id=upload_id, watcher=heard)
    assert archived(server, outcome) == changed
    assert heard.matching == [0, 1]
    assert [event.block.number for event in heard.of(BlockDiffers)] == [2, 3]
    assert heard.sent == [2, 3, 4]


def test_a_stream_that_ends_before_what_is_stored_is_not_completed(
    server: RehearsalServer,
) -> None:
    data = data_of(4 * MIB)
    upload_id = interrupted(server, data, blocks=3)
    outcome = upload_bytes(server, data[: 2 * MIB], upload_id=upload_id)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, StreamTooShort)


def test_among_open_uploads_of_its_description_a_stream_resumes_the_one_that_holds_most(
    server: RehearsalServer,
) -> None:
    data = data_of(4 * MIB)
    fullest = interrupted(server, data, blocks=3)
    interrupted(server, data, blocks=1)
    assert upload_bytes(server, data, resume=True).upload_id == fullest


def test_a_long_reading_of_what_is_stored_keeps_its_upload_alive(server: RehearsalServer) -> None:
    """To read 20 TB again takes more than the day for which an upload lives without activity."""
    data = data_of(6 * MIB)
    upload_id, heard = interrupted(server, data, blocks=6), Heard()
    now = datetime(2026, 11, 1, tzinfo=timezone.utc)
    times = [now]

    def chunks() -> Iterator[bytes]:
        for number in range(6):
            times[0] = now + timedelta(hours=number)
            yield data[number * MIB : (number + 1) * MIB]
            heard.await_events((BlockSent, BlockMatches), number + 1)

    with piped(chunks()) as source:
        outcome = carry_out_stream(
            server, source, upload_id=upload_id, watcher=heard, clock=lambda: times[0]
        )
    assert archived(server, outcome) == data
    assert heard.sent == [3]


# -- how much a stream may be


def test_a_stream_that_does_not_fit_ends_open_before_a_block_too_many(
    server: RehearsalServer,
) -> None:
    heard = Heard()
    with piped([data_of(21 * MIB)], most_blocks=20) as source:
        outcome = carry_out_stream(server, source, block_size=MIB, watcher=heard)
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, StreamTooLong)
    assert outcome.error.block_size == MIB
    assert heard.sent == list(range(20))
    assert [(event.used, event.left) for event in heard.of(BlocksRunningOut)] == [
        (16, 4 * MIB),
        (19, MIB),
    ]


def test_a_stream_that_just_fits_is_completed(server: RehearsalServer) -> None:
    data = data_of(3 * MIB)
    with piped([data], most_blocks=3) as source:
        assert archived(server, carry_out_stream(server, source, block_size=MIB)) == data


def test_a_stream_that_is_longer_than_expected_is_told_once_and_goes_on(
    server: RehearsalServer,
) -> None:
    data, heard = data_of(4 * MIB), Heard()
    outcome = upload_bytes(server, data, block_size=None, expected_size=2 * MIB, watcher=heard)
    assert archived(server, outcome) == data
    assert [event.block_size for event in heard.of(StreamOpened)] == [MIB]
    assert [event.expected_size for event in heard.of(MoreThanExpected)] == [2 * MIB]


def test_an_open_upload_whose_blocks_are_too_small_for_what_is_expected_is_not_resumed(
    server: RehearsalServer,
) -> None:
    upload_id = interrupted(server, data_of(2 * MIB), blocks=1)
    outcome = upload_bytes(
        server, b"x", upload_id=upload_id, block_size=None, expected_size=10_001 * MIB
    )
    assert outcome.status is Status.OPEN
    assert isinstance(outcome.error, StreamTooLong)


# -- time


def test_a_connection_that_was_closed_in_a_long_pause_is_made_anew(tmp_path: Path) -> None:
    data, heard, closed = data_of(2 * MIB), Heard(), threading.Event()

    class Handler(faulty()):  # type: ignore[misc]
        def finish(self) -> None:
            super().finish()
            if heard.sent:
                closed.set()

    def chunks() -> Iterator[bytes]:
        yield data[:MIB]
        assert closed.wait(60)
        yield data[MIB:]

    with (
        RehearsalServer(tmp_path, handler=Handler, idle_timeout_seconds=0.3) as server,
        piped(chunks()) as source,
    ):
        server.store.create_vault(VAULT)
        outcome = carry_out_stream(server, source, block_size=MIB, watcher=heard)
        assert archived(server, outcome) == data


def test_a_silent_stream_is_told_once_an_hour_with_the_end_of_its_upload(
    server: RehearsalServer,
) -> None:
    data, heard = data_of(2 * MIB), Heard()
    began = datetime(2026, 11, 1, tzinfo=timezone.utc)
    times = [began]

    def chunks() -> Iterator[bytes]:
        yield data[:MIB]
        heard.await_events(BlockSent)
        for hours in (1, 2):
            times[0] = began + timedelta(hours=hours)
            heard.await_events(SourceSilent, hours)
        yield data[MIB:]

    with piped(chunks()) as source:
        outcome = carry_out_stream(
            server, source, block_size=MIB, watcher=heard, clock=lambda: times[0]
        )
    assert archived(server, outcome) == data
    told = [(event.seconds, event.expires) for event in heard.of(SourceSilent)]
    assert told == [(hours * 3600.0, began + timedelta(days=1)) for hours in (1, 2)]


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_stop_is_heard_while_a_stream_gives_nothing(server: RehearsalServer, blocks: int) -> None:
    stop, heard, over = Stop(), Heard(), threading.Event()

    def chunks() -> Iterator[bytes]:
        if blocks:
            yield data_of(blocks * MIB)
            heard.await_events(BlockSent, blocks)
        stop.ask()
        assert over.wait(60)

    with piped(chunks()) as source:
        outcome = carry_out_stream(server, source, block_size=MIB, watcher=heard, stop=stop)
        over.set()
    assert outcome.status is (Status.OPEN if blocks else Status.FAILED)
    assert len(heard.sent) == blocks


def test_a_stop_time_ends_a_stream_that_gives_nothing(server: RehearsalServer) -> None:
    heard, over = Heard(), threading.Event()
    noon = datetime(2026, 11, 1, 12, tzinfo=timezone.utc).astimezone()
    times = [noon - timedelta(minutes=1)]

    def chunks() -> Iterator[bytes]:
        yield data_of(MIB)
        heard.await_events(BlockSent)
        times[0] = noon
        assert over.wait(60)

    with piped(chunks()) as source:
        outcome = carry_out_stream(
            server,
            source,
            block_size=MIB,
            watcher=heard,
            clock=lambda: times[0],
            stop_time=StopAt(noon.replace(tzinfo=None)),
        )
        over.set()
    assert outcome.status is Status.OPEN
    assert outcome.stop_time is not None
    assert outcome.plan is None


# -- blocks that fail


def test_a_block_that_fails_while_others_get_through_is_sent_again_from_the_spool(
    tmp_path: Path,
) -> None:
    data, heard = data_of(4 * MIB), Heard()

    def unless_over(handler: FaultyHandler, call: object) -> None:
        if not heard.of(TryingAgain):
            refuse(500, "InternalServerError")(handler, call)  # type: ignore[arg-type]

    handler = faulty(Fault("UploadMultipartPart", unless_over, FOREVER, blocks=[1]))
    with RehearsalServer(tmp_path, handler=handler) as server, piped([data]) as source:
        server.store.create_vault(VAULT)
        outcome = carry_out_stream(
            server,
            source,
            block_size=MIB,
            slots=2,
            keep_going=True,
            watcher=heard,
            waits=Waits(retry=0.3, longest=0.05),
        )
        assert archived(server, outcome) == data


def test_blocks_that_fail_for_good_do_not_keep_the_others_from_being_sent(tmp_path: Path) -> None:
    data, heard = data_of(6 * MIB), Heard()
    fault = Fault(
        "UploadMultipartPart",
        refuse(400, "InvalidParameterValueException"),
        FOREVER,
        blocks=[0, 1, 2],
    )
    with RehearsalServer(tmp_path, handler=faulty(fault)) as server, piped([data]) as source:
        server.store.create_vault(VAULT)
        outcome = carry_out_stream(
            server, source, block_size=MIB, slots=1, keep_going=True, watcher=heard
        )
    assert outcome.status is Status.OPEN
    assert (list(outcome.failed), heard.sent) == ([0, 1, 2], [3, 4, 5])
