"""How a run is said to have ended, from the error and from how far it had come."""

from __future__ import annotations

import pytest

from glacier_mpu.errors import BadInput, FileTooShort, InternalError, SourceLost, UploadError
from glacier_mpu.transfer.ending import Reached, ending, ending_by_stop
from glacier_mpu.transfer.request import Status
from glacier_mpu.vault.errors import (
    CompletionUnknown,
    ConnectionLost,
    CredentialsRejected,
    ServiceDown,
    UploadNotFound,
    VaultNotFound,
)

BEFORE = Reached(opened=False, resumes=False, may_be_stored=False)
RESUMES = Reached(opened=False, resumes=True, may_be_stored=False)
OPENED = Reached(opened=True, resumes=False, may_be_stored=False)
COMPLETING = Reached(opened=True, resumes=False, may_be_stored=True)

each_that_may_pass = pytest.mark.parametrize(
    "error",
    [
        ConnectionLost("no route to host"),
        ServiceDown("HTTP 503"),
        SourceLost("ESTALE"),
        CredentialsRejected("HTTP 403"),
    ],
    ids=lambda error: type(error).__name__,
)


@each_that_may_pass
def test_what_may_pass_fails_a_run_that_has_nothing_to_resume(error: UploadError) -> None:
    assert ending(error, BEFORE) == (Status.FAILED, error)


@each_that_may_pass
@pytest.mark.parametrize("reached", [RESUMES, OPENED], ids=["resumes", "opened"])
def test_what_may_pass_leaves_an_upload_open(error: UploadError, reached: Reached) -> None:
    assert ending(error, reached) == (Status.OPEN, error)


@pytest.mark.parametrize("error", [BadInput("no"), FileTooShort("no")], ids=repr)
def test_bad_input_fails_a_run_until_the_upload_is_open(error: UploadError) -> None:
    assert ending(error, BEFORE)[0] is Status.FAILED
    assert ending(error, RESUMES)[0] is Status.FAILED
    assert ending(error, OPENED) == (Status.OPEN, error)


def test_an_upload_that_was_open_and_is_gone_is_unknown() -> None:
    status, error = ending(UploadNotFound("HTTP 404"), OPENED)
    assert status is Status.UNKNOWN
    assert isinstance(error, CompletionUnknown)
    assert (error.sent, error.gone) == (False, True)
    assert ending(UploadNotFound("HTTP 404"), RESUMES)[0] is Status.FAILED


def test_a_vault_that_is_gone_fails_the_run() -> None:
    assert ending(VaultNotFound("HTTP 404"), OPENED)[0] is Status.FAILED


def test_a_fault_of_this_program_is_unknown_only_while_there_may_be_an_archive() -> None:
    assert ending(InternalError("a bug"), OPENED)[0] is Status.OPEN
    assert ending(InternalError("a bug"), COMPLETING)[0] is Status.UNKNOWN


def test_a_stop_is_unknown_only_while_there_may_be_an_archive() -> None:
    assert ending_by_stop(OPENED) == (Status.OPEN, None)
    assert ending_by_stop(RESUMES) == (Status.OPEN, None)
    assert ending_by_stop(BEFORE) == (Status.FAILED, None)
    assert ending_by_stop(BEFORE, at_its_time=True) == (Status.OPEN, None)
    status, error = ending_by_stop(COMPLETING)
    assert status is Status.UNKNOWN
    assert isinstance(error, CompletionUnknown)
    assert (error.sent, error.gone) == (False, False)
