"""The watcher of a run: it shows what the display shows, and answers whoever asks."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator
from datetime import datetime

import pytest

from glacier_mpu.cli.console import Console
from glacier_mpu.cli.inquiry import Inquiry
from glacier_mpu.cli.lines import Lines
from glacier_mpu.cli.options import parse
from glacier_mpu.cli.progress import QuietDisplay
from glacier_mpu.cli.status import StatusReport
from glacier_mpu.cli.watch import Watch
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.transfer.events import Amount, BlocksBegin, BlockSent, UploadOpened
from tests.support.kit import Clock
from tests.support.scripts import script_parser

if sys.platform == "win32":
    pytest.skip("POSIX signals", allow_module_level=True)

NOON = datetime(2026, 1, 2, 12, 0, 0)


class Watched:
    """A quiet run, and what it says."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.clock = Clock()
        words = ["--source-path", "a.zip", "--vault", "photos"]
        options = parse(script_parser("GlacierMPU.py"), words, command=["GlacierMPU.py"])
        lines = Lines(Console(self.stream), now=lambda: NOON)
        self.inquiry = Inquiry()
        self.watch = Watch(
            QuietDisplay(lines, clock=self.clock),
            inquiry=self.inquiry,
            status=StatusReport(options, warn=lambda text: pytest.fail(text)),
            command_of=lambda upload_id: f"resume {upload_id}",
        )

    @property
    def said(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def run() -> Iterator[Watched]:
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    run = Watched()
    run.inquiry.listen()
    yield run
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_is_answered_at_the_next_tick_with_one_line(run: Watched) -> None:
    run.watch.tick()
    signal.raise_signal(signal.SIGUSR1)
    assert run.said == []
    run.watch.tick()
    run.watch.tick()
    assert len(run.said) == 1
    assert "opening the upload" in run.said[0]


def test_the_line_says_how_far_the_run_is_and_also_when_it_is_quiet(run: Watched) -> None:
    watch = run.watch
    watch.hear(UploadOpened("an-id", Plan(4 * MIB, MIB), range(4)))
    watch.hear(BlocksBegin(Amount(4, 4 * MIB), Amount()))
    watch.moved(MIB)
    watch.hear(BlockSent(Block(number=0, offset=0, size=MIB)))
    signal.raise_signal(signal.SIGUSR1)
    watch.tick()
    assert run.said[-1].startswith("2026-01-02 12:00:00 sending: 1 of 4 blocks, 1.0 MiB of 4.0 MiB")


def test_a_signal_after_the_last_tick_is_answered_at_the_end(run: Watched) -> None:
    signal.raise_signal(signal.SIGUSR1)
    run.watch.close()
    assert len(run.said) == 1
    assert "opening the upload" in run.said[0]
