"""One run of a script, from its flags to its exit code.

The rooms that bring boto3 along are imported where they are used: `--help` and a mistyped flag are
answered at once.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from glacier_mpu.cli.console import Console
from glacier_mpu.cli.options import Options, Parser, asks_for_json, parse
from glacier_mpu.cli.receipts import Receipts
from glacier_mpu.cli.report import (
    as_receipt,
    as_record,
    exit_code,
    plan_lines,
    plan_record,
    result_lines,
    story,
    trouble,
)
from glacier_mpu.cli.signals import Interruption
from glacier_mpu.cli.values import AUTO
from glacier_mpu.errors import ExitCode, Unforeseen, UploadError
from glacier_mpu.source.blocks import MIB, PREFERRED_BLOCK
from glacier_mpu.source.file import inspect
from glacier_mpu.transfer.bandwidth import Limit
from glacier_mpu.transfer.pacing import MOST_SLOTS, Tuner
from glacier_mpu.transfer.request import Meter, Outcome, Request, Status
from glacier_mpu.vault.refusals import redacted
from glacier_mpu.waits import Waits

if TYPE_CHECKING:
    from glacier_mpu.cli.progress import Display
    from glacier_mpu.vault.retry import Retry

_WIND_UP_SECONDS = 1.0


def run_script(parser: Parser) -> None:
    """Run the script whose parser this is, and end the process with its exit code."""
    # Before and after the upload, Ctrl-C ends the process at once and without a traceback; where
    # the caller has it ignored, as a shell does for a job in the background, it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    code = main(parser, sys.argv[1:], script=sys.argv[0])
    # A worker may hang in a socket of a dead line for minutes, and Python waits for its threads.
    deadline = time.monotonic() + _WIND_UP_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                os._exit(code)
    gc.freeze()  # what is left goes with the process; to collect it first takes a tenth of a second
    sys.exit(code)


def main(
    parser: Parser, arguments: Sequence[str], *, script: str, waits: Waits | None = None
) -> int:
    """Do what the arguments ask for and return the exit code. Must be called in the main thread.

    `script` is the name that the next command is built with; `waits` may differ from the usual.
    """
    out = _Out(parser.prog, json_wanted=asks_for_json(arguments))
    try:
        options = parse(parser, arguments, script=script)
        out.verbose = options.verbose
        request = _request(options)
        if options.dry_run:
            plan = request.plan()
            out.result(plan_record(options, plan), plan_lines(options, plan))
            return ExitCode.DONE
        usual = waits or Waits()
        return _upload(options, request, out, replace(usual, retry=options.retry_minutes * 60))
    except UploadError as error:
        return out.refusal(error)
    except Exception as bug:  # noqa: BLE001 - it is shown, with its traceback
        return out.refusal(Unforeseen.of(bug))


class _Out:
    """Where a run says how it ended: the result on stdout, the story on stderr."""

    def __init__(self, name: str, *, json_wanted: bool) -> None:
        self.stderr = Console(sys.stderr)
        self.verbose = False
        self._stdout = Console(sys.stdout)
        self._name = name
        self._json_wanted = json_wanted

    def result(self, record: Mapping[str, object], lines: Sequence[str]) -> None:
        """Put the result on stdout, as one JSON object or as lines."""
        for line in [json.dumps(record)] if self._json_wanted else lines:
            if not self._stdout.take(line + "\n"):
                self.stderr.line(f"WARNING: stdout does not take this result: {line}")

    def refusal(self, error: UploadError) -> int:
        """Say, in one line, why nothing was begun, and return the exit code."""
        outcome = Outcome(status=Status.FAILED, error=error)
        self.result(as_record(outcome, None, seconds=0, retries=0), [])
        self.trace(error)
        self.stderr.line(f"{self._name}: {'; '.join(trouble(error))}")
        return exit_code(outcome, signal=0)

    def story(self, outcome: Outcome, options: Options, *, interrupted: bool) -> None:
        """Say how it ended to whoever reads stderr."""
        self.trace(outcome.error)
        for line in story(outcome, options, interrupted=interrupted):
            self.stderr.line(line)

    def trace(self, error: UploadError | None) -> None:
        """Show where an error comes from, to those who asked for it."""
        if error is not None and (self.verbose or isinstance(error, Unforeseen)):
            self.stderr.write(redacted("".join(traceback.format_exception(error))))


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
        slots=_most_slots(options),
        keep_going=options.threads is not None,
        abort=options.finish and options.threads is None and not options.resume,
        resume=options.resume,
    )
    if not (options.upload_id or options.resume):
        request.plan()
    return request


def _most_slots(options: Options) -> int:
    if options.threads is None:
        return 1
    return options.threads if options.threads != AUTO else MOST_SLOTS


def _limit(options: Options, stop: threading.Event) -> Callable[[int], int]:
    """Return what each read of a body asks for leave."""
    if options.max_bandwidth is None:
        return lambda size: size
    return Limit(options.max_bandwidth, wait=stop.wait).let_by


def _upload(options: Options, request: Request, out: _Out, waits: Waits) -> int:
    """Carry the request out, and tell what happens while it does and how it ended."""
    with _loading():
        from glacier_mpu.cli.progress import choose_display
        from glacier_mpu.cli.service import service
        from glacier_mpu.transfer.upload import upload
        from glacier_mpu.vault.calls import Vault

    receipts = None
    if options.receipts is not None:
        receipts = Receipts(options.receipts, source_path=options.source_path)
    began, clock_began, retries = datetime.now(timezone.utc), time.monotonic(), Meter()
    display = choose_display(out.stderr, quiet=options.quiet, verbose=options.verbose)

    tuner = None
    if options.threads == AUTO:
        tuner = Tuner(most=MOST_SLOTS, note=display.note, trace=display.trace)

    def on_retry(retry: Retry) -> None:
        retries.add(1)
        display.retrying(retry)
        if tuner is not None and retry.error.slows_down:
            tuner.slow_down()

    with Interruption() as interruption, service(options) as address:
        with _loading():
            vault = Vault(
                address,
                connections=request.slots + 1,
                stop=interruption.stop,
                on_retry=on_retry,
                waits=waits,
            )
        _remark(request, vault.endpoint_url, display)
        with closing(vault), closing(display):
            outcome = upload(
                request,
                vault=vault,
                watcher=display,
                stop=interruption.stop,
                tuner=tuner,
                let_by=_limit(options, interruption.stop),
            )
        seconds = time.monotonic() - clock_began
        record = as_record(outcome, options, seconds=seconds, retries=retries.size)
        out.result(record, result_lines(outcome))
        if receipts is not None and outcome.status is Status.COMPLETED:
            region = vault.region
            receipt = as_receipt(record, outcome, request, options, region=region, began=began)
            _keep(receipt, receipts, out)
        out.story(outcome, options, interrupted=bool(interruption.signal))
    return exit_code(outcome, signal=interruption.signal)


@contextmanager
def _loading() -> Iterator[None]:
    """Keep the garbage collector out: boto3's modules and models live as long as the process.

    With it they take a quarter longer to load, and each later collection looks at them again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _remark(request: Request, endpoint_url: str, display: Display) -> None:
    """Say what the user may not expect."""
    from glacier_mpu.cli.service import goes_in_the_clear

    if goes_in_the_clear(endpoint_url):
        display.say(f"warning: the data goes in the clear to {endpoint_url}")
    if request.block_size is None and not (request.upload_id or request.resume):
        chosen = request.plan().block_size
        if chosen != PREFERRED_BLOCK:
            display.note(
                f"blocks of {PREFERRED_BLOCK // MIB} MB would be over 10,000; they have "
                f"{chosen // MIB} MB instead"
            )


def _keep(receipt: Mapping[str, object], receipts: Receipts, out: _Out) -> None:
    """Write the receipt. A failure to do so is none of the archive, which is stored."""
    try:
        receipts.append(receipt)
    except OSError as error:
        out.stderr.line(
            f"WARNING: THE RECEIPT COULD NOT BE WRITTEN to {receipts.path!r} ({error.strerror}); "
            f"the archive is stored, and its id is {receipt['archiveId']}"
        )
