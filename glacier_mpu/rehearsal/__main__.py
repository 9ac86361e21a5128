"""The stand-in as a program: `python -m glacier_mpu.rehearsal --dir DIR --port PORT`."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from types import FrameType

from glacier_mpu.rehearsal.faults import Fault
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.table import TableError, read_faults
from glacier_mpu.rehearsal.wire import ACCESS_KEY, ACCOUNT_ID, REGION, SECRET_KEY


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Exit 0, or 2 if the port is taken, or the folder or the table of faults unusable.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a folder's name may have letters that it lacks
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        faults = read_faults(options.faults) if options.faults else []
    except (OSError, TableError) as error:
        sys.stderr.write(f"error: the table of faults cannot be used: {_shown(error)}\n")
        return 2
    try:
        server = RehearsalServer(options.dir, port=options.port, faults=faults)
    except OSError as error:
        where = f"{options.dir} on port {options.port}"
        sys.stderr.write(f"error: cannot serve {where}: {_shown(error)}\n")
        return 2
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    with server:
        sys.stdout.write(greeting(server, faults))
        sys.stdout.flush()
        while not stop.wait(0.5):  # on Windows Ctrl-C does not interrupt an endless wait
            pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m glacier_mpu.rehearsal",
        description="A strict stand-in for Amazon Glacier on this machine. Nothing leaves it.",
    )
    parser.add_argument("--dir", type=Path, required=True, help="folder that keeps the vaults")
    parser.add_argument("--port", type=_port, default=0, help="default: any that is free")
    parser.add_argument(
        "--faults", type=Path, help="table of faults on purpose (see docs/rehearsal.md)"
    )
    return parser


def _shown(error: OSError | TableError) -> str:
    """Return the message; a path in it as it is, where str() doubles each backslash of Windows."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number from 0 to 65535")
    return int(text)


def greeting(
    server: RehearsalServer, faults: Sequence[Fault], *, windows: bool = os.name == "nt"
) -> str:
    """Where the stand-in is and how to use it, as lines that a shell accepts; on Windows, cmd."""
    variables = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_GLACIER": server.endpoint_url,
    }
    about = [
        f"endpoint: {server.endpoint_url}",
        f"account:  {ACCOUNT_ID}",
        f"region:   {REGION}",
        f"folder:   {server.folder}",
        f"faults:   {len(faults) or 'none'}",
    ]
    notes = [
        "The AWS CLI reads AWS_ENDPOINT_URL_GLACIER since 1.29 and 2.13. Give older ones the flag",
        f"--endpoint-url {server.endpoint_url} with each command.",
        "Ctrl-C ends the rehearsal; what is stored stays for the next one.",
    ]
    remark, export = ("rem", "set") if windows else ("#", "export")
    if windows:
        in_powershell = "; ".join(f"$env:{name}='{value}'" for name, value in variables.items())
        notes.insert(0, f"In PowerShell: {in_powershell}")
    lines = [f"{remark} {line}" for line in about]
    lines += [f"{export} {name}={value}" for name, value in variables.items()]
    lines += [f"{remark} {line}" for line in notes]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    raise SystemExit(main())
