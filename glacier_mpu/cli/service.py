"""Which Glacier a run talks to: the real one, or a rehearsal of it inside this process."""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from glacier_mpu.cli.options import Options
from glacier_mpu.errors import BadInput
from glacier_mpu.vault.client import Address


@contextmanager
def service(options: Options) -> Iterator[Address]:
    """Yield the vault's address: the real one, or a rehearsal's that lives as long as this."""
    if options.rehearse is None:
        yield Address(
            vault=options.vault,
            account_id=options.account_id,
            profile=options.profile,
            region=options.region,
            endpoint_url=options.endpoint_url,
        )
    else:
        with _rehearsal(Path(options.rehearse), options) as address:
            yield address


@contextmanager
def _rehearsal(folder: Path, options: Options) -> Iterator[Address]:
    from glacier_mpu.rehearsal import (
        server as rehearsal,  # here, because a real upload has no use for a server
    )

    try:
        server = rehearsal.RehearsalServer(folder)
        server.store.create_vault(options.vault)
    except (OSError, sqlite3.Error) as error:
        raise BadInput(
            f"no rehearsal can be held in {str(folder)!r}: {error}",
            next_step="name a folder that can be written to",
        ) from error
    with server:
        yield Address(
            vault=options.vault,
            account_id=options.account_id,
            region=rehearsal.REGION,
            endpoint_url=server.endpoint_url,
            access_key=rehearsal.ACCESS_KEY,
            secret_key=rehearsal.SECRET_KEY,
        )


def goes_in_the_clear(endpoint_url: str) -> bool:
    """Tell whether anybody on the way to this address can read the data."""
    parts = urlsplit(endpoint_url)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
