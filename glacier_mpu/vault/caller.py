"""Makes one call to the vault, and reads one list of it page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from glacier_mpu.vault.client import Address, Clients, call_once
from glacier_mpu.vault.errors import (
    CredentialsExpired,
    CredentialsRejected,
    Refused,
    SignatureRefused,
    TransientError,
)
from glacier_mpu.vault.retry import Retries

T = TypeVar("T")

# 10,000 blocks are 200 pages; of open uploads there may be more.
_MOST_PAGES = 2000


class Caller:
    """Calls the vault of this address, and has its credentials renewed where they are refused."""

    def __init__(self, address: Address, *, clients: Clients, retries: Retries) -> None:
        self._address = address
        self._clients = clients
        self._retries = retries
        self._accepted = False

    def once(
        self, method: Callable[..., Any], *, wants: tuple[str, ...] = (), **parameters: Any
    ) -> Mapping[str, Any]:
        """Make one call, once. After a refusal of the credentials, the next call has them anew.

        Raises CredentialsRejected for keys that were accepted before.
        """
        try:
            answer = call_once(
                method,
                wants=wants,
                accountId=self._address.account_id,
                vaultName=self._address.vault,
                **parameters,
            )
        except CredentialsExpired as error:
            self._clients.renew_credentials()
            error.profile = self._address.profile or ""
            raise
        except SignatureRefused as error:
            if not self._accepted:
                raise
            self._clients.renew_credentials()
            raise CredentialsRejected(
                error.message, code=error.code, status=error.status, request_id=error.request_id
            ) from error
        self._accepted = True
        return answer

    def pages(
        self,
        call: str,
        method: Callable[..., Any],
        read: Callable[[Mapping[str, Any]], T],
        *,
        wants: str,
        **parameters: str,
    ) -> Iterator[T]:
        """Yield what `read` makes of each page of a list; each is retried by itself."""

        def attempt(marker: str | None) -> tuple[T, str | None]:
            more = {} if marker is None else {"marker": marker}
            page = self.once(method, wants=(wants,), **parameters, **more)
            try:
                return read(page), page.get("Marker")
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise TransientError(f"the list cannot be read: {error!r}") from error

        marker: str | None = None
        seen: set[str] = set()
        while True:
            items, marker = self._retries.call(call, partial(attempt, marker))
            yield items
            if not marker:
                return
            if marker in seen or len(seen) >= _MOST_PAGES:
                raise Refused(f"the list of {wants} does not end")
            seen.add(marker)
