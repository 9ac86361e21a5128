"""botocore's real clients, as the vault makes them, and one call to make with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from glacier_mpu.stop import Waits
from glacier_mpu.vault.client import Address, Clients, call_once, connect

if TYPE_CHECKING:
    from mypy_boto3_glacier import GlacierClient

NOBODY = Address(vault="photos", region="us-east-1")
SOMEBODY = replace(NOBODY, access_key="AKIDEXAMPLE", secret_key="very-secret-key")
UPLOAD = {"accountId": "-", "vaultName": "photos", "uploadId": "an-id"}


@contextmanager
def clients_of(address: Address) -> Iterator[Clients]:
    with closing(connect(address, connections=2, waits=Waits(connect=5, read=5))) as clients:
        yield clients


@contextmanager
def connected(address: Address) -> Iterator[GlacierClient]:
    with clients_of(address) as clients:
        yield clients.calls


def list_parts(client: GlacierClient) -> Mapping[str, Any]:
    return call_once(client.list_parts, wants=("Parts",), **UPLOAD)
