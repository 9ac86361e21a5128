"""One run of a script, from its flags to its exit code.

The rooms that bring boto3 along are imported where they are used, so that `--help` and a mistyped
flag are answered at once.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from glacier_upload.blocks import MIB, PREFERRED_BLOCK
from glacier_upload.console import Console
from glacier_upload.errors import BadInput, ExitCode, UploadError
from glacier_upload.job import Outcome, Request
from glacier_upload.options import Options, Parser, parse
from glacier_upload.report import exit_code, plan_lines, result_lines, story, trouble
from glacier_upload.signals import Interruption
from glacier_upload.source import inspect

if TYPE_CHECKING:
    from glacier_upload.connection import Address
    from glacier_upload.progress import Display

_WIND_UP_SECONDS = 1.0


def run_script(parser: Parser) -> None:
    """Run the script whose parser this is, and end the process with its exit code."""
    code = main(parser, sys.argv[1:], script=sys.argv[0])
    # A worker may hang in a socket of a dead line for minutes, and Python waits for its threads.
    deadline = time.monotonic() + _WIND_UP_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                os._exit(code)
    sys.exit(code)


def main(parser: Parser, arguments: Sequence[str], *, script: str) -> int:
    """Do what the arguments ask for and return the exit code. Must be called in the main thread."""
    console = Console(sys.stderr)
    verbose = False
    try:
        options = parse(parser, arguments, script=script)
        verbose = options.verbose
        request = _request(options)
        if options.dry_run:
            _print(plan_lines(options, request.plan()))
            return ExitCode.DONE
        return _upload(options, request, console)
    except UploadError as error:
        if verbose:
            console.write(traceback.format_exc())
        console.line(f"{parser.prog}: {'; '.join(trouble(error))}")
        return error.exit_code


def _request(options: Options) -> Request:
    """Return what the options ask for. Raises BadInput for all that is known to be wrong by now."""
    request = Request(
        source=inspect(options.source_path),
        description=options.description,
        upload_id=options.upload_id,
        block_size=options.block_size,
        first=options.first,
        last=options.last,
        finish=options.finish,
        slots=options.threads or 1,
        keep_going=options.threads is not None,
        abort=options.finish and options.threads is None,
    )
    if options.upload_id is None or options.block_size is not None:
        request.plan()
    return request


def _upload(options: Options, request: Request, console: Console) -> int:
    from glacier_upload.progress import choose_display
    from glacier_upload.upload import upload
    from glacier_upload.vault import Vault, Waits

    display = choose_display(console, quiet=options.quiet, verbose=options.verbose)
    with Interruption() as interruption, _service(options) as address:
        vault = Vault(
            address,
            connections=request.slots + 1,
            stop=interruption.stop,
            on_retry=display.retrying,
            waits=Waits(retry=options.retry_minutes * 60),
        )
        _explain_block_size(options, request, display)
        outcome = upload(request, vault=vault, watcher=display, stop=interruption.stop)
        display.close()
        _tell(outcome, options, display, signal=interruption.signal)
    return exit_code(outcome, signal=interruption.signal)


@contextmanager
def _service(options: Options) -> Iterator[Address]:
    """Yield the vault's address: the real one, or a rehearsal's that lives as long as this."""
    from glacier_upload.connection import Address

    if options.rehearse is None:
        yield Address(
            vault=options.vault,
            account_id=options.account_id,
            profile=options.profile,
            region=options.region,
            endpoint_url=options.endpoint_url,
        )
        return
    from glacier_upload import rehearsal

    try:
        server = rehearsal.RehearsalServer(Path(options.rehearse))
    except OSError as error:
        raise BadInput(
            f"no rehearsal can be held in {options.rehearse!r}: {error}",
            next_step="name a folder that can be written to",
        ) from error
    with server:
        server.store.create_vault(options.vault)
        yield Address(
            vault=options.vault,
            account_id=options.account_id,
            region=rehearsal.REGION,
            endpoint_url=server.endpoint_url,
            access_key=rehearsal.ACCESS_KEY,
            secret_key=rehearsal.SECRET_KEY,
        )


def _explain_block_size(options: Options, request: Request, display: Display) -> None:
    if options.block_size is None and options.upload_id is None:
        chosen = request.plan().block_size
        if chosen != PREFERRED_BLOCK:
            display.note(
                f"blocks of {PREFERRED_BLOCK // MIB} MB would be over 10,000; they have "
                f"{chosen // MIB} MB instead"
            )


def _tell(outcome: Outcome, options: Options, display: Display, *, signal: int) -> None:
    if options.verbose and outcome.error is not None:
        display.console.write("".join(traceback.format_exception(outcome.error)))
    _print(result_lines(outcome))
    for line in story(outcome, options, interrupted=bool(signal)):
        display.console.line(line)
    if options.rehearse is not None and outcome.archive is not None:
        archive = Path(options.rehearse) / "archives" / outcome.archive.archive_id
        display.console.line(f"rehearsal: the archive is the file {archive}")


def _print(lines: Sequence[str]) -> None:
    stdout = Console(sys.stdout)
    for line in lines:
        stdout.line(line)
