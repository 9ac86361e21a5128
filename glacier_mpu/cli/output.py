"""Where a run says how it ended: the result on stdout, the rest on stderr."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping, Sequence

from glacier_mpu.cli.aws_cli import AwsCli
from glacier_mpu.cli.console import Console
from glacier_mpu.cli.endings import ending_lines
from glacier_mpu.cli.next_step import error_lines
from glacier_mpu.cli.options import Options
from glacier_mpu.cli.report import as_record, exit_code
from glacier_mpu.errors import InternalError, UploadError, redacted
from glacier_mpu.transfer.request import Outcome, Status


class Output:
    """Both streams of one run."""

    def __init__(self, *, json_wanted: bool) -> None:
        self.stderr = Console(sys.stderr)
        self.verbose = False
        self._stdout = Console(sys.stdout)
        self._json_wanted = json_wanted

    def result(self, record: Mapping[str, object], lines: Sequence[str]) -> None:
        """Put the result on stdout, as one JSON object or as lines."""
        for line in [json.dumps(record)] if self._json_wanted else lines:
            if not self._stdout.take(line + "\n"):
                self.warning(f"this could not be written to stdout: {line}")

    def refusal(self, error: UploadError, options: Options | None) -> int:
        """Say, in one line, why nothing was started, and return the exit code.

        `options` is None where the command line made no sense.
        """
        description = options.description if options else ""
        outcome = Outcome(status=Status.FAILED, error=error, description=description)
        self.result(as_record(outcome, options, seconds=0), [])
        self._trace(error)
        self.stderr.line(f"error: {'; '.join(error_lines(error, AwsCli.of(options)))}")
        return exit_code(outcome)

    def ending(self, outcome: Outcome, options: Options, *, interrupted: bool) -> None:
        """Say on stderr how it ended."""
        self._trace(outcome.error)
        for line in ending_lines(outcome, options, interrupted=interrupted):
            self.stderr.line(line)

    def warning(self, text: str) -> None:
        """Say what went wrong although the run did not fail."""
        self.stderr.line(f"warning: {text}")

    def _trace(self, error: UploadError | None) -> None:
        """Show the traceback if it was asked for, or is all there is to find a fault by."""
        if error is not None and (self.verbose or isinstance(error, InternalError)):
            self.stderr.write(redacted("".join(traceback.format_exception(error))))
