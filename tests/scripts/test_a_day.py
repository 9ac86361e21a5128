"""A day of a run of weeks in fast motion: everything that passes, one after the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.wire import ACCESS_KEY, REGION, SECRET_KEY, Call, Refusal
from tests.support import faults
from tests.support.faults import Act, Fault, FaultyHandler
from tests.support.in_process import BOTH, MIB, MakeFile, assert_one_intact_archive, glacier
from tests.support.scripts import ROOT, VAULT, assert_nothing_secret

PART = "UploadMultipartPart"
REFUSED = faults.refuse(403, "InvalidSignatureException", "out of nowhere")
SIGNATURE_EXPIRED = faults.refuse(
    403, "InvalidSignatureException", "Signature expired: 1 is now earlier than 2"
)
# Above what one try may last in silence, and below the time for which the process is stopped.
BUDGET_SECONDS = 2.0
STOPPED_SECONDS = 2.6


class Credentials:
    """A credentials file whose token expires once and is renewed a moment later."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.expired = 0
        self._write("old")

    def _write(self, token: str) -> None:
        self.path.write_text(
            f"[default]\naws_access_key_id = {ACCESS_KEY}\n"
            f"aws_secret_access_key = {SECRET_KEY}\naws_session_token = {token}\n"
        )

    def refuse_the_old(self, handler: FaultyHandler, call: Call) -> None:
        """Refuse calls that bear the old token; write a new one when the third is refused."""
        if call.headers["x-amz-security-token"] == "old":
            self.expired += 1
            if self.expired == 3:
                self._write("new")
            raise Refusal(403, "ExpiredTokenException", "The security token has expired")


class Script:
    """The process that a fault stops for a while."""

    process: subprocess.Popen[str]
    stops = 0

    def stop_for_a_while(self) -> None:
        self.stops += 1
        self.process.send_signal(signal.SIGSTOP)
        resume = threading.Timer(STOPPED_SECONDS, lambda: self.process.send_signal(signal.SIGCONT))
        resume.daemon = True
        resume.start()


def then(first: Callable[[], object], act: Act) -> Act:
    def both(handler: FaultyHandler, call: Call) -> None:
        first()
        act(handler, call)

    return both


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
@BOTH
def test_a_day_of_expiring_credentials_dead_lines_refusals_and_a_stopped_process_costs_nothing(
    make_file: MakeFile,
    tmp_path: Path,
    aws_folder: Path,
    script: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The stand-in's keys are permanent, and it refuses sessions' tokens; here they are its own.
    monkeypatch.setattr("glacier_mpu.rehearsal.auth._check_signed_headers", lambda *_: None)
    source = make_file(12 * MIB)
    credentials = Credentials(aws_folder / "credentials")
    subject = Script()
    day = [
        Fault(PART, credentials.refuse_the_old, times=10**6, after=2),
        Fault(PART, faults.cut_before_reading, times=20, blocks=[3]),
        Fault(PART, REFUSED, blocks=[4]),
        Fault(
            PART,
            SIGNATURE_EXPIRED,
            blocks=[5],
        ),
        Fault(PART, faults.cut_in_the_middle, blocks=[7]),
        Fault(PART, then(subject.stop_for_a_while, faults.cut_before_reading), blocks=[7], after=1),
        Fault("CompleteMultipartUpload", faults.slow(seconds=1.2, when="after")),
    ]
    with glacier(tmp_path / "g", *day) as server:
        subject.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.support.fast_script", script),
                *("--source-path", str(source), "--vault", VAULT, "--blocksize", "1"),
                *("--endpoint-url", server.endpoint_url),
                *("--retry-minutes", str(BUDGET_SECONDS / 60)),
            ],
            cwd=ROOT,
            env=os.environ
            | {
                "AWS_SHARED_CREDENTIALS_FILE": str(credentials.path),
                "AWS_DEFAULT_REGION": REGION,
                "EIO_AT": "9",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out, err = subject.process.communicate(timeout=90)
        assert subject.process.returncode == 0, err
        assert_nothing_secret(out + err)
        assert [fault.met > fault.after for fault in day] == [True] * len(day)
        assert credentials.expired >= 3
        assert subject.stops == 1
        assert "Input/output error" in err
        assert_one_intact_archive(server, source)
