"""What people see: the screen of a terminal at several widths, a log, and nothing with --quiet."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glacier_mpu.cli.bar import BarDisplay
from glacier_mpu.cli.console import Console
from glacier_mpu.cli.lines import Lines
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB
from tests.support.displays import NOON, OUTAGE, OVER, opened, starts
from tests.support.faults import FOREVER, Fault, HoldBack, faulty, refuse
from tests.support.kit import Clock
from tests.support.screen import CTRL_C, Screen, screen_of
from tests.support.scripts import ROOT, VAULT, run, script_environment, started

MakeFile = Callable[..., Path]
BOTH = pytest.mark.parametrize("script", ["GlacierMPU.py", "GlacierMPUP.py"])
COLUMNS = pytest.mark.parametrize("columns", [60, 80, 120])
POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
STAMPED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")


def command(script: str, server: RehearsalServer, source: Path, *arguments: object) -> list[str]:
    words = [sys.executable, ROOT / script, "--source-path", source, "--vault", VAULT]
    words += ["--blocksize", 1, "--endpoint-url", server.endpoint_url, *arguments]
    return list(map(str, words))


@contextmanager
def on_screen(
    screen: Screen, words: list[str], server: RehearsalServer
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on this terminal; its stdout goes elsewhere."""
    environment = script_environment(server) | {"TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        words,
        env=environment,
        stdin=screen.tty,
        stdout=subprocess.DEVNULL,
        stderr=screen.tty,
        start_new_session=True,
        preexec_fn=screen.take_over,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@POSIX_ONLY
@COLUMNS
def test_a_run_is_seen_from_its_beginning_over_ctrl_c_to_its_end(
    make_file: MakeFile, tmp_path: Path, columns: int
) -> None:
    source = make_file(6 * MIB)
    first, second = HoldBack(drops=True), HoldBack()
    handler = faulty(Fault("UploadMultipartPart", first, after=2))
    with RehearsalServer(tmp_path / "g", handler=handler) as server:
        server.store.create_vault(VAULT)
        words = command("GlacierMPU.py", server, source, "--resume")
        with screen_of(columns) as screen, on_screen(screen, words, server) as process:
            screen.wait(lambda screen: "2/6" in screen.text and "/s, " in screen.text)
            (bar,) = screen.bars
            assert re.search(r"\d\d%\|.*\| .*\d [KM]iB/s, 0:00:\d\d.*, 2/6", bar)
            screen.press(CTRL_C)
            assert process.wait(30) == 130
            assert "stored so far: 2 of 6 blocks, 2.0 MiB of 6.0 MiB; " in screen.text
            assert "on the way were dropped" in screen.text
            assert len(screen.bars) == 1
            first.opened.set()
        handler.faults = [Fault("UploadMultipartPart", second)]
        with screen_of(columns) as screen, on_screen(screen, words, server) as process:
            assert second.reached.wait(30)
            screen.wait(lambda screen: bool(screen.bars))
            (bar,) = screen.bars
            assert re.search(r"[3-9]\d%\|.*2/6", bar)
            second.opened.set()
            assert process.wait(30) == 0
            (bar,) = screen.bars
            assert "100%|" in bar
            assert "6/6" in bar
            assert re.search(r"stored 6.0 MiB in \d:\d\d:\d\d", screen.text)


@POSIX_ONLY
@COLUMNS
def test_a_screen_shows_stalls_and_comparing_in_one_line(columns: int) -> None:
    clock = Clock()
    with screen_of(columns) as screen, os.fdopen(os.dup(screen.tty), "w") as stream:
        lines = Lines(Console(stream), now=lambda: NOON, environment={"NO_COLOR": "1"})
        display = BarDisplay(lines, clock=clock)
        display.hear(opened(480, stored=range(320)))
        for event in starts(to_send=160, to_compare=320):
            display.hear(event)
        shown = []

        def second(*, moving: int = 0) -> None:
            clock.passes(1)
            display.moved(moving)
            display.tick()
            shown.append(screen.bars)

        for _ in range(5):
            second(moving=MIB)
        assert re.search(r" 67%\|.*\| .*1.2 MiB/s, .*320/480.*, 0(/320|%) compared", screen.bars[0])
        for _ in range(58):
            second()
        assert re.search(r" 67%\|.*\| .*stalled 0:58, 320/480", screen.bars[0])
        display.hear(OUTAGE)
        second(moving=10)
        assert re.search(r" 67%\|.*\| .*stalled 0:59, 320/480", screen.bars[0])
        display.hear(OVER)
        for _ in range(5):
            second(moving=MIB)
        assert "stalled" not in screen.bars[0]
        display.close()
        assert all(len(bars) == 1 and len(bars[0]) <= columns - 3 for bars in shown)


@BOTH
def test_a_log_names_the_file_first_and_has_the_time_on_every_line(
    make_file: MakeFile, server: RehearsalServer, script: str
) -> None:
    source = make_file(3 * MIB, "a file.bin")
    words = ["--source-path", source, "--vault", VAULT, "--blocksize", 1]
    ended = run(script, *words, server=server)
    lines = ended.err.splitlines()
    assert lines[0].endswith(f"uploading '{source}' (3.0 MiB, 3 blocks of 1 MiB) to vault photos")
    assert all(STAMPED.match(line) for line in lines)
    assert any(re.search(r"stored 3.0 MiB in \d:\d\d:\d\d", line) for line in lines)
    assert "\x1b" not in ended.err


@BOTH
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_only_the_next_command_has_no_time_so_that_it_can_be_pasted(
    make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    gate = HoldBack()
    hold = Fault("UploadMultipartPart", gate, times=FOREVER, after=1)
    with RehearsalServer(tmp_path / "g", handler=faulty(hold)) as server:
        server.store.create_vault(VAULT)
        process = started(command(script, server, make_file(6 * MIB)), server)
        assert gate.reached.wait(30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        gate.opened.set()
    *lines, last = err.splitlines()
    assert all(STAMPED.match(line) for line in lines)
    assert not STAMPED.match(last)
    assert script in last


@BOTH
@pytest.mark.parametrize("rest", [[], ["--finish-upload", "False"]], ids=" ".join)
def test_a_clean_run_is_quiet_when_it_is_asked_to_be(
    make_file: MakeFile, server: RehearsalServer, script: str, rest: list[str]
) -> None:
    words = ["--source-path", make_file(3 * MIB), "--vault", VAULT, "--blocksize", 1, "--quiet"]
    ended = run(script, *words, *rest, server=server)
    assert (ended.code, ended.err) == (0, "")
    assert ended.result["upload-id" if rest else "archive-id"]


@BOTH
def test_a_quiet_run_in_trouble_names_its_file_and_its_upload(
    make_file: MakeFile, tmp_path: Path, script: str
) -> None:
    source = make_file(3 * MIB)
    no = refuse(403, "AccessDeniedException")
    with RehearsalServer(
        tmp_path / "g", handler=faulty(Fault("UploadMultipartPart", no, times=FOREVER))
    ) as server:
        server.store.create_vault(VAULT)
        words = ["--source-path", source, "--vault", VAULT, "--blocksize", 1, "--quiet"]
        ended = run(script, *words, server=server)
    lines = ended.err.splitlines()
    assert ended.code == 3
    assert f"uploading '{source}'" in lines[0]
    assert f"upload-id: {ended.result['upload-id']}" in lines[1]
    assert "--upload-id=" in lines[-1]


@BOTH
def test_what_is_refused_is_one_line_with_its_time(script: str) -> None:
    ended = run(script, "--source-path", "/no/such/file", "--vault", VAULT)
    (line,) = ended.err.splitlines()
    assert ended.code == 2
    assert re.match(STAMPED.pattern + "error: .*/no/such/file", line)
