"""Where a run says how it ended: the result on stdout, the rest on stderr."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping, Sequence

from glacier_mpu.cli.console import Console
from glacier_mpu.cli.options import Options
from glacier_mpu.cli.report import as_record, ending_lines, error_lines, exit_code
from glacier_mpu.errors import InternalError, UploadError, redacted
from glacier_mpu.transfer.request import Outcome, Status


class Output:
    """Both streams of one run; `name` is the script's."""

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
                self.warning(f"this could not be written to stdout: {line}")

    def refusal(self, error: UploadError) -> int:
        """Say, in one line, why nothing was started, and return the exit code."""
        outcome = Outcome(status=Status.FAILED, error=error)
        self.result(as_record(outcome, None, seconds=0), [])
        self._trace(error)
        self.stderr.line(f"{self._name}: {'; '.join(error_lines(error))}")
        return exit_code(outcome)

    def ending(self, outcome: Outcome, options: Options, *, interrupted: bool) -> None:
        """Say on stderr how it ended."""
        self._trace(outcome.error)
        for line in ending_lines(outcome, options, interrupted=interrupted):
            self.stderr.line(line)

    def warning(self, text: str) -> None:
        """Say what went wrong although the run did not fail."""
        self.stderr.line(f"WARNING: {text}")

    def _trace(self, error: UploadError | None) -> None:
        """Show the traceback if it was asked for, or is all there is to find a fault by."""
        if error is not None and (self.verbose or isinstance(error, InternalError)):
            self.stderr.write(redacted("".join(traceback.format_exception(error))))
