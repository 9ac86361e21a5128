"""Where a run says how it ended: the result on stdout, the rest on stderr."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence

from glacier_mpu.cli.aws_cli import AwsCli
from glacier_mpu.cli.console import Console
from glacier_mpu.cli.endings import ending_lines
from glacier_mpu.cli.lines import ERROR, WARNING, Lines
from glacier_mpu.cli.next_command import Command
from glacier_mpu.cli.next_step import error_lines
from glacier_mpu.cli.options import Options
from glacier_mpu.cli.report import as_record
from glacier_mpu.errors import InternalError, UploadError, redacted
from glacier_mpu.transfer.request import Outcome


class Output:
    """Both streams of one run.

    say  shows a line on stderr with its time; a display's own, once there is one
    """

    def __init__(self, *, json_wanted: bool) -> None:
        self.stderr = Console(sys.stderr)
        self.lines = Lines(self.stderr)
        self.say: Callable[[str], None] = self.lines.say
        self.verbose = False
        self._stdout = Console(sys.stdout)
        self._json_wanted = json_wanted
        self._has_result = False

    def result(self, record: Mapping[str, object], lines: Sequence[str]) -> None:
        """Put the result on stdout, as one JSON object or as lines."""
        self._has_result = True
        for line in [json.dumps(record)] if self._json_wanted else lines:
            if not self._stdout.take(line + "\n"):
                self.warning(f"this could not be written to stdout: {line}")

    def refusal(self, error: UploadError, outcome: Outcome, options: Options | None) -> None:
        """Say, in one line, why nothing was started.

        `options` is None where the command line made no sense.
        """
        if not self._has_result:  # a fault of the program may come after it
            self.result(as_record(outcome, options, seconds=0), [])
        self._trace(error)
        self.say(f"{ERROR}{'; '.join(error_lines(error, AwsCli.of(options)))}")

    def ending(
        self, outcome: Outcome, options: Options, *, summary: str, interrupted: bool
    ) -> None:
        """Say on stderr how it ended. The command that resumes it stands alone, to be pasted."""
        self._trace(outcome.error)
        lines = ending_lines(outcome, options, interrupted=interrupted)
        lines.insert(int(interrupted or outcome.stop_time is not None), summary)
        for line in filter(None, lines):
            if isinstance(line, Command):
                self.stderr.line(line)
            else:
                self.say(line)

    def warning(self, text: str) -> None:
        """Say what went wrong although the run did not fail."""
        self.say(f"{WARNING}{text}")

    def _trace(self, error: UploadError | None) -> None:
        """Show the traceback if it was asked for, or is all there is to find a fault by."""
        if error is not None and (self.verbose or isinstance(error, InternalError)):
            for line in redacted("".join(traceback.format_exception(error))).splitlines():
                self.say(line)
