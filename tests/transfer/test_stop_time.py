"""A stop time: from then on no block begins, and those on their way are finished."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB
from glacier_mpu.source.file import FileSource, inspect
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.context import utc_now
from glacier_mpu.transfer.deadline import StopAfter, StopAt, WindingDown
from glacier_mpu.transfer.events import BlockFailed, BlockMatches, Event, TryingAgain
from glacier_mpu.transfer.request import Outcome, Status
from glacier_mpu.vault.errors import ServerError
from glacier_mpu.vault.retry import Retry
from tests.support.engine import Notes, carry_out
from tests.support.faults import FOREVER, Fault, cut_before_reading, do, faulty, refuse, slow
from tests.support.flaky_file import Flaky
from tests.support.scripts import VAULT

PART = "UploadMultipartPart"
COMPLETE = "CompleteMultipartUpload"
MakeFile = Callable[..., Path]


class Day(Notes):
    """A watcher, and a wall clock on which the stop time comes when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.began = utc_now()
        self.stop_at = StopAt(_local(self.began + timedelta(hours=6)))
        self.is_over = False
        self._last: type[Event] | tuple[()] = ()
        self.winding_down = threading.Event()
        self.ended = threading.Event()
        self.on_winding_down: Callable[[], None] = self.winding_down.set

    def clock(self) -> datetime:
        return self.began + timedelta(hours=7 if self.is_over else 0)

    def hear(self, event: Event, /) -> None:
        super().hear(event)
        if isinstance(event, WindingDown):
            self.on_winding_down()
        if isinstance(event, self._last):
            self.is_over = True

    def stops_after(self, last: type[Event]) -> None:
        """Let the stop time come with the first event of a kind."""
        self._last = last

    def comes(self) -> None:
        """Let the stop time come, and go on once the run has noticed it."""
        self.is_over = True
        assert self.winding_down.wait(30)

    def comes_and_hangs(self) -> None:
        self.comes()
        self.ended.wait(60)

    def carry_out(
        self, server: RehearsalServer, source: Path | FileSource, **wishes: Any
    ) -> Outcome:
        wishes = {"block_size": MIB, "stop_time": self.stop_at, **wishes}
        return carry_out(server, source, watcher=self, clock=self.clock, **wishes)


def _local(moment: datetime) -> datetime:
    return moment.astimezone().replace(tzinfo=None)


@contextmanager
def glacier(folder: Path, *unlucky: Fault) -> Iterator[RehearsalServer]:
    with RehearsalServer(folder / "g", handler=faulty(*unlucky)) as server:
        server.store.create_vault(VAULT)
        yield server


def calls(server: RehearsalServer) -> list[str]:
    handler: Any = server._listener.RequestHandlerClass
    return list(handler.calls)


@pytest.mark.parametrize("slots", [1, 3])
def test_blocks_on_their_way_are_finished_and_no_other_begins(
    tmp_path: Path, make_file: MakeFile, slots: int
) -> None:
    day = Day()
    together = threading.Barrier(slots)

    def all_are_on_their_way() -> None:
        together.wait(30)
        day.comes()

    fault = Fault(PART, do(all_are_on_their_way), times=slots)
    with glacier(tmp_path, fault) as server:
        source = make_file(12 * MIB)
        outcome = day.carry_out(server, source, slots=slots)
        assert (outcome.status, outcome.error) == (Status.OPEN, None)
        assert outcome.stop_time == day.stop_at
        assert day.of(WindingDown) == [WindingDown(day.stop_at, slots)]
        assert day.sent == list(range(slots))
        assert outcome.missing == list(range(slots, 12))
        assert calls(server).count(PART) == slots
        again = carry_out(server, source, upload_id=outcome.upload_id)
        assert (again.status, again.bytes_sent) == (Status.COMPLETED, (12 - slots) * MIB)


def test_a_block_that_is_hashed_and_not_on_its_way_is_not_sent(
    tmp_path: Path, make_file: MakeFile
) -> None:
    day = Day()
    with glacier(tmp_path, Fault(PART, do(day.comes))) as server:
        outcome = day.carry_out(server, make_file(2 * MIB))
        assert (outcome.status, outcome.error) == (Status.OPEN, None)
        assert (outcome.stop_time, outcome.missing) == (day.stop_at, [1])


def test_a_block_that_failed_is_not_tried_once_more_and_is_why_the_run_ends(
    tmp_path: Path, make_file: MakeFile
) -> None:
    day = Day()
    day.stops_after(BlockFailed)
    fault = Fault(PART, refuse(500, "InternalServerError"), times=FOREVER, blocks=[1])
    with glacier(tmp_path, fault) as server:
        waits = Waits(retry=0.3, longest=0.3)
        wishes = {"slots": 3, "keep_going": True}
        outcome = day.carry_out(server, make_file(3 * MIB), waits=waits, **wishes)
        assert (outcome.status, outcome.failed) == (Status.OPEN, [1])
        assert isinstance(outcome.error, ServerError)
        assert day.of(TryingAgain) == []


@pytest.mark.parametrize("finish", [True, False])
def test_where_the_last_blocks_are_on_their_way_the_run_goes_on_to_its_end(
    tmp_path: Path, make_file: MakeFile, *, finish: bool
) -> None:
    day = Day()
    with glacier(tmp_path, Fault(PART, do(day.comes), blocks=[2])) as server:
        outcome = day.carry_out(server, make_file(3 * MIB), finish=finish)
        assert outcome.status is (Status.COMPLETED if finish else Status.STORED)
        assert outcome.stop_time is None


def test_the_time_for_what_is_on_its_way_does_not_cut_a_completion(
    tmp_path: Path, make_file: MakeFile
) -> None:
    day = Day()
    faults = [Fault(PART, do(day.comes), blocks=[2]), Fault(COMPLETE, slow(seconds=0.8))]
    with glacier(tmp_path, *faults) as server:
        outcome = day.carry_out(server, make_file(3 * MIB), waits=Waits(retry=0.4, longest=0.1))
        assert outcome.status is Status.COMPLETED


@pytest.mark.parametrize("resume", [True, False])
def test_a_run_whose_stop_time_has_come_makes_no_call_and_has_not_failed(
    tmp_path: Path, make_file: MakeFile, *, resume: bool
) -> None:
    day = Day()
    day.is_over = True
    with glacier(tmp_path) as server:
        outcome = day.carry_out(server, make_file(MIB), resume=resume)
        assert (outcome.status, outcome.stop_time) == (Status.OPEN, day.stop_at)
        assert calls(server) == []


def test_a_stop_time_while_the_upload_is_opened_leaves_it_open_with_nothing_sent(
    tmp_path: Path, make_file: MakeFile
) -> None:
    day = Day()
    with glacier(tmp_path, Fault("InitiateMultipartUpload", do(day.comes))) as server:
        outcome = day.carry_out(server, make_file(3 * MIB))
        assert (outcome.status, outcome.stop_time) == (Status.OPEN, day.stop_at)
        assert outcome.upload_id
        assert PART not in calls(server)


def test_what_does_not_finish_in_the_time_for_retrying_is_cut(
    tmp_path: Path, make_file: MakeFile
) -> None:
    day = Day()
    with glacier(tmp_path, Fault(PART, do(day.comes_and_hangs))) as server:
        waits = Waits(retry=0.3, longest=0.01)
        outcome = day.carry_out(server, make_file(3 * MIB), waits=waits)
        day.ended.set()
        assert (outcome.status, outcome.error) == (Status.OPEN, None)
        assert outcome.stop_time == day.stop_at
        assert outcome.missing == [0, 1, 2]


@pytest.mark.parametrize("slots", [1, 3])
def test_an_outage_holds_no_run_past_its_stop_time(
    tmp_path: Path, make_file: MakeFile, slots: int
) -> None:
    """Its calls would be retried for an hour, which is longer than any test may take."""
    day = Day()
    dead = Fault(PART, cut_before_reading, times=FOREVER, after=1)
    comes = Fault(PART, do(lambda: setattr(day, "is_over", True)), after=3)
    with glacier(tmp_path, comes, dead) as server:
        waits = Waits(retry=3600, longest=0.1)
        outcome = day.carry_out(server, make_file(5 * MIB), slots=slots, waits=waits)
        assert (outcome.status, outcome.error) == (Status.OPEN, None)
        assert outcome.stop_time == day.stop_at
        assert len(outcome.missing) == 4


def test_a_drive_that_is_away_holds_no_run_past_its_stop_time(
    tmp_path: Path, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading what is to be compared would be retried for an hour, likewise."""
    day = Day()
    day.stops_after(Retry)
    source = inspect(str(make_file(3 * MIB)))
    away = Flaky(code=errno.EIO, after=0, times=FOREVER)
    waits = Waits(retry=3600, longest=0.1)
    with glacier(tmp_path) as server:
        stored = carry_out(server, source, block_size=MIB, finish=False)
        monkeypatch.setattr("glacier_mpu.source.file.open", away, raising=False)
        outcome = day.carry_out(server, source, upload_id=stored.upload_id, waits=waits)
        assert (outcome.status, outcome.error) == (Status.OPEN, None)
        assert outcome.stop_time == day.stop_at


def test_no_stored_block_begins_to_be_compared_either(tmp_path: Path, make_file: MakeFile) -> None:
    source = make_file(60 * MIB)
    with glacier(tmp_path) as server:
        stored = carry_out(server, source, block_size=MIB, finish=False)
        day = Day()
        day.stops_after(BlockMatches)
        outcome = day.carry_out(server, source, upload_id=stored.upload_id)
        assert (outcome.status, outcome.stop_time) == (Status.OPEN, day.stop_at)
        assert 1 <= len(day.matching) < 60
        assert COMPLETE not in calls(server)


def test_blocks_outside_the_asked_range_are_not_compared_once_the_stop_time_has_come(
    tmp_path: Path, make_file: MakeFile
) -> None:
    source, day = make_file(4 * MIB), Day()
    with glacier(tmp_path, Fault(PART, do(day.comes), blocks=[3])) as server:
        first = carry_out(server, source, block_size=MIB, last=2, finish=False)
        outcome = day.carry_out(server, source, upload_id=first.upload_id, first=3)
        assert (outcome.status, outcome.error) == (Status.OPEN, None)
        assert (outcome.stop_time, day.sent) == (day.stop_at, [3])


def test_a_stop_that_is_asked_for_meanwhile_cuts_what_is_on_its_way_at_once(
    tmp_path: Path, make_file: MakeFile
) -> None:
    day, stop = Day(), Stop()

    def ask() -> None:
        day.winding_down.set()
        stop.ask()

    day.on_winding_down = ask
    with glacier(tmp_path, Fault(PART, do(day.comes_and_hangs))) as server:
        outcome = day.carry_out(server, make_file(3 * MIB), stop=stop)
        day.ended.set()
        assert (outcome.status, outcome.missing) == (Status.OPEN, [0, 1, 2])


def test_a_duration_is_counted_from_the_beginning_of_the_run(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    outcome = Day().carry_out(server, make_file(MIB), stop_time=StopAfter(0.0))
    assert outcome.stop_time == StopAfter(0.0)
    assert carry_out(server, make_file(MIB), stop_time=StopAfter(3600)).stop_time is None
