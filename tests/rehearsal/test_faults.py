"""Each kind of fault as a client meets it, and which calls it meets."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    FaultyHandler,
    LeaveHashOut,
    LoseAnswer,
    NeverAnswer,
    Refuse,
    RefuseEarly,
    Slow,
    with_faults,
)
from glacier_mpu.rehearsal.http import Handler
from glacier_mpu.rehearsal.server import RehearsalServer
from tests.support.wire_client import (
    MIB,
    VAULT,
    VERSION,
    Clock,
    call,
    complete,
    dialled,
    head,
    initiate,
    part_head,
    pattern,
    put_part,
    read_answer,
    sign,
    stored,
    tree_hash,
    wait_until,
)

BODY = pattern(MIB)
UPLOADS = f"/-/vaults/{VAULT}/multipart-uploads"
ALL = [(f"0-{MIB - 1}", tree_hash(BODY))]
LOST = (http.client.RemoteDisconnected, ConnectionError)


@contextmanager
def serving(
    folder: Path, clock: Clock, *faults: Fault, handler: type[Handler] = Handler
) -> Iterator[RehearsalServer]:
    with RehearsalServer(folder, now=clock, faults=faults, handler=handler) as server:
        server.store.create_vault(VAULT)
        yield server


def on_parts(act: Act) -> Fault:
    return Fault("UploadMultipartPart", act)


# -- the kinds -------------------------------------------------------------------------------


def test_a_connection_is_cut_before_anything_of_the_body_is_read(
    tmp_path: Path, clock: Clock
) -> None:
    with serving(tmp_path, clock, on_parts(CutBeforeReading())) as server:
        upload = initiate(server, clock)
        with dialled(server) as wire:
            wire.sendall(part_head(upload, clock, BODY))
            assert received(wire.recv) == b""
        assert stored(server, clock, upload) == []
        assert put_part(server, clock, upload, 0, BODY).status == 204


def received(receive: Callable[[int], bytes]) -> bytes:
    """What comes until the connection ends, whether by a close or by a reset."""
    pieces = []
    try:
        while piece := receive(MIB):
            pieces.append(piece)
    except ConnectionError:
        pass
    return b"".join(pieces)


@pytest.mark.parametrize("percent", [1, 50, 99])
def test_a_connection_is_cut_when_so_much_of_the_body_was_read(
    tmp_path: Path, clock: Clock, percent: int
) -> None:
    unread: list[int] = []

    class Watched(with_faults([on_parts(CutInBody(percent))])):  # type: ignore[misc]
        def reset(self) -> None:
            unread.append(self.unread)
            super().reset()

    body = pattern(3 * MIB)
    with serving(tmp_path, clock, handler=Watched) as server:
        upload = initiate(server, clock, part_size=4 * MIB)
        with dialled(server) as wire:
            wire.sendall(part_head(upload, clock, body) + body[: 3 * MIB * percent // 100])
            assert received(wire.recv) == b""
        assert stored(server, clock, upload) == []
    assert unread == [3 * MIB - 3 * MIB * percent // 100]


def test_the_answer_is_lost_after_the_work_was_done(tmp_path: Path, clock: Clock) -> None:
    with serving(tmp_path, clock, on_parts(LoseAnswer())) as server:
        upload = initiate(server, clock)
        with pytest.raises(LOST):
            put_part(server, clock, upload, 0, BODY)
        assert stored(server, clock, upload) == ALL


@pytest.mark.parametrize("percent", [1, 50, 99])
def test_the_answer_is_cut_at_so_much_of_head_and_body(
    tmp_path: Path, clock: Clock, percent: int
) -> None:
    signed = sign("GET", "/-/vaults", VERSION, at=clock())
    request = head("GET", "/-/vaults", {**signed, "Connection": "close"})
    with serving(tmp_path, clock, Fault("ListVaults", CutAnswer(percent))) as server:
        answers = []
        for _ in range(2):
            with dialled(server) as wire:
                wire.sendall(request)
                answers.append(received(wire.recv))
    cut, whole = map(len, answers)
    assert cut == whole * percent // 100


def test_an_answer_never_comes_though_the_work_was_done(tmp_path: Path, clock: Clock) -> None:
    with serving(tmp_path, clock, on_parts(NeverAnswer())) as server:
        upload = initiate(server, clock)
        with dialled(server) as wire:
            wire.sendall(part_head(upload, clock, BODY) + BODY)
            wait_until(lambda: stored(server, clock, upload) == ALL)
            wire.shutdown(socket.SHUT_WR)
            assert received(wire.recv) == b""


class Held(FaultyHandler):
    """A handler whose pauses end when the test says so."""

    paused: threading.Event
    go_on: threading.Event
    asked: list[float]

    def pause(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.paused.set()
        assert self.go_on.wait(20)


def held(fault: Fault) -> type[Held]:
    members = {"paused": threading.Event(), "go_on": threading.Event(), "asked": []}
    return type("HeldHere", (Held,), {"faults": [fault], **members})


def completing(server: RehearsalServer, clock: Clock, upload: str, ended: list[int]) -> None:
    ended.append(complete(server, clock, upload, size=MIB, tree=tree_hash(BODY)).status)


def listed(server: RehearsalServer, clock: Clock) -> int:
    return len(call(server, clock, "GET", UPLOADS).json["UploadsList"])


@pytest.mark.parametrize(
    ("slow", "still_open"),
    [(Slow(7, "before"), 1), (Slow(7, "after"), 0), (Slow(7), 0)],
    ids=["before the work", "after the work", "by default"],
)
def test_a_slow_completion_keeps_the_upload_open_until_its_work_is_done(
    tmp_path: Path, clock: Clock, slow: Slow, still_open: int
) -> None:
    handler = held(Fault("CompleteMultipartUpload", slow))
    ended: list[int] = []
    with serving(tmp_path, clock, handler=handler) as server:
        upload = initiate(server, clock)
        put_part(server, clock, upload, 0, BODY)
        client = threading.Thread(target=completing, args=(server, clock, upload, ended))
        client.start()
        assert handler.paused.wait(20)
        assert (listed(server, clock), ended) == (still_open, [])
        handler.go_on.set()
        client.join()
        assert (listed(server, clock), ended) == (0, [201])
    assert handler.asked == [7]


def test_slow_work_is_done_also_when_the_client_has_gone(tmp_path: Path, clock: Clock) -> None:
    handler = held(Fault("CompleteMultipartUpload", Slow(7, "before")))
    with serving(tmp_path, clock, handler=handler) as server:
        upload = initiate(server, clock)
        put_part(server, clock, upload, 0, BODY)
        headers = {"x-amz-archive-size": str(MIB), "x-amz-sha256-tree-hash": tree_hash(BODY)}
        signed = sign("POST", upload, {**VERSION, **headers}, at=clock())
        with dialled(server) as wire:
            wire.sendall(head("POST", upload, {**signed, "Content-Length": "0"}))
            assert handler.paused.wait(20)
        handler.go_on.set()
        wait_until(lambda: listed(server, clock) == 0)
        assert len(list((tmp_path / "archives").iterdir())) == 1


def test_a_pause_ends_by_itself(tmp_path: Path, clock: Clock) -> None:
    with serving(tmp_path, clock, Fault("ListVaults", Slow(0.001))) as server:
        assert call(server, clock, "GET", "/-/vaults").status == 200


@pytest.mark.parametrize("act", [Slow(3600, "before"), Slow(3600), NeverAnswer()], ids=str)
def test_the_end_of_the_stand_in_ends_a_call_that_waits(
    tmp_path: Path, clock: Clock, act: Act
) -> None:
    fault = Fault("ListVaults", act)
    with serving(tmp_path, clock, fault) as server, dialled(server) as wire:
        signed = sign("GET", "/-/vaults", VERSION, at=clock())
        wire.sendall(head("GET", "/-/vaults", signed))
        wait_until(lambda: fault.met == 1)
        server.close()
        assert received(wire.recv) == b""
        assert server._listener._open == {}


def test_work_that_still_waits_at_the_end_of_the_stand_in_is_not_done(
    tmp_path: Path, clock: Clock
) -> None:
    fault = Fault("CreateVault", Slow(3600, "before"))
    with serving(tmp_path, clock, fault) as server, dialled(server) as wire:
        signed = sign("PUT", "/-/vaults/new", VERSION, at=clock())
        wire.sendall(head("PUT", "/-/vaults/new", signed))
        wait_until(lambda: fault.met == 1)
    with serving(tmp_path, clock) as server:
        assert server.store.vault("new") is None


def test_the_hash_is_left_out_of_the_answer_or_another_one(tmp_path: Path, clock: Clock) -> None:
    faults = [on_parts(LeaveHashOut()), Fault("UploadMultipartPart", EchoAnotherHash(), after=1)]
    with serving(tmp_path, clock, *faults) as server:
        upload = initiate(server, clock)
        first, second = (put_part(server, clock, upload, 0, BODY) for _ in range(2))
        assert (first.status, set(first.headers)) == (204, {"x-amzn-RequestId", "Date"})
        assert (second.status, second.headers["x-amz-sha256-tree-hash"]) == (204, "0" * 64)
        assert stored(server, clock, upload) == ALL


def test_a_refusal_says_what_it_was_told_to(tmp_path: Path, clock: Clock) -> None:
    faults = [
        on_parts(Refuse(400, "ThrottlingException", "Rate exceeded")),
        Fault("UploadMultipartPart", Refuse(503, "Busy"), after=1),
    ]
    with serving(tmp_path, clock, *faults) as server:
        upload = initiate(server, clock)
        first, second = (put_part(server, clock, upload, 0, BODY) for _ in range(2))
        assert first.said == (400, "ThrottlingException", "Rate exceeded")
        assert second.said == (503, "Busy", "The rehearsal refuses this on purpose.")
        assert stored(server, clock, upload) == []


def test_an_early_refusal_comes_while_the_body_is_still_on_its_way(
    tmp_path: Path, clock: Clock
) -> None:
    with serving(tmp_path, clock, on_parts(RefuseEarly(403, "Expired", "late"))) as server:
        upload = initiate(server, clock)
        with dialled(server) as wire:
            wire.sendall(part_head(upload, clock, BODY) + BODY[: 1 << 16])
            status, body = read_answer(wire)
        assert (status, body) == (403, b'{"code":"Expired","message":"late","type":"Client"}')
        assert stored(server, clock, upload) == []


def test_a_bare_answer_has_a_status_and_no_body(tmp_path: Path, clock: Clock) -> None:
    with serving(tmp_path, clock, on_parts(AnswerBare(502))) as server:
        upload = initiate(server, clock)
        reply = put_part(server, clock, upload, 0, BODY)
        assert (reply.status, reply.body) == (502, b"")
        assert "Content-Type" not in reply.headers
        assert stored(server, clock, upload) == []


@pytest.mark.parametrize("act", [CutInBody(), RefuseEarly(403, "x")], ids=str)
def test_a_fault_that_reads_the_body_asks_for_it_first(
    tmp_path: Path, clock: Clock, act: Act
) -> None:
    invited = b"HTTP/1.1 100 Continue\r\n\r\n"
    with serving(tmp_path, clock, on_parts(act)) as server:
        upload = initiate(server, clock)
        with dialled(server) as wire:
            wire.sendall(part_head(upload, clock, BODY, Expect="100-continue"))
            assert wire.recv(len(invited), socket.MSG_WAITALL) == invited
            with suppress(ConnectionError):  # the server may have cut it already
                wire.sendall(BODY)


# -- which calls -----------------------------------------------------------------------------

BUSY = Refuse(503, "Busy")


def statuses(server: RehearsalServer, clock: Clock, number: int) -> list[int]:
    return [call(server, clock, "GET", "/-/vaults").status for _ in range(number)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("ListVaults", BUSY), [503, 200, 200, 200]),
        (Fault("ListVaults", BUSY, times=2), [503, 503, 200, 200]),
        (Fault("ListVaults", BUSY, after=1), [200, 503, 200, 200]),
        (Fault("ListVaults", BUSY, after=1, times=2), [200, 503, 503, 200]),
        (Fault("ListVaults", BUSY, after=1, times=ALWAYS), [200, 503, 503, 503]),
        (Fault("ListParts", BUSY, times=ALWAYS), [200, 200, 200, 200]),
    ],
)
def test_a_fault_strikes_so_many_times_after_so_many_calls_that_went_well(
    tmp_path: Path, clock: Clock, fault: Fault, expected: list[int]
) -> None:
    with serving(tmp_path, clock, fault) as server:
        assert statuses(server, clock, 4) == expected


def test_a_fault_of_blocks_strikes_and_counts_them_alone(tmp_path: Path, clock: Clock) -> None:
    fault = Fault("UploadMultipartPart", BUSY, blocks=(1, 3), after=1, times=2)
    with serving(tmp_path, clock, fault) as server:
        upload = initiate(server, clock, part_size=2 * MIB)

        def put(block: int) -> int:
            return put_part(server, clock, upload, block * 2 * MIB, BODY).status

        answers = [put(block) for block in (0, 1, 2, 3, 1, 3, 0)]
        assert answers == [204, 204, 204, 503, 503, 204, 204]


def test_a_call_that_is_refused_anyway_meets_no_fault(tmp_path: Path, clock: Clock) -> None:
    fault = Fault("UploadMultipartPart", BUSY, blocks=(0,))
    with serving(tmp_path, clock, fault) as server:
        upload = initiate(server, clock)
        late = Clock(clock())
        late.move(hours=1)
        assert put_part(server, late, upload, 0, BODY).status == 403
        assert put_part(server, clock, upload, 0, BODY, content_range="bytes 5-4/*").status == 400
        assert put_part(server, clock, f"{upload}x", 0, BODY).status == 404
        assert fault.met == 0
        assert put_part(server, clock, upload, 0, BODY).status == 503


def test_a_stand_in_without_faults_takes_no_step_for_them(tmp_path: Path, clock: Clock) -> None:
    with serving(tmp_path, clock) as server:
        assert server._listener.RequestHandlerClass is Handler
