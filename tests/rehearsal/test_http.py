"""How the stand-in behaves on the wire: bodies, connections, faults, and its own command line."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.__main__ import greeting
from glacier_mpu.rehearsal.files import Incoming
from glacier_mpu.rehearsal.http import Handler
from glacier_mpu.rehearsal.operations import Digests
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, SECRET_KEY, Answer, Call, Refusal
from tests.support.wire_client import (
    MIB,
    VAULT,
    VERSION,
    Clock,
    call,
    complete,
    dialled,
    hashes,
    head,
    initiate,
    part_head,
    pattern,
    put_part,
    read_answer,
    sign,
    stored,
    tree_hash,
)

BODY = pattern(MIB)
ARCHIVES = f"/-/vaults/{VAULT}/archives"


@contextmanager
def serving(
    folder: Path, clock: Clock, handler: type[Handler] = Handler, *, idle_seconds: float = 60
) -> Iterator[RehearsalServer]:
    with RehearsalServer(
        folder, now=clock, handler=handler, idle_timeout_seconds=idle_seconds
    ) as server:
        server.store.create_vault(VAULT)
        yield server


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[RehearsalServer]:
    with serving(tmp_path / "vaults", clock) as server:
        yield server


# -- bodies ----------------------------------------------------------------------------------


def test_a_refusal_is_answered_before_the_body_is_sent(
    server: RehearsalServer, clock: Clock
) -> None:
    upload = f"/-/vaults/{VAULT}/multipart-uploads/{'u' * 92}"
    with dialled(server) as wire:
        wire.sendall(part_head(upload, clock, BODY, Content_Length=str(4096 * MIB)))
        status, body = read_answer(wire)
    assert (status, json.loads(body)["code"]) == (404, "ResourceNotFoundException")


def test_a_client_that_sends_its_whole_body_first_still_sees_the_refusal(
    server: RehearsalServer, clock: Clock
) -> None:
    target, body = "/-/vaults/other/archives", b"x" * (24 * MIB)
    reply = call(server, clock, "POST", target, hashes(body), body)
    assert reply.said[:2] == (404, "ResourceNotFoundException")
    assert reply.headers["Connection"] == "close"


def test_one_connection_carries_many_calls_also_refused_ones(
    server: RehearsalServer, clock: Clock
) -> None:
    upload = initiate(server, clock)
    wire = http.client.HTTPConnection(server.endpoint_url[7:], timeout=20)
    with closing(wire):
        for target, status in [(upload, 200), (f"{upload}x", 404), (upload, 200)]:
            wire.request("GET", target, headers=sign("GET", target, VERSION, at=clock()))
            port = wire.sock.getsockname()[1]
            response = wire.getresponse()
            response.read()
            assert response.status == status
            assert wire.sock is not None
            assert wire.sock.getsockname()[1] == port


def test_a_body_is_invited_with_100_only_if_it_will_be_taken(
    server: RehearsalServer, clock: Clock
) -> None:
    upload = initiate(server, clock)
    invited = b"HTTP/1.1 100 Continue\r\n\r\n"
    with dialled(server) as wire:
        wire.sendall(part_head(upload, clock, BODY, Expect="100-continue"))
        assert wire.recv(len(invited), socket.MSG_WAITALL) == invited
        wire.sendall(BODY)
        assert wire.recv(13, socket.MSG_WAITALL) == b"HTTP/1.1 204 "
    with dialled(server) as wire:
        wire.sendall(part_head(f"{upload}x", clock, BODY, Expect="100-continue"))
        assert wire.recv(13, socket.MSG_WAITALL) == b"HTTP/1.1 404 "


@pytest.mark.parametrize(
    ("framing", "code", "message"),
    [
        pytest.param({}, "MissingParameterValueException", "Content-Length", id="no length"),
        pytest.param(
            {"Transfer-Encoding": "chunked"},
            "MissingParameterValueException",
            "Content-Length",
            id="chunked",
        ),
        pytest.param(
            {"Transfer-Encoding": "chunked", "Content-Length": "1"},
            "MissingParameterValueException",
            "Content-Length",
            id="chunked with a length",
        ),
        pytest.param({"Content-Length": "-1"}, "BadRequest", "not a number", id="negative"),
        pytest.param({"Content-Length": "+1"}, "BadRequest", "not a number", id="with a sign"),
        pytest.param({"Content-Length": "1,1"}, "BadRequest", "not a number", id="two lengths"),
    ],
)
def test_a_body_needs_one_plain_content_length_and_not(
    server: RehearsalServer, clock: Clock, framing: dict[str, str], code: str, message: str
) -> None:
    signed = sign("POST", ARCHIVES, {**VERSION, **hashes(b"x")}, at=clock())
    with dialled(server) as wire:
        wire.sendall(head("POST", ARCHIVES, {**signed, **framing, "Connection": "close"}))
        wire.sendall(b"1\r\nx\r\n0\r\n\r\n" if "Transfer-Encoding" in framing else b"")
        status, body = read_answer(wire)
    assert (status, json.loads(body)["code"]) == (400, code)
    assert message in json.loads(body)["message"]


def test_a_body_that_stalls_gets_408_and_is_not_stored(tmp_path: Path, clock: Clock) -> None:
    with serving(tmp_path, clock) as server:
        upload = initiate(server, clock)
    request = part_head(upload, clock, BODY) + BODY[:-1]
    with serving(tmp_path, clock, idle_seconds=0.2) as server, dialled(server) as wire:
        wire.sendall(request)
        status, body = read_answer(wire)
    assert (status, body) == (
        408,
        b'{"code":"RequestTimeoutException","message":"Request timed out.","type":"Client"}',
    )
    with serving(tmp_path, clock) as server:
        assert stored(server, clock, upload) == []


def test_a_client_that_hangs_up_leaves_no_part_and_no_noise(
    server: RehearsalServer, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    upload = initiate(server, clock)
    with dialled(server) as wire:
        wire.sendall(part_head(upload, clock, BODY) + BODY[: MIB // 2])
        wire.shutdown(socket.SHUT_WR)
        assert wire.recv(1) == b""
    assert stored(server, clock, upload) == []
    assert put_part(server, clock, upload, 0, BODY).status == 204
    assert list((server.folder / "incoming").iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_a_500_in_plain_words_and_records_nothing(
    tmp_path: Path, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    class OnFullDisk(Handler):
        def receive(self, call: Call, body: Incoming) -> Digests:
            with closing(Incoming(Path("/dev/full"))) as full:
                return super().receive(call, full)

    with serving(tmp_path, clock) as server:
        upload = initiate(server, clock)
        assert put_part(server, clock, upload, 0, BODY).status == 204
    with serving(tmp_path, clock, OnFullDisk) as server:
        for first in (0, MIB):
            reply = put_part(server, clock, upload, first, pattern(MIB, seed=1))
            assert reply.said == (
                500,
                "ServiceUnavailableException",
                "The rehearsal folder cannot be used: No space left on device.",
            )
            assert reply.json["type"] == "Server"
        assert stored(server, clock, upload) == [(f"0-{MIB - 1}", tree_hash(BODY))]
        assert list((tmp_path / "incoming").iterdir()) == []
    with serving(tmp_path, clock) as server:
        assert complete(server, clock, upload, size=MIB, tree=tree_hash(BODY)).status == 201
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\r\n", id="TLS"),
        pytest.param(b"GET /\r\n\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"PATCH /-/vaults HTTP/1.1\r\n\r\n", id="an unknown method"),
        pytest.param(b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n", id="an endless path"),
        pytest.param(b"GET http://a/-/vaults HTTP/1.1\r\n\r\n", id="an absolute target"),
    ],
)
def test_what_is_no_call_at_all_gets_a_refusal_and_no_noise(
    server: RehearsalServer, capfd: pytest.CaptureFixture[str], request_bytes: bytes
) -> None:
    with dialled(server) as wire:
        wire.sendall(request_bytes)
        wire.shutdown(socket.SHUT_WR)
        status, body = read_answer(wire)
    assert status == 400
    assert json.loads(body)["type"] == "Client"
    assert capfd.readouterr() == ("", "")


# -- seams for faults ------------------------------------------------------------------------


def test_a_fault_of_the_stand_in_is_a_500_and_a_traceback(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    class Faulty(Handler):
        def perform(self, call: Call) -> Answer:
            raise ZeroDivisionError(call.operation)

    with serving(tmp_path, clock, Faulty) as server:
        reply = call(server, clock, "POST", ARCHIVES, hashes(BODY), BODY)
    assert reply.said[:2] == (500, "ServiceUnavailableException")
    assert "ZeroDivisionError: UploadArchive" in capsys.readouterr().err


def test_a_handler_can_refuse_before_it_reads_lie_and_lose_its_answer(
    tmp_path: Path, clock: Clock
) -> None:
    class Moody(Handler):
        def admit(self, call: Call) -> None:
            super().admit(call)
            if call.headers["content-range"].startswith("bytes 0-"):
                raise Refusal(400, "ThrottlingException", "Rate exceeded")

        def perform(self, call: Call) -> Answer:
            return replace(super().perform(call), headers={"x-amz-sha256-tree-hash": "0" * 64})

        def send(self, call: Call, answer: Answer) -> None:
            if call.headers["content-range"].startswith("bytes 2097152-"):
                raise ConnectionResetError
            super().send(call, answer)

    with serving(tmp_path, clock) as server:
        upload = initiate(server, clock)
    with serving(tmp_path, clock, Moody) as server:
        refused = put_part(server, clock, upload, 0, BODY)
        assert refused.said == (400, "ThrottlingException", "Rate exceeded")
        lied = put_part(server, clock, upload, MIB, BODY)
        assert (lied.status, lied.headers["x-amz-sha256-tree-hash"]) == (204, "0" * 64)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            put_part(server, clock, upload, 2 * MIB, BODY)
    with serving(tmp_path, clock) as server:
        assert [first for first, _ in stored(server, clock, upload)] == [
            f"{MIB}-{2 * MIB - 1}",
            f"{2 * MIB}-{3 * MIB - 1}",
        ]


def test_a_handler_can_cut_the_connection_in_the_middle_of_a_body(
    tmp_path: Path, clock: Clock
) -> None:
    class Cutting(Handler):
        def receive(self, call: Call, body: Incoming) -> Digests:
            body.write(self.rfile.read(1000))
            raise ConnectionResetError

    body = b"x" * (24 * MIB)  # more than the system's buffers take
    with serving(tmp_path, clock, Cutting) as server, pytest.raises(ConnectionError):
        call(server, clock, "POST", ARCHIVES, hashes(body), body)
    assert not list((tmp_path / "incoming").iterdir())


# -- many at once, and the end ---------------------------------------------------------------


def test_ten_connections_at_once_store_ten_parts(server: RehearsalServer, clock: Clock) -> None:
    upload, pieces = initiate(server, clock), [pattern(MIB, seed=seed) for seed in range(10)]
    threads = [
        threading.Thread(target=put_part, args=(server, clock, upload, index * MIB, piece))
        for index, piece in enumerate(pieces)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = b"".join(pieces)
    reply = complete(server, clock, upload, size=len(whole), tree=tree_hash(whole))
    archive = server.store.archive_path(reply.headers["x-amz-archive-id"])
    assert sha256(archive.read_bytes()).digest() == sha256(whole).digest()


def test_closing_twice_ends_open_connections_and_frees_the_port(
    tmp_path: Path, clock: Clock
) -> None:
    server = RehearsalServer(tmp_path, now=clock)
    server.close()  # never started
    server = RehearsalServer(tmp_path, now=clock)
    port = int(server.endpoint_url.rpartition(":")[2])
    with server, dialled(server) as wire:
        wire.sendall(b"GET ")
        server.close()
        server.close()
        with suppress(ConnectionResetError):  # if nobody had read the first bytes yet
            assert wire.recv(1) == b""
    with RehearsalServer(tmp_path, now=clock, port=port) as again:
        assert again.endpoint_url == server.endpoint_url


# -- the command -----------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "glacier_mpu.rehearsal", *arguments]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
def test_the_command_says_how_to_use_it_and_ends_cleanly_on(tmp_path: Path, name: str) -> None:
    with subprocess.Popen(
        command("--dir", str(tmp_path / "new" / "folder"), "--port", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(12)]
        process.send_signal(getattr(signal, name))
        rest = process.communicate(timeout=20)
    assert (process.returncode, *rest) == (0, "", "")
    assert said[0].startswith("# endpoint: http://127.0.0.1:")
    endpoint = said[0].split()[-1]
    assert f"export AWS_ENDPOINT_URL_GLACIER={endpoint}\n" in said
    assert f"# --endpoint-url {endpoint} with each command.\n" in said  # for old AWS CLIs
    assert "# faults:   none\n" in said
    assert said[-1].startswith("# Ctrl-C ")
    assert f"export AWS_ACCESS_KEY_ID={ACCESS_KEY}\n" in said
    assert f"export AWS_SECRET_ACCESS_KEY={SECRET_KEY}\n" in said
    assert all(line.startswith(("# ", "export AWS_")) for line in said)


def test_on_windows_it_is_said_in_words_of_cmd_and_of_powershell(server: RehearsalServer) -> None:
    lines = greeting(server, [], windows=True).splitlines()
    assert f"set AWS_ENDPOINT_URL_GLACIER={server.endpoint_url}" in lines
    assert f"set AWS_SECRET_ACCESS_KEY={SECRET_KEY}" in lines
    assert all(line.startswith(("rem ", "set AWS_")) for line in lines)
    (for_powershell,) = [line for line in lines if "PowerShell" in line]
    assert f"; $env:AWS_ENDPOINT_URL_GLACIER='{server.endpoint_url}'" in for_powershell


def test_a_folder_whose_name_the_output_cannot_spell_is_served(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("--dir", str(tmp_path / "写真")),
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(12)]
        process.kill()
        process.communicate(timeout=20)
    assert any(r"\u5199" in line for line in said)


def test_a_port_in_use_and_an_unusable_folder_are_one_message_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "vaults.sqlite3").write_bytes(b"no database " * 100)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        rows = [
            (("--dir", str(tmp_path / "new"), "--port", port), port),
            (("--dir", str(tmp_path / "file")), str(tmp_path / "file")),
            (("--dir", str(tmp_path / "junk")), "not usable as a database"),
            (("--dir", str(tmp_path), "--port", "70000"), "from 0 to 65535"),
            (("--dir", str(tmp_path), "--port", "http"), "--port"),
        ]
        for arguments, message in rows:
            ended = subprocess.run(
                command(*arguments), capture_output=True, text=True, timeout=20, check=False
            )
            assert (ended.returncode, ended.stdout) == (2, "")
            assert message in ended.stderr
            assert "Traceback" not in ended.stderr
