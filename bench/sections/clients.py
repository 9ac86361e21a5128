"""All clients side by side, in turn, round after round; and the floor in the same rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import environments, floor
from harness.bench import GIB, MIB, Bench, CommandFailed, filled, medians, warm
from harness.servers import Server

_PEERS = Path(__file__).resolve().parent.parent / "peers"


@dataclass(frozen=True, slots=True)
class Client:
    """A way to upload: `command(bench, server, file, streams)`. `most_rounds` for slow ones."""

    name: str
    title: str
    environment: str
    command: Callable[[Bench, Server, Path, int], list[Any]]
    streams: tuple[int, ...] = (1, 3)
    most_rounds: int = 1000


def _ours(bench: Bench, _: Server, file: Path, streams: int) -> list[Any]:
    return _script(bench, file, [] if streams == 1 else ["--threads", streams])


def _ours_auto(bench: Bench, _: Server, file: Path, __: int) -> list[Any]:
    return _script(bench, file, ["--threads", "auto"])


def _script(bench: Bench, file: Path, threads: list[Any]) -> list[Any]:
    script = "GlacierMPUP" if threads else "GlacierMPU"
    block = bench.options.block_size // MIB
    return bench.ours(script, "--source-path", file, "--blocksize", block, *threads)


def _glacier_upload(bench: Bench, _: Server, file: Path, streams: int) -> list[Any]:
    program = environments.executable("glacier_upload", "glacier")
    block = bench.options.block_size // MIB
    return [program, "upload", "bench", file, "-d", "bench", "-p", block, "-t", streams]


def _awscli(bench: Bench, _: Server, file: Path, streams: int) -> list[Any]:
    program = environments.executable("awscli", "aws")
    block, folder = bench.options.block_size, bench.path("awscli-parts")
    return ["sh", _PEERS / "awscli.sh", program, file, block, streams, folder]


def _boto2(bench: Bench, server: Server, file: Path, streams: int) -> list[Any]:
    program = environments.executable("boto")
    return [program, _PEERS / "boto2.py", file, bench.options.block_size, streams, server.url()]


def _boto2_quiet(bench: Bench, server: Server, file: Path, streams: int) -> list[Any]:
    return [*_boto2(bench, server, file, streams), "--without-debug-line"]


def _naive(bench: Bench, server: Server, file: Path, streams: int) -> list[Any]:
    block = bench.options.block_size
    return [bench.python, _PEERS / "naive.py", file, block, streams, server.url()]


CLIENTS = (
    Client("ours", "this project", "main", _ours),
    Client("ours_auto", "this project, --threads auto", "main", _ours_auto, streams=(3,)),
    Client("glacier_upload", "glacier_upload (PyPI)", "glacier_upload", _glacier_upload),
    Client("awscli", "AWS CLI v1, split files", "awscli", _awscli),
    Client("boto2", "boto 2, as it is", "boto", _boto2, most_rounds=1),
    Client("boto2_quiet", "boto 2 less a debug line", "boto", _boto2_quiet),
    Client("naive", "boto3, naive script", "main", _naive),
)


def run(bench: Bench) -> dict[str, Any]:
    """Measure every client that runs here, and the floor."""
    options = bench.options
    file = filled(bench.path("random"), options.size)
    skipped: dict[str, str] = {}
    raw: dict[str, list[dict[str, float]]] = {}
    floors: dict[str, list[dict[str, float]]] = {work: [] for work in floor.PARTS}
    with bench.server() as server:
        for number in range(options.rounds):
            warm(file)
            for work, runs in floors.items():
                runs.append(floor.probe(bench, server, work, path=file, size=options.size))
            for client in CLIENTS:
                if number < client.most_rounds:
                    _turn(bench, server, client, file, raw, skipped)
            bench.say(f"clients: round {number + 1} of {options.rounds} done")
    return {
        "clients": {name: {"runs": runs, "median": medians(runs)} for name, runs in raw.items()},
        "titles": {client.name: client.title for client in CLIENTS},
        "skipped": skipped,
        "floor": floor.computed(floors, size=options.size, cores=bench.results["machine"]["cores"]),
        "cores": bench.results["machine"]["cores"],
        "size": options.size,
        "block_size": options.block_size,
    }


def _turn(
    bench: Bench,
    server: Server,
    client: Client,
    file: Path,
    raw: dict[str, list[dict[str, float]]],
    skipped: dict[str, str],
) -> None:
    """Let one client upload the file with each number of streams."""
    if client.environment in bench.missing:
        skipped[client.name] = bench.missing[client.environment]
        return
    slow_and_quick = bench.options.quick and client.most_rounds == 1
    for streams in client.streams[slow_and_quick:]:
        key = f"{client.name}-{streams}"
        if key in skipped:
            continue
        try:
            warm(file)
            record = one_upload(bench, server, client.command(bench, server, file, streams))
        except CommandFailed as error:
            skipped[key] = str(error)
            bench.say(f"clients: {key} does not run: {error}")
            continue
        raw.setdefault(key, []).append(record)
        bench.say(
            f"clients: {key}: {record['wall_seconds']:.2f} s, CPU {record['cpu_seconds']:.2f} s, "
            f"{record['peak_bytes'] / MIB:.0f} MiB, server {record['server_cpu_seconds']:.2f} s"
        )


def one_upload(bench: Bench, server: Server, command: list[Any]) -> dict[str, float]:
    """Measure one whole upload, and the server's share. Raises CommandFailed if bytes lack."""
    server.pace()
    record = bench.measure([str(word) for word in command], env=bench.environment(server))
    stats = server.stats()
    if stats["bytes"] < bench.options.size:
        raise CommandFailed(f"only {stats['bytes']:,} bytes arrived")
    record["server_cpu_seconds"] = stats["cpu_seconds"]
    record["cpu_seconds_per_gib"] = record["cpu_seconds"] * GIB / bench.options.size
    record["most_parallel"] = stats["most_parallel"]
    return record
