"""One run of a script, from its flags to its exit code. Wires the rooms, decides nothing.

The rooms that bring boto3 along are imported where they are used: `--help` and a mistyped flag are
answered at once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import NoReturn

from glacier_mpu.cli.console import use_utf8_in_files
from glacier_mpu.cli.flags import Parser
from glacier_mpu.cli.options import Options, asks_for_json, parse
from glacier_mpu.cli.output import Output
from glacier_mpu.cli.receipts import Receipts
from glacier_mpu.cli.report import (
    ExitCode,
    as_receipt,
    as_record,
    exit_code,
    plan_lines,
    plan_record,
    result_lines,
)
from glacier_mpu.cli.signals import Interruption
from glacier_mpu.cli.values import AUTO
from glacier_mpu.errors import InternalError, UploadError, quoted
from glacier_mpu.source.file import inspect
from glacier_mpu.stop import Waits
from glacier_mpu.transfer.request import Request, Status

_WIND_UP_SECONDS = 1.0


def run_script(parser: Parser) -> None:
    """Run the script of this parser, as Python began it, and end the process with its exit code."""
    _run(parser, command=(sys.executable, sys.argv[0]))


def run_command(parser: Parser) -> None:
    """Run the same as an installed command, which needs no Python in front of its name."""
    _run(parser, command=(sys.argv[0],))


def _run(parser: Parser, *, command: Sequence[str]) -> NoReturn:
    # Before and after the upload, Ctrl-C ends the process at once and without a traceback; where
    # the caller has it ignored, as a shell does for a job in the background, it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        use_utf8_in_files(stream)
    code = main(parser, sys.argv[1:], command=command)
    # A worker may hang in a socket of a dead line for minutes, and Python waits for its threads.
    deadline = time.monotonic() + _WIND_UP_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                os._exit(code)
    gc.freeze()  # the process ends here, and a last collection would take a tenth of a second
    sys.exit(code)


def main(
    parser: Parser,
    arguments: Sequence[str],
    *,
    command: Sequence[str],
    waits: Waits | None = None,
) -> int:
    """Do what the arguments ask for and return the exit code. Must be called in the main thread.

    The next command begins with the words of `command`; `waits` replaces the default ones.
    """
    output = Output(json_wanted=asks_for_json(arguments))
    options = None
    try:
        options = parse(parser, arguments, command=command)
        output.verbose = options.verbose
        request = _request(options)
        if options.dry_run:
            plan = request.plan()
            output.result(plan_record(options, plan), plan_lines(options, plan))
            return ExitCode.DONE
        retry_seconds = options.retry_minutes * 60
        return _upload(options, request, output, replace(waits or Waits(), retry=retry_seconds))
    except UploadError as error:
        return output.refusal(error, options)
    except Exception as bug:  # noqa: BLE001 - it is shown, with its traceback
        return output.refusal(InternalError.of(bug), options)


def _request(options: Options) -> Request:
    """Return what the options ask for. Raises BadInput for what is known to be wrong by now."""
    serial = options.threads is None
    request = Request(
        source=inspect(options.source_path),
        description=options.description,
        upload_id=options.upload_id,
        block_size=options.block_size,
        first=options.first,
        last=options.last,
        finish=options.finish,
        slots=1 if serial else None if options.threads == AUTO else options.threads,
        max_bandwidth=options.max_bandwidth,
        keep_going=not serial,
        abort=serial and options.finish and not options.resume,
        resume=options.resume,
        ledger=_ledger(options),
        recheck=options.recheck,
    )
    request.check()
    return request


def _ledger(options: Options) -> str | None:
    """Return the ledger's folder, or None for none."""
    if options.ledger is not None:
        return options.ledger or None
    from glacier_mpu.source.cache import usual_ledger  # --help need not wait for platformdirs

    return usual_ledger()


def _upload(options: Options, request: Request, output: Output, waits: Waits) -> int:
    """Carry the request out, and tell what happens while it does and how it ended."""
    with _loading():
        from glacier_mpu.cli.descriptors import make_room
        from glacier_mpu.cli.displays import choose_display
        from glacier_mpu.cli.service import service
        from glacier_mpu.cli.summary import first_line, summary_line
        from glacier_mpu.transfer.upload import upload

    make_room(request.slots, rehearses=options.rehearse is not None)
    receipts = None
    if options.receipts is not None:
        receipts = Receipts(options.receipts, source_path=options.source_path)
    began, clock_began = datetime.now(timezone.utc), time.monotonic()
    display = choose_display(output.lines, quiet=options.quiet, verbose=options.verbose)
    display.introduce(first_line(request, vault=options.vault), tells_blocks=not request.resumes)
    output.say = display.say
    with Interruption() as interruption, service(options) as address:
        with closing(display):
            outcome = upload(request, address, watcher=display, stop=interruption.stop, waits=waits)
        record = as_record(outcome, options, seconds=time.monotonic() - clock_began)
        output.result(record, result_lines(outcome))
        if receipts is not None and outcome.status is Status.COMPLETED:
            _keep(as_receipt(record, outcome, request, options, began=began), receipts, output)
        code = exit_code(outcome, signal=interruption.signal)
        if code != ExitCode.DONE or not display.is_silent:
            summary = summary_line(outcome, display.snapshot())
            interrupted = bool(interruption.signal)
            output.ending(outcome, options, summary=summary, interrupted=interrupted)
    return code


@contextmanager
def _loading() -> Iterator[None]:
    """Keep the garbage collector out: boto3's modules live as long as the process.

    With it they take a quarter longer to load, and each later collection looks at them again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _keep(receipt: Mapping[str, object], receipts: Receipts, output: Output) -> None:
    """Write the receipt. If that fails, the archive is stored all the same."""
    try:
        receipts.append(receipt)
    except OSError as error:
        output.warning(
            f"the receipt could not be written to {quoted(receipts.path)} ({error.strerror}); "
            f"the archive is stored, and its id is {receipt['archiveId']}"
        )
