"""Credentials that can be renewed while they are in use: boto3's own chain, asked once more.

Without this a client keeps what the chain gave first, and a profile that was rewritten, or a
session that was logged in again, would not be seen before the next run.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Protocol, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from glacier_mpu.errors import UploadError
from glacier_mpu.vault.errors import CredentialsUnobtainable, NotPermitted
from glacier_mpu.vault.failures import from_chain

T = TypeVar("T")

# What others say, such as a parser of dates, may hold what was to stay secret.
_OF_KNOWN_TEXT = (BotoCoreError, ClientError, OSError, UploadError)
# No header can hold one; a token that was pasted over two lines does.
_BREAKS = re.compile(r"[\r\n]")


class _Given(Protocol):
    """What a chain gives; it renews itself where it knows when it expires."""

    def get_frozen_credentials(self) -> Any: ...


class RenewableCredentials:
    """Stands between a client and its chain. Safe to use from several threads.

    botocore asks for `get_frozen_credentials` at each request, in the thread that makes it.
    `load` reads the whole chain and returns what it gives, or None where it finds nothing. That,
    and a refresh of what it gave, may hang, as botocore waits for a helper without an end; so a
    call waits for `limit_seconds`, and a later one begins anew.
    """

    def __init__(self, load: Callable[[], _Given | None], *, limit_seconds: float = 60) -> None:
        self._load = load
        self._limit_seconds = limit_seconds
        self._lock = threading.Lock()
        self._given: _Given | None = None
        self._loading: Future[_Given | None] | None = None
        self._renewals = 0
        self._found_any = False
        self._of_thread = threading.local()

    def get_frozen_credentials(self) -> Any:
        """Return keys and token as they are now, or None if there are none: botocore says so.

        Raises the UploadError that a failure of the chain stands for.
        """
        try:
            frozen = self._frozen()
        except Exception as error:  # noqa: BLE001 - whatever a chain raises means something
            meant = self._meaning(error)
            shown = isinstance(error, _OF_KNOWN_TEXT) and error is not meant
            # With --verbose the cause is shown, too.
            raise meant from (error if shown else None)
        if frozen is None and self._found_any:
            raise CredentialsUnobtainable("the credentials can no longer be found")
        self._found_any = self._found_any or frozen is not None
        return frozen

    def get_deferred_property(self, name: str) -> Callable[[], Any]:
        """Return what will tell a property, such as the account: botocore's clients ask for it."""
        return lambda: getattr(self.get_frozen_credentials(), name, None)

    def load_credentials(self) -> RenewableCredentials:
        """Return itself: this is the provider that botocore's session asks, too."""
        return self

    def renew(self) -> None:
        """Have the chain read anew by the next call; what fails in it, that call tells.

        Of several threads that were refused with the same credentials, one has that done.
        """
        with self._lock:
            if getattr(self._of_thread, "renewals", self._renewals) == self._renewals:
                self._given = None
                self._renewals += 1

    def _frozen(self) -> Any:
        given = self._current()
        frozen = None if given is None else self._awaited(_begun(given.get_frozen_credentials))
        if frozen is not None and any(_BREAKS.search(part or "") for part in frozen):
            raise NotPermitted("the credentials contain a line break")
        return frozen

    def _meaning(self, error: Exception) -> UploadError:
        meant = from_chain(error)
        if self._found_any and type(meant) is NotPermitted:
            # There were some, so this is no setup that never worked: a profile, for one, may
            # be half written just now.
            return CredentialsUnobtainable(meant.message, code=meant.code)
        return meant

    def _current(self) -> _Given | None:
        with self._lock:
            self._of_thread.renewals = self._renewals
            if self._given is not None:
                return self._given
            loading = self._loading = self._loading or _begun(self._load)
        given = None
        try:
            given = self._awaited(loading)
        finally:
            with self._lock:
                if self._loading is loading:
                    self._loading, self._given = None, given
        return given

    def _awaited(self, answer: Future[T]) -> T:
        wait([answer], timeout=self._limit_seconds)
        if not answer.done():
            raise CredentialsUnobtainable(
                f"no credentials: their provider gave no answer for {self._limit_seconds:g} seconds"
            )
        return answer.result()


def _begun(work: Callable[[], T]) -> Future[T]:
    """Do the work in a thread of its own, which does not keep the program from ending."""
    answer: Future[T] = Future()

    def carry_out() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits for it has it raised
            answer.set_exception(error)

    threading.Thread(target=carry_out, name="credentials", daemon=True).start()
    return answer


def chain(profile: str | None, region: str | None, *, limit_seconds: float) -> RenewableCredentials:
    """Return the credentials of boto3's own chain; a role is asked for in this region."""

    def load() -> _Given | None:
        # A session reads the files once, and keeps what its helpers said.
        session = Session(profile=profile)
        if region is not None:
            session.set_config_variable("region", region)
        return session.get_credentials()

    return RenewableCredentials(load, limit_seconds=limit_seconds)
