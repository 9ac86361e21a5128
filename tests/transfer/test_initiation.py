"""What a run that ends before it knows an upload says of one that may have been begun."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.stop import Stop, Waits
from glacier_mpu.transfer.events import Event
from glacier_mpu.transfer.request import Status
from glacier_mpu.vault.errors import ConnectionLost
from glacier_mpu.vault.outage import Outage
from glacier_mpu.vault.retry import Retry
from tests.support import faults
from tests.support.engine import Notes, carry_out
from tests.support.faults import FOREVER, Fault, faulty
from tests.support.scripts import VAULT, client_of

MakeFile = Callable[..., Path]
INITIATE = "InitiateMultipartUpload"
IMPATIENT = Waits(retry=0.3, longest=0.1)


def test_after_a_lost_answer_and_a_dead_line_there_may_be_an_upload(
    tmp_path: Path, make_file: MakeFile
) -> None:
    unlucky = [
        Fault(INITIATE, faults.lose_the_answer),
        Fault("ListMultipartUploads", faults.cut_before_reading, times=FOREVER),
    ]
    with RehearsalServer(tmp_path / "g", handler=faulty(*unlucky)) as server:
        server.store.create_vault(VAULT)
        outcome = carry_out(server, make_file(5), waits=IMPATIENT)
        unlucky[1].times = 0
        assert len(client_of(server).list_multipart_uploads(vaultName=VAULT)["UploadsList"]) == 1
    assert outcome.status is Status.FAILED
    assert isinstance(outcome.error, ConnectionLost)
    assert outcome.may_have_begun


def test_where_no_connection_was_ever_made_there_is_no_upload(
    tmp_path: Path, make_file: MakeFile
) -> None:
    with RehearsalServer(tmp_path / "g") as gone:
        pass
    outcome = carry_out(gone, make_file(5), waits=IMPATIENT)
    assert outcome.status is Status.FAILED
    assert not outcome.may_have_begun


def test_a_stop_while_no_connection_was_ever_made_leaves_no_upload(
    tmp_path: Path, make_file: MakeFile
) -> None:
    stop = Stop()

    class Stops(Notes):
        def hear(self, event: Event, /) -> None:
            if isinstance(event, Retry | Outage):
                stop.ask()

    with RehearsalServer(tmp_path / "g") as gone:
        pass
    outcome = carry_out(gone, make_file(5), stop=stop, watcher=Stops())
    assert outcome.status is Status.FAILED
    assert not outcome.may_have_begun


def test_a_stop_while_the_initiation_is_on_its_way_may_leave_an_upload(
    tmp_path: Path, make_file: MakeFile
) -> None:
    stop = Stop()
    unlucky = [Fault(INITIATE, faults.do(stop.ask)), Fault(INITIATE, faults.never_answer)]
    with RehearsalServer(tmp_path / "g", handler=faulty(*unlucky)) as server:
        server.store.create_vault(VAULT)
        outcome = carry_out(server, make_file(5), stop=stop)
    assert outcome.status is Status.FAILED
    assert outcome.may_have_begun


def test_a_run_that_knows_its_upload_has_no_other_that_may_have_begun(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    assert not carry_out(server, make_file(5)).may_have_begun
