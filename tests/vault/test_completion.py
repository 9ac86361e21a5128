"""A call without an answer to show: what is known of it, and what only a list can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB
from glacier_mpu.vault import client
from glacier_mpu.vault.answers import Archive
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.completion import Completion, Initiation
from glacier_mpu.vault.errors import (
    CompletionUnknown,
    ConnectionLost,
    NotPermitted,
    ServiceDown,
    Throttled,
    TimedOut,
    TransientError,
    Unreachable,
    UploadNotFound,
    VaultError,
)
from glacier_mpu.vault.retry import Retries
from tests.support.faults import FaultyHandler, faulty
from tests.support.scripts import VAULT, address_of
from tests.vault.test_calls import open_vault

LOST = TransientError("the connection broke")
LATE = TimedOut("no answer")
NOT_SENT = Unreachable("no connection")
ANSWERED = TransientError("HTTP 503", status=503)
NO_UPLOAD = UploadNotFound("HTTP 404", status=404)
DENIED = NotPermitted("HTTP 403", status=403)


def after(*ends: BaseException | None) -> Completion:
    """Return what is known after tries that ended so."""
    completion = Completion()
    for end in ends:
        with suppress(BaseException), completion.another():
            if end is not None:
                raise end
    return completion


def test_a_completion_that_was_never_tried_made_no_archive() -> None:
    assert not after().may_be_stored


def test_a_try_on_its_way_may_make_an_archive() -> None:
    completion = Completion()
    with completion.another():
        assert completion.may_be_stored


@pytest.mark.parametrize("end", [LOST, LATE, NO_UPLOAD, ZeroDivisionError(), None], ids=repr)
def test_there_may_be_an_archive_after_a_try_that(end: BaseException | None) -> None:
    """Its answer was lost, or it found no upload, or nobody knows; or it told of one."""
    assert after(end).may_be_stored


@pytest.mark.parametrize("end", [NOT_SENT, ANSWERED, DENIED, Throttled("", status=400)], ids=repr)
def test_there_is_no_archive_after_a_try_that_never_arrived_or_was_answered_by_an_error(
    end: VaultError,
) -> None:
    assert not after(end).may_be_stored


def test_what_one_try_left_open_no_later_one_settles() -> None:
    completion = after(LOST, ANSWERED, NOT_SENT)
    assert completion.may_be_stored
    assert completion.may_have_executed


def test_a_try_that_was_refused_executed_nothing() -> None:
    assert not after(NOT_SENT, DENIED, NO_UPLOAD).may_have_executed
    assert after(ANSWERED, DENIED).may_have_executed


def begun_after(*ends: BaseException | None) -> bool:
    """Tell whether there may be an upload after an initiation whose tries ended so."""
    initiation = Initiation()
    for end in ends:
        with suppress(BaseException), initiation.another():
            if end is not None:
                raise end
    return initiation.may_have_begun


def test_an_upload_may_have_begun_while_a_try_is_on_its_way_or_once_one_may_have_executed() -> None:
    initiation = Initiation()
    with initiation.another():
        assert initiation.may_have_begun
    assert begun_after(NOT_SENT, None)
    assert begun_after(LOST, NOT_SENT)
    assert begun_after(ANSWERED, DENIED)


def test_no_upload_began_by_tries_that_never_arrived_or_were_refused() -> None:
    assert not begun_after()
    assert not begun_after(NOT_SENT, DENIED, Throttled("", status=400))


# -- what the vault makes of it


@contextmanager
def completed_by(
    monkeypatch: pytest.MonkeyPatch,
    server: RehearsalServer,
    *tries: VaultError,
    given_up: VaultError,
) -> Iterator[Callable[[str], Archive]]:
    """Yield a completion whose tries fail so, and whose retrying ends with the last error."""
    ends = iter(tries)
    real_call, real_once = Retries.call, client.call_once

    def call(retries: Retries, name: str, attempt: Callable[[], Any], **rest: Any) -> Any:
        if name != "complete":
            return real_call(retries, name, attempt, **rest)
        for _ in tries:
            with suppress(VaultError):
                attempt()
        raise given_up

    def call_once(method: Callable[..., Any], **rest: Any) -> Any:
        if method.__name__ == "complete_multipart_upload":
            raise next(ends)
        return real_once(method, **rest)

    monkeypatch.setattr(Retries, "call", call)
    monkeypatch.setattr("glacier_mpu.vault.caller.call_once", call_once)
    with open_vault(address_of(server)) as vault:
        yield partial(vault.complete, size=MIB, tree_hash="0" * 64)


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[tuple[RehearsalServer, type[FaultyHandler]]]:
    handler = faulty()
    with RehearsalServer(tmp_path / "counted", handler=handler) as server:
        server.store.create_vault(VAULT)
        yield server, handler


Counted = tuple[RehearsalServer, type[FaultyHandler]]


def begun(server: RehearsalServer) -> str:
    with open_vault(address_of(server)) as vault:
        return vault.initiate(description="", block_size=MIB)


@pytest.mark.parametrize("tries", [(LATE,), (ANSWERED, NOT_SENT)], ids=["late", "answered once"])
def test_where_nobody_answers_any_more_no_list_is_asked_for_and_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, counted: Counted, tries: tuple[VaultError, ...]
) -> None:
    server, handler = counted
    upload_id = begun(server)
    lost = ConnectionLost("no route to host")
    with (
        completed_by(monkeypatch, server, *tries, given_up=lost) as complete,
        pytest.raises(CompletionUnknown, match="no route to host") as caught,
    ):
        complete(upload_id)
    assert (caught.value.sent, caught.value.gone) == (False, False)
    assert "ListMultipartUploads" not in handler.calls


def test_where_no_try_arrived_the_upload_is_open_whoever_answers(
    monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    server, handler = counted
    upload_id = begun(server)
    lost = ConnectionLost("no route to host")
    with (
        completed_by(monkeypatch, server, NOT_SENT, NOT_SENT, given_up=lost) as complete,
        pytest.raises(ConnectionLost),
    ):
        complete(upload_id)
    assert "ListMultipartUploads" not in handler.calls


@pytest.mark.parametrize("given_up", [ServiceDown("HTTP 503"), ANSWERED], ids=repr)
def test_an_upload_that_is_listed_after_errors_is_open(
    monkeypatch: pytest.MonkeyPatch, server: RehearsalServer, given_up: VaultError
) -> None:
    upload_id = begun(server)
    with (
        completed_by(monkeypatch, server, ANSWERED, ANSWERED, given_up=given_up) as complete,
        pytest.raises(type(given_up), match="HTTP 503"),
    ):
        complete(upload_id)


@contextmanager
def unlisted(monkeypatch: pytest.MonkeyPatch, error: VaultError) -> Iterator[None]:
    """Let every list of open uploads end in this error."""

    def no_list(_: Vault) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "list_uploads", no_list)
        yield


def test_where_the_service_answers_the_completion_and_the_list_by_errors_the_upload_is_open(
    monkeypatch: pytest.MonkeyPatch, server: RehearsalServer
) -> None:
    """Cron may try again the next night."""
    upload_id = begun(server)
    down = ServiceDown("HTTP 503", status=503)
    with (
        unlisted(monkeypatch, down),
        completed_by(monkeypatch, server, ANSWERED, NOT_SENT, ANSWERED, given_up=down) as complete,
        pytest.raises(ServiceDown),
    ):
        complete(upload_id)


@pytest.mark.parametrize(
    ("tries", "no_list"),
    [
        ((ANSWERED, LATE), ServiceDown("HTTP 503", status=503)),
        ((ANSWERED, NO_UPLOAD), ServiceDown("HTTP 503", status=503)),
        ((ANSWERED,), ConnectionLost("no route")),
        ((ANSWERED,), DENIED),
    ],
    ids=["a try without an answer", "no such upload", "a line that is dead then", "no permission"],
)
def test_without_a_list_nothing_is_known_unless_all_was_answered_by_errors(
    monkeypatch: pytest.MonkeyPatch,
    server: RehearsalServer,
    tries: tuple[VaultError, ...],
    no_list: VaultError,
) -> None:
    upload_id = begun(server)
    with (
        unlisted(monkeypatch, no_list),
        completed_by(monkeypatch, server, *tries, given_up=tries[-1]) as complete,
        pytest.raises(CompletionUnknown, match="cannot be listed"),
    ):
        complete(upload_id)


@pytest.mark.parametrize("tries", [(LATE, LATE), (LOST, ANSWERED), (NO_UPLOAD,)], ids=repr)
def test_an_upload_that_is_listed_without_an_answer_may_be_being_completed(
    monkeypatch: pytest.MonkeyPatch, server: RehearsalServer, tries: tuple[VaultError, ...]
) -> None:
    upload_id = begun(server)
    with (
        completed_by(monkeypatch, server, *tries, given_up=tries[-1]) as complete,
        pytest.raises(CompletionUnknown, match="still listed") as caught,
    ):
        complete(upload_id)
    assert (caught.value.sent, caught.value.gone) == (False, False)


@pytest.mark.parametrize(
    ("tries", "sent"),
    [((LATE,), True), ((ANSWERED,), True), ((NO_UPLOAD,), False)],
    ids=["late", "answered by an error", "not found"],
)
def test_an_upload_that_is_listed_no_more_was_probably_stored_if_a_try_may_have_done_it(
    monkeypatch: pytest.MonkeyPatch,
    server: RehearsalServer,
    tries: tuple[VaultError, ...],
    *,
    sent: bool,
) -> None:
    with (
        completed_by(monkeypatch, server, *tries, given_up=tries[-1]) as complete,
        pytest.raises(CompletionUnknown, match="no longer open") as caught,
    ):
        complete("A" * 92)
    assert (caught.value.sent, caught.value.gone) == (sent, True)
