"""Which Glacier a run talks to: the real one, or a rehearsal of it inside this process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glacier_mpu.cli.options import Options, UsageError
from glacier_mpu.errors import quoted
from glacier_mpu.vault.client import Address


@contextmanager
def service(options: Options) -> Iterator[Address]:
    """Yield the vault's address: the real one, or a rehearsal's that lives as long as this.

    Raises UsageError if the rehearsal's folder cannot be used.
    """
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
    # Imported here because a real upload needs no server.
    from glacier_mpu.rehearsal.server import RehearsalServer
    from glacier_mpu.rehearsal.wire import ACCESS_KEY, REGION, SECRET_KEY

    try:
        server = RehearsalServer(folder)
        server.store.create_vault(options.vault)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot rehearse in {quoted(str(folder))}: {reason}",
            next_step="give --rehearse a folder that can be written to",
        ) from error
    with server:
        yield Address(
            vault=options.vault,
            account_id=options.account_id,
            region=REGION,
            endpoint_url=server.endpoint_url,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
        )
