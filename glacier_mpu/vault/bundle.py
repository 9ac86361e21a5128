"""The file of the authorities that are trusted, where the user names one."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from glacier_mpu.errors import BundleInvalid, quoted
from glacier_mpu.vault.failures import in_few_words

if TYPE_CHECKING:
    from mypy_boto3_glacier import GlacierClient


def check_bundle(client: GlacierClient) -> None:
    """Raise BundleInvalid if the client could trust nobody: otherwise its first connection tells.

    That would be late where the service cannot be reached just now. What the client trusts lies in
    no public place; where it is not found, the first connection tells.
    """
    if not client.meta.endpoint_url.startswith("https:"):
        return
    path = None
    with suppress(AttributeError):
        path = client._endpoint.http_session._verify  # type: ignore[attr-defined]  # noqa: SLF001
    if not isinstance(path, str):  # True is botocore's own
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError) as error:
        why = in_few_words(error).removeprefix("TLS: ")
        raise BundleInvalid(f"the CA bundle {quoted(path)} cannot be read: {why}") from error
