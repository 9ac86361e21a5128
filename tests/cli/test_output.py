"""Where the result and the ending go."""

from __future__ import annotations

import json

import pytest

from glacier_mpu.cli.output import Output
from glacier_mpu.errors import InternalError


def test_a_fault_of_the_program_after_the_result_puts_no_second_object_on_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = Output(json_wanted=True)
    output.result({"status": "completed"}, [])
    code = output.refusal(InternalError.of(ValueError("a fault")), None)
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"status": "completed"}
    assert "a fault" in shown.err
    assert code == 1
