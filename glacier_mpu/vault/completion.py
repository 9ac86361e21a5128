"""What is known of a call while it is tried: whether there may be an upload, or an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from glacier_mpu.vault.answers import OpenUpload
from glacier_mpu.vault.errors import CompletionUnknown, ConnectionLost, UploadNotFound, VaultError
from glacier_mpu.vault.retry import Tries


class Initiation(Tries):
    """The tries of one initiation. Another thread may look on.

    on_its_way  a try has begun, and has not failed
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_its_way = False

    @property
    def may_have_begun(self) -> bool:
        """Whether there may be an upload, or is going to be."""
        return self.on_its_way or self.may_have_executed

    @contextmanager
    def another(self) -> Iterator[None]:
        """Note how one try ends. One that succeeds counts as on its way: see Completion."""
        self.on_its_way = True
        try:
            with super().another():
                yield
        except VaultError:
            self.on_its_way = False  # last, so that there is no moment between the two
            raise


class Completion:
    """The tries of one completion. Another thread may look on.

    on_its_way         a try has begun, and has not failed
    unanswered         a try failed without an answer, or because there is no such upload (any
                       more): the service may be at work on it, and only a list may tell
    may_have_executed  the service may have carried out a try that failed, also if it answered that
                       by an error
    """

    def __init__(self) -> None:
        self.on_its_way = False
        self.unanswered = False
        self.may_have_executed = False

    @property
    def may_be_stored(self) -> bool:
        """Whether there may be an archive, or is going to be."""
        return self.on_its_way or self.unanswered

    @contextmanager
    def another(self) -> Iterator[None]:
        """Note how one try ends. One that succeeds, or ends in no VaultError, counts as on its way.

        Who looks on may do so before the result has reached it.
        """
        self.on_its_way = True
        try:
            yield
        except VaultError as error:
            if error.may_have_executed:
                self.may_have_executed = True
            if isinstance(error, UploadNotFound) or (error.may_have_executed and not error.status):
                self.unanswered = True
            self.on_its_way = False  # last, so that there is no moment between the two
            raise


def raise_unless_open(
    upload_id: str,
    error: VaultError,
    *,
    tries: Completion,
    list_uploads: Callable[[], Iterable[OpenUpload]],
) -> None:
    """Raise CompletionUnknown unless the upload is open and nobody is at work on it.

    `error` is the one that ended the completion. The service may go on listing an upload until its
    completion is done, so a list says nothing about a try that had no answer. Where nobody answers
    any more, no list is asked for. Where the service answers all tries and the list by a 5xx, it is
    out of order, and the upload counts as open.
    """
    unknown = partial(CompletionUnknown, sent=False, gone=False)
    if isinstance(error, ConnectionLost):
        raise unknown(error.message) from error
    try:
        listed = any(upload.upload_id == upload_id for upload in list_uploads())
    except VaultError as no_list:
        if not tries.unanswered and no_list.status >= 500:
            return
        raise unknown(
            f"{error.message}; and the open uploads cannot be listed: {no_list.message}"
        ) from error
    if not listed:
        raise CompletionUnknown(
            f"{error.message}; the upload is no longer open", sent=tries.may_have_executed
        ) from error
    if tries.unanswered:
        raise unknown(
            f"{error.message}; the upload is still listed: the service may be completing it just "
            "now"
        ) from error
