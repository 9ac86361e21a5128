"""One run of a script, from its flags to its exit code. Wires the rooms, decides nothing.

The rooms that bring boto3 along are imported where they are used: `--help` and a mistyped flag are
answered at once.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timezone

from glacier_mpu.cli.cautions import cautions_about, is_warning
from glacier_mpu.cli.inquiry import Inquiry
from glacier_mpu.cli.options import Options, asks_for_json, parse
from glacier_mpu.cli.output import Output
from glacier_mpu.cli.parser import Parser
from glacier_mpu.cli.plan import plan_lines, plan_record, plan_warnings
from glacier_mpu.cli.receipts import Receipts
from glacier_mpu.cli.report import (
    ExitCode,
    as_receipt,
    as_record,
    exit_code,
    result_lines,
    went_as_asked,
)
from glacier_mpu.cli.request import look
from glacier_mpu.cli.signals import Interruption
from glacier_mpu.cli.status import StatusReport
from glacier_mpu.cli.stream_plan import stream_lines, stream_record, stream_warnings
from glacier_mpu.errors import InternalError, UploadError, quoted
from glacier_mpu.stop import Waits
from glacier_mpu.transfer.request import FileRequest, Outcome, Status, StreamRequest


def main(
    parser: Parser,
    arguments: Sequence[str],
    *,
    command: Sequence[str],
    inquiry: Inquiry | None = None,
    waits: Waits | None = None,
) -> int:
    """Do what the arguments ask for and return the exit code. Must be called in the main thread.

    The next command begins with the words of `command`; `inquiry` is answered while the upload
    runs; `waits` replaces the default ones.
    """
    output = Output(json_wanted=asks_for_json(parser, arguments))
    options = status = None
    try:
        options = parse(parser, arguments, command=command)
        output.verbose = options.verbose
        if options.dry_run:
            return _dry_run(*look(options), output)
        status = StatusReport(options, warn=output.warning)
        options, request = look(options)
        return _upload(
            options,
            request,
            output,
            status=status,
            inquiry=inquiry or Inquiry(),
            waits=replace(waits or Waits(), retry=options.retry_minutes * 60),
        )
    except UploadError as error:
        refusal = error
    except Exception as bug:  # noqa: BLE001 - it is shown, with its traceback
        refusal = InternalError.of(bug)
    return _refused(refusal, output, options=options, status=status)


def _refused(
    error: UploadError, output: Output, *, options: Options | None, status: StatusReport | None
) -> int:
    """Tell why nothing was started, and return the exit code."""
    description = options.description if options else ""
    outcome = Outcome(status=Status.FAILED, error=error, description=description)
    code = exit_code(outcome)
    if status is not None:
        status.end(as_record(outcome, options, seconds=0), exit_code=code)
    output.refusal(error, outcome, options)
    return code


def _dry_run(options: Options, request: FileRequest | StreamRequest, output: Output) -> int:
    now = datetime.now()
    if isinstance(request, StreamRequest):
        record = stream_record(options, request, now=now)
        output.result(record, stream_lines(options, request, now=now))
        warnings = stream_warnings(options, request)
    else:
        plan = request.plan()
        output.result(plan_record(options, plan, now=now), plan_lines(options, plan, now=now))
        warnings = plan_warnings(options, plan)
    for warning in warnings:
        output.warning(warning)
    for caution in filter(is_warning, cautions_about(request.source, options)):
        output.say(caution)
    return ExitCode.DONE


def _upload(
    options: Options,
    request: FileRequest | StreamRequest,
    output: Output,
    *,
    status: StatusReport,
    inquiry: Inquiry,
    waits: Waits,
) -> int:
    """Carry the request out, and tell what happens while it does and how it ended."""
    with _loading():
        from glacier_mpu.cli.descriptors import make_room
        from glacier_mpu.cli.displays import choose_display
        from glacier_mpu.cli.next_command import command_of
        from glacier_mpu.cli.service import service
        from glacier_mpu.cli.summary import first_line, summary_line
        from glacier_mpu.cli.watch import Watch
        from glacier_mpu.transfer.upload import upload

    make_room(request.slots, rehearses=options.rehearse is not None, spools=options.is_stream)
    receipts = None
    if options.receipts is not None:
        receipts = Receipts(options.receipts, source_path=options.file_path)
    began, clock_began = datetime.now(timezone.utc), time.monotonic()
    display = choose_display(output.lines, quiet=options.quiet, verbose=options.verbose)
    display.introduce(
        first_line(request, vault=options.vault),
        tells_blocks=not request.resumes,
        cautions=cautions_about(request.source, options),
        is_stream=options.is_stream,
    )
    output.say = display.say
    watch = Watch(
        display,
        inquiry=inquiry,
        status=status,
        command_of=lambda upload_id: command_of(upload_id, options),
    )
    with Interruption() as interruption, service(options) as address:
        with closing(watch):
            outcome = upload(request, address, watcher=watch, stop=interruption.stop, waits=waits)
        record = as_record(outcome, options, seconds=time.monotonic() - clock_began)
        output.result(record, result_lines(outcome))
        if receipts is not None and outcome.status is Status.COMPLETED:
            _keep(as_receipt(record, outcome, request, options, began=began), receipts, output)
        code = exit_code(outcome, signal=interruption.signal)
        status.end(record, exit_code=code)
        if not (went_as_asked(outcome, code) and display.is_silent):
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
