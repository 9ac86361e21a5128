"""When an open upload may expire: a day after the vault last acknowledged something in this run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.source.file import inspect
from glacier_mpu.source.treehash import Digest
from glacier_mpu.stop import Waits
from glacier_mpu.transfer.block import BlockDone
from glacier_mpu.transfer.request import Status
from glacier_mpu.transfer.send import Blocks
from tests.support import faults
from tests.support.engine import carry_out
from tests.support.faults import FOREVER, Fault, faulty
from tests.support.scripts import VAULT
from tests.support.wire_client import Clock

MakeFile = Callable[..., Path]
DAY = timedelta(hours=24)


@contextmanager
def passing_an_hour(folder: Path, clock: Clock, *unlucky: Fault) -> Iterator[RehearsalServer]:
    """Yield a stand-in in which each block takes an hour, and then may have bad luck."""
    hour = faults.do(lambda: clock.move(hours=1))
    slow = Fault("UploadMultipartPart", hour, times=FOREVER)
    with RehearsalServer(folder, handler=faulty(slow, *unlucky)) as server:
        server.store.create_vault(VAULT)
        yield server


def test_it_is_a_day_after_the_last_block(tmp_path: Path, make_file: MakeFile) -> None:
    clock = Clock()
    began = clock.now
    with passing_an_hour(tmp_path / "g", clock) as server:
        outcome = carry_out(server, make_file(3 * MIB), clock=clock, block_size=MIB, finish=False)
    assert outcome.status is Status.STORED
    assert outcome.expires == began + timedelta(hours=3) + DAY


def test_a_block_that_fails_is_no_activity(tmp_path: Path, make_file: MakeFile) -> None:
    clock = Clock()
    began = clock.now
    refusal = faults.refuse(400, "InvalidParameterValueException")
    unlucky = Fault("UploadMultipartPart", refusal, times=FOREVER, after=1)
    with passing_an_hour(tmp_path / "g", clock, unlucky) as server:
        outcome = carry_out(server, make_file(3 * MIB), clock=clock, block_size=MIB, finish=False)
    assert outcome.status is Status.OPEN
    assert outcome.expires == began + timedelta(hours=1) + DAY


def test_the_initiation_is_activity(tmp_path: Path, make_file: MakeFile) -> None:
    clock = Clock()
    began = clock.now
    expired = faults.refuse(403, "ExpiredTokenException")
    unlucky = Fault("UploadMultipartPart", expired, times=FOREVER)
    with passing_an_hour(tmp_path / "g", clock, unlucky) as server:
        outcome = carry_out(
            server, make_file(3 * MIB), clock=clock, block_size=MIB, waits=Waits(retry=0)
        )
    assert outcome.status is Status.OPEN
    assert outcome.expires == began + DAY


def test_comparing_what_is_stored_is_no_activity_and_the_list_tells_no_time(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(2 * MIB)
    first = carry_out(server, source, block_size=MIB, finish=False)
    again = carry_out(server, source, upload_id=first.upload_id, finish=False)
    assert again.status is Status.STORED
    assert again.expires is None


def test_a_block_that_a_resumed_upload_lacked_is_activity(
    tmp_path: Path, make_file: MakeFile
) -> None:
    clock = Clock()
    source = make_file(2 * MIB)
    with passing_an_hour(tmp_path / "g", clock) as server:
        first = carry_out(server, source, block_size=MIB, last=0, finish=False)
        began = clock.now
        again = carry_out(server, source, clock=clock, upload_id=first.upload_id, finish=False)
    assert again.expires == began + timedelta(hours=1) + DAY


def test_what_is_compared_last_leaves_the_activity_before_it(make_file: MakeFile) -> None:
    source = inspect(str(make_file(2 * MIB)))
    blocks = Blocks(source=source, plan=Plan(source.size, MIB), upload_id="an-id", stored={})
    digest, at = Digest(linear="0" * 64, tree=bytes(32)), Clock().now
    for number, acknowledged in ((0, at), (1, None)):
        done = BlockDone(blocks.plan.block(number), digest, proven=True, acknowledged=acknowledged)
        blocks.note_done(blocks.task(number), done)
    assert blocks.last_activity == at


def test_what_is_open_no_more_does_not_expire(server: RehearsalServer, make_file: MakeFile) -> None:
    outcome = carry_out(server, make_file(MIB))
    assert outcome.status is Status.COMPLETED
    assert outcome.expires is None
