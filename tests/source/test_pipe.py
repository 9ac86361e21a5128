"""A stream while it is read: the end of its command, and ours."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from glacier_mpu.errors import CommandFailed
from glacier_mpu.source import pipe
from glacier_mpu.source.command import Command, Producer
from glacier_mpu.source.pipe import Stream, StreamSource
from glacier_mpu.stop import Stop, Stopped
from tests.support.kit import ignore

needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


def stream_of(line: str, on_read: Callable[[int], None] = ignore) -> Stream:
    source = StreamSource(command=Command(("sh", "-c", line)))
    return Stream(source, stop=Stop(), on_read=on_read, hear=ignore)


@needs_posix
@pytest.mark.timeout(60)
def test_a_failed_command_is_not_waited_for_though_what_it_began_holds_its_output() -> None:
    stream = stream_of("sleep 600 & kill -9 $$")
    with pytest.raises(CommandFailed, match="SIGKILL"):
        stream.refuse_if_empty()
    stream.end()
    stream.close()


@needs_posix
@pytest.mark.timeout(60)
def test_what_a_command_began_may_write_on_when_that_has_ended_well() -> None:
    read: list[int] = []
    stream = stream_of("{ sleep 0.5; echo late; } & exit 0", read.append)
    stream.refuse_if_empty()
    assert sum(read) == len("late\n")
    stream.end()
    stream.close()


@needs_posix
@pytest.mark.timeout(60)
def test_a_command_that_starts_just_when_the_run_ends_is_ended_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[Producer] = []

    def begin(*given: Any, **rest: Any) -> Producer:
        begun.append(Producer(*given, **rest))
        stream.end()
        return begun[0]

    monkeypatch.setattr(pipe, "Producer", begin)
    stream = stream_of("exec sleep 600")
    with pytest.raises(Stopped):
        stream.refuse_if_empty()
    with pytest.raises(CommandFailed, match="SIGTERM"):
        begun[0].wait(stop=Stop())
    stream.close()
