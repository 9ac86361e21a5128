"""A command whose output is uploaded: real processes, and every end that they can come to."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glacier_mpu.errors import CommandFailed, CommandUnusable
from glacier_mpu.source.command import LINES_KEPT, PIPE_SIZE, Command, Producer
from glacier_mpu.source.shell import Shell
from glacier_mpu.stop import Stop, Stopped
from tests.support.kit import ignore

needs_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")

Start = Callable[..., Producer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Give a function that starts a command and closes it in the end."""
    started: list[Producer] = []

    def starts(
        *words: str,
        in_shell: bool = False,
        hear: Callable[[str], None] = ignore,
        standard_input: int | None = None,
    ) -> Producer:
        command = Command(words, in_shell=in_shell)
        started.append(Producer(command, hear=hear, standard_input=standard_input))
        return started[-1]

    yield starts
    for producer in started:
        producer.close(grace_seconds=0)


def python(script: str) -> tuple[str, str, str]:
    return sys.executable, "-c", script


def failure(producer: Producer) -> CommandFailed:
    producer.stdout.readall()
    with pytest.raises(CommandFailed) as caught:
        producer.wait(stop=Stop())
    return caught.value


def pids(producer: Producer, count: int) -> list[int]:
    """Return the process numbers with which the command begins its output, a line for each."""
    return [int(line(producer)) for _ in range(count)]


def line(producer: Producer) -> bytes:
    read = b""
    while not read.endswith(b"\n"):
        byte = producer.stdout.read(1)
        assert byte, "the output has ended"
        read += byte
    return read


def runs(pid: int) -> bool:
    """Tell whether the process runs; one that has ended and that nobody asked for does not."""
    done = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE, check=False
    )
    return done.stdout.strip()[:1] not in (b"", b"Z")


# -- what it is called


def test_a_command_is_called_what_could_be_typed_and_its_lines_by_its_program() -> None:
    command = Command(("/usr/bin/tar", "c", "/my data"))
    assert (command.name, command.program) == ("/usr/bin/tar c '/my data'", "tar")


def test_a_line_for_the_shell_is_called_as_it_stands() -> None:
    command = Command(("tar c '/my data' | zstd",), in_shell=True)
    assert (command.name, command.program) == ("tar c '/my data' | zstd", "command")
    assert pickle.loads(pickle.dumps(command)) == command


@pytest.mark.parametrize(
    ("line", "in_shell", "hides"),
    [
        ("tar c /data | zstd", True, True),
        ("a || b | c", True, True),
        ("test -d /data || exit 1", True, False),
        ("tar c /data", True, False),
        ("tar|", False, False),
    ],
)
def test_only_a_shell_that_sees_the_last_program_alone_hides_failures_and_only_in_pipelines(
    line: str, in_shell: bool, hides: bool
) -> None:
    command = Command((line,), in_shell=in_shell)
    assert command.hides_failures(lambda: Shell(("sh", "-c"), sees_pipeline=False)) is hides
    assert not command.hides_failures(lambda: Shell(("bash", "-c"), sees_pipeline=True))


# -- how it is started


def test_what_it_writes_is_read_byte_for_byte_and_it_ends_well(start: Start) -> None:
    script = "import os; os.write(1, bytes(range(256)) * 4000)"
    producer = start(*python(script))
    assert producer.stdout.readall() == bytes(range(256)) * 4000
    producer.wait(stop=Stop())


@needs_posix
def test_a_line_is_run_by_a_shell(start: Start) -> None:
    producer = start("printf 'a b' | tr a-z A-Z", in_shell=True)
    assert producer.stdout.readall() == b"A B"
    producer.wait(stop=Stop())


def test_words_reach_the_program_as_they_are(start: Start) -> None:
    script = "import sys; sys.stdout.write('|'.join(sys.argv[1:]))"
    producer = start(*python(script), "$HOME *", "", "it's", 'say "no"')
    assert producer.stdout.readall() == b'$HOME *||it\'s|say "no"'


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("no-such-program", "cannot run 'no-such-program': there is no such program"),
        ("nul\0", "cannot run .*nul.*: embedded null"),
    ],
)
def test_a_program_that_is_not_there_is_unusable(name: str, fact: str) -> None:
    with pytest.raises(CommandUnusable, match=fact):
        Producer(Command((name, "c")), hear=ignore)


@needs_posix
@pytest.mark.parametrize(
    ("content", "mode", "fact"),
    [
        ("#!/bin/sh\n", 0o644, "Permission denied"),
        ("#!/no/such/python\n", 0o755, "its interpreter is missing"),
        ("echo\n", 0o755, "Exec format error"),
    ],
)
def test_a_program_that_cannot_be_executed_is_unusable(
    tmp_path: Path, content: str, mode: int, fact: str
) -> None:
    path = tmp_path / "program"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(CommandUnusable, match=f"cannot run '{path}.*': {fact}"):
        Producer(Command((str(path),)), hear=ignore)


@needs_posix
def test_a_program_has_no_terminal_to_ask_at(start: Start) -> None:
    script = """
import os
print(os.getsid(0) == os.getpid())
os.open("/dev/tty", os.O_RDWR)
"""
    producer = start(*python(script))
    assert line(producer) == b"True\n"
    assert "/dev/tty" in failure(producer).said[-1]


@needs_posix
def test_a_program_is_ended_by_a_pipe_that_nobody_reads_though_we_are_not(start: Start) -> None:
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
    message = failure(start("sh", "-c", "kill -PIPE $$")).message
    assert message == "the command was killed by signal 13 (SIGPIPE)"


@needs_posix
def test_a_program_inherits_no_file_of_ours(start: Start, tmp_path: Path) -> None:
    with (tmp_path / "spool").open("wb") as spool:
        os.set_inheritable(spool.fileno(), True)
        script = f"import os; os.fstat({spool.fileno()})"
        assert failure(start(*python(script))).said[-1].startswith("OSError: [Errno 9]")


@needs_posix
def test_a_program_reads_our_standard_input_where_there_is_something_to_read(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"data")
    with (tmp_path / "file").open("rb") as file:
        assert start("cat", standard_input=file.fileno()).stdout.readall() == b"data"


@needs_posix
def test_a_program_finds_nothing_to_read_where_ours_is_a_terminal_or_closed(start: Start) -> None:
    main, terminal = os.openpty()
    assert start("cat", standard_input=terminal).stdout.readall() == b""
    assert start("cat", standard_input=None).stdout.readall() == b""
    os.close(terminal)
    os.close(main)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot")
def test_its_pipe_holds_a_mebibyte(start: Start) -> None:
    import fcntl

    assert fcntl.fcntl(start("true").stdout, fcntl.F_GETPIPE_SZ) == PIPE_SIZE


# -- how it ends


@pytest.mark.parametrize("status", [1, 2, 255])
def test_an_exit_status_is_named(start: Start, status: int) -> None:
    message = failure(start(*python(f"import sys; sys.exit({status})"))).message
    assert message == f"the command ended with exit status {status}"


@needs_posix
@pytest.mark.parametrize(("number", "text"), [(9, "9 (SIGKILL)"), (11, "11 (SIGSEGV)")])
def test_a_signal_that_killed_it_is_named(start: Start, number: int, text: str) -> None:
    message = failure(start(*python(f"import os; os.kill(os.getpid(), {number})"))).message
    assert message == f"the command was killed by signal {text}"


@needs_bash
@needs_posix
def test_a_program_of_a_line_that_fails_or_is_killed_fails_the_line(start: Start) -> None:
    for line_of_shell, said in (
        ("sh -c 'echo half; exit 7' | cat", "exit status 7"),
        ("sh -c 'echo half; kill -9 $$' | cat", "exit status 137 (128 + 9: SIGKILL)"),
        ("exit 255", "exit status 255"),
    ):
        error = failure(start(line_of_shell, in_shell=True))
        assert error.message == f"the command ended with {said}"


@needs_posix
@needs_bash
def test_a_failure_is_a_failure_where_the_caller_has_the_ends_of_children_ignored() -> None:
    """The system keeps no exit status then, and Python's own wait gives 0."""
    script = """
from glacier_mpu.errors import CommandFailed
from glacier_mpu.source.command import Command, Producer
from glacier_mpu.stop import Stop
producer = Producer(Command(("false",)), hear=print)
try:
    producer.wait(stop=Stop())
except CommandFailed as error:
    print(error.message)
producer.close()
"""
    line_of_shell = f'trap "" CHLD; exec "{sys.executable}" -c "$1"'
    done = subprocess.run(
        ["bash", "-c", line_of_shell, "bash", script], stdout=subprocess.PIPE, check=True
    )
    assert done.stdout == b"the command ended with exit status 1\n"


@needs_posix
def test_where_its_end_could_not_be_told_it_is_not_started(start: Start) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    refusals: list[BaseException] = []

    def try_to_start() -> None:
        try:
            start("true")
        except CommandUnusable as error:
            refusals.append(error)

    try:
        thread = threading.Thread(target=try_to_start)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "SIGCHLD is ignored" in str(refusals[0])


def test_what_it_says_is_heard_and_a_failure_holds_the_last_lines(start: Start) -> None:
    script = "import sys; [print(n, file=sys.stderr) for n in range(30)]; sys.exit(2)"
    heard: list[str] = []
    error = failure(start(*python(script), hear=heard.append))
    assert heard == [str(number) for number in range(30)]
    assert error.said == tuple(heard[-LINES_KEPT:])


def test_a_stop_ends_the_wait_for_a_command_that_runs_on(start: Start) -> None:
    producer = start(*python("import sys, time; sys.stderr.write('up\\n'); time.sleep(600)"))
    stop = Stop()
    timer = threading.Timer(0.05, stop.ask)
    timer.start()
    with pytest.raises(Stopped):
        producer.wait(stop=stop)
    timer.join()


# -- how it is ended


@pytest.mark.timeout(60)
def test_closing_ends_a_command_that_runs_and_may_be_repeated(start: Start) -> None:
    producer = start(*python("import time; print('up', flush=True); time.sleep(600)"))
    line(producer)
    producer.close()
    producer.close()
    assert producer.stdout.closed
    with pytest.raises(CommandFailed):
        producer.wait(stop=Stop())


@needs_posix
@pytest.mark.parametrize(
    "script",
    [
        "echo $$; sleep 600 & echo $!; wait",
        "echo $$; sleep 600 & echo $!; exit 0",
        "echo $$; sleep 600 & echo $!; kill -STOP $! $$",
        "echo $$; sleep 600 | cat >/dev/null & echo $!; kill -9 $$",
    ],
    ids=["both run", "only what it began runs", "both are halted", "its leader was killed"],
)
@pytest.mark.timeout(60)
def test_closing_ends_all_that_it_began(start: Start, script: str) -> None:
    producer = start("sh", "-c", script)
    both = pids(producer, 2)
    producer.close()
    assert not any(map(runs, both))


@needs_posix
@pytest.mark.timeout(60)
def test_what_does_not_heed_the_request_is_killed_after_the_grace(start: Start) -> None:
    deaf = "trap '' TERM; echo $$; sleep 600 & echo $!; wait"
    producer = start("sh", "-c", deaf)
    both = pids(producer, 2)
    assert all(map(runs, both))
    producer.close(grace_seconds=0.1)
    assert not any(map(runs, both))


@needs_posix
@pytest.mark.timeout(60)
def test_what_heeds_the_request_has_time_to_put_things_in_order(
    start: Start, tmp_path: Path
) -> None:
    script = f"trap 'echo > {tmp_path}/tidy; exit' TERM; echo; while :; do sleep 0.01; done"
    producer = start("sh", "-c", script)
    line(producer)
    producer.close()
    assert (tmp_path / "tidy").exists()


@needs_posix
@pytest.mark.timeout(60)
def test_a_reader_that_waits_comes_to_the_end_when_it_is_closed(start: Start) -> None:
    producer = start("sh", "-c", "echo; exec sleep 600")
    line(producer)
    read: list[bytes | None] = []
    reader = threading.Thread(target=lambda: read.append(producer.stdout.read(1)))
    reader.start()
    producer.close()
    reader.join()
    assert read == [b""]


@needs_posix
@pytest.mark.timeout(60)
def test_once_closed_nothing_more_is_heard(start: Start) -> None:
    heard: list[str] = []
    script = "trap 'echo late >&2; exit' TERM; echo early >&2; echo; while :; do sleep 0.01; done"
    producer = start("sh", "-c", script, hear=heard.append)
    line(producer)
    producer.close()
    assert heard in (["early"], [])


@needs_posix
@pytest.mark.timeout(60)
def test_others_that_have_left_its_session_do_not_hold_up_the_end(start: Start) -> None:
    """A daemon that the command has started keeps its stderr open for ever."""
    script = (
        "import subprocess; p = subprocess.Popen(['sleep', '600'], start_new_session=True, "
        "stdout=subprocess.DEVNULL); print(p.pid)"
    )
    producer = start(*python(script))
    daemon = pids(producer, 1)[0]
    try:
        assert producer.stdout.readall() == b""
        producer.wait(stop=Stop())
        producer.close()
        assert runs(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)
