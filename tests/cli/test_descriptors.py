"""Open files: a run has as many as it needs, or is refused with the number of threads that fits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.cli.descriptors import make_room
from glacier_mpu.errors import TooManySlots
from tests.support.scripts import ROOT, VAULT, script_environment

resource = pytest.importorskip("resource", reason="this system has no such limit")
MakeFile = Callable[..., Path]
MIB = 1 << 20


def limited(
    source: Path, folder: Path, *more: str, soft: int, hard: int
) -> subprocess.CompletedProcess[str]:
    """Rehearse with the parallel script in a process of these limits."""
    begin = (
        "import os, resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    words = [str(ROOT / "GlacierMPUP.py"), "--source-path", str(source), "--vault", VAULT]
    words += ["--rehearse", str(folder), "--blocksize", "1", "--retry-minutes", "0", *more]
    return subprocess.run(
        [sys.executable, "-c", begin, *words, "--output", "json"],
        env=script_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_soft_limit_is_raised_to_what_the_threads_need(
    make_file: MakeFile, tmp_path: Path
) -> None:
    done = limited(
        make_file(48 * MIB),
        tmp_path / "r",
        *("--threads", "48", "--max-bandwidth", "48MiB"),
        soft=64,
        hard=1024,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["retries"] == 0


def test_threads_that_do_not_fit_are_refused_with_the_number_that_does(
    make_file: MakeFile, tmp_path: Path
) -> None:
    source = make_file(32 * MIB)
    done = limited(source, tmp_path / "r", "--threads", "200", soft=128, hard=128)
    assert done.returncode == 2, done.stderr
    assert not (tmp_path / "r").exists()
    most = done.stderr.partition("use --threads ")[2].partition(",")[0]
    assert int(most) > 4
    more = ("--threads", most, "--max-bandwidth", "64MiB")
    done = limited(source, tmp_path / "r", *more, soft=128, hard=128)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["retries"] == 0
    one_more = str(int(most) + 1)
    done = limited(source, tmp_path / "r", "--threads", one_more, soft=128, hard=128)
    assert done.returncode == 2


def test_auto_is_refused_where_it_might_come_to_more_than_fits(
    make_file: MakeFile, tmp_path: Path
) -> None:
    done = limited(make_file(5), tmp_path / "r", "--threads", "auto", soft=128, hard=128)
    assert done.returncode == 2
    assert "32 blocks at once" in done.stderr
    assert "use --threads" in done.stderr


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], list[tuple[int, int]]]:
    """Return what pretends limits, and returns the list of those that are asked for."""

    def limits(soft: int, hard: int) -> list[tuple[int, int]]:
        asked: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, pair: asked.append(pair))
        return asked

    return limits


def test_a_limit_that_has_no_end_is_left_alone(
    limits: Callable[[int, int], list[tuple[int, int]]],
) -> None:
    asked = limits(resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    make_room(10_000, rehearses=False)
    assert asked == []


def test_a_soft_limit_that_is_enough_is_left_alone(
    limits: Callable[[int, int], list[tuple[int, int]]],
) -> None:
    asked = limits(1024, 4096)
    make_room(200, rehearses=False)
    assert asked == []
    make_room(200, rehearses=True)
    ((soft, hard),) = asked
    assert 1200 < soft < 1400
    assert hard == 4096


def test_a_block_of_a_stream_has_two_more_files(
    limits: Callable[[int, int], list[tuple[int, int]]],
) -> None:
    asked = limits(16, 4096)
    for spools in (False, True):
        make_room(200, rehearses=False, spools=spools)
    (without, _), (with_spool, _) = asked
    assert with_spool - without == 2 * 200


def test_a_soft_limit_that_cannot_be_raised_though_the_hard_one_is_higher_refuses(
    limits: Callable[[int, int], list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits(256, resource.RLIM_INFINITY)

    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(TooManySlots, match="this process may have 256") as caught:
        make_room(200, rehearses=False)
    assert 0 < caught.value.most < 80


def test_where_not_even_one_block_fits_no_number_is_named(
    limits: Callable[[int, int], list[tuple[int, int]]],
) -> None:
    limits(8, 8)
    with pytest.raises(TooManySlots) as caught:
        make_room(1, rehearses=False)
    assert caught.value.most == 0
