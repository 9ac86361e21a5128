"""Where the result and the ending go."""

from __future__ import annotations

import json

import pytest

from glacier_mpu.cli.output import Output
from glacier_mpu.errors import InternalError
from glacier_mpu.transfer.request import Outcome, Status


def test_a_fault_of_the_program_after_the_result_puts_no_second_object_on_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = Output(json_wanted=True)
    output.result({"status": "completed"}, [])
    error = InternalError.of(ValueError("a fault"))
    output.refusal(error, Outcome(status=Status.FAILED, error=error), None)
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"status": "completed"}
    assert "a fault" in shown.err


def test_a_result_that_stdout_does_not_take_is_said_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", None)  # as it is where the caller has closed it
    Output(json_wanted=False).result({}, ["archive-id: an-id"])
    assert (
        "warning: this could not be written to stdout: archive-id: an-id" in capsys.readouterr().err
    )
