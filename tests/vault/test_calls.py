"""The vault's contract: what the uploader relies on, kept by the stand-in and by the real service.

`pytest --live-vault NAME` runs it against a real vault as well. AWS bills that: some dozen
requests, and an archive of 2 MiB that stays in the vault.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glacier_mpu.errors import HashMismatch, Refused, Stopped, UploadGone, VaultMissing
from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.source.blocks import MIB, Plan
from glacier_mpu.source.file import BlockBody, digest_block, inspect
from glacier_mpu.source.treehash import Digest, combine
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.client import Address
from glacier_mpu.vault.retry import Retry
from glacier_mpu.waits import Waits
from tests.conftest import address_of

MakeFile = Callable[..., Path]


def open_vault(address: Address, *, stop: threading.Event | None = None) -> Vault:
    return Vault(
        address,
        connections=2,
        stop=stop or threading.Event(),
        on_retry=lambda _: None,
        waits=Waits(),
    )


@pytest.fixture(params=["stand-in", "live"])
def vault(request: pytest.FixtureRequest) -> Vault:
    if request.param == "stand-in":
        return open_vault(address_of(request.getfixturevalue("server")))
    name = request.config.getoption("--live-vault")
    if not name:
        pytest.skip("needs --live-vault NAME")
    return open_vault(Address(vault=name))


@contextmanager
def an_upload(vault: Vault, description: str = "contract") -> Iterator[str]:
    upload_id = vault.initiate(description=description, block_size=MIB)
    try:
        yield upload_id
    finally:
        vault.abort(upload_id)


def send(
    vault: Vault, upload_id: str, path: Path, number: int, *, digest: Digest | None = None
) -> Digest:
    source = inspect(str(path))
    block = Plan(source.size, MIB).block(number)
    if digest is None:
        digest = digest_block(source, block, stopped=lambda: False, on_read=lambda _: None)
    with BlockBody(
        source,
        block,
        linear_hash=digest.linear,
        stopped=lambda: False,
        on_move=lambda _: None,
    ) as body:
        vault.send_block(upload_id, block, digest=digest, body=body)
    return digest


def test_an_upload_in_any_order_completes_to_an_archive_of_the_combined_hash(
    vault: Vault, make_file: MakeFile
) -> None:
    source = make_file(MIB + 5)
    upload_id = vault.initiate(description="contract", block_size=MIB)
    last = send(vault, upload_id, source, 1)
    first = send(vault, upload_id, source, 0)
    tree_hash = combine([first.tree, last.tree]).hex()
    archive = vault.complete(upload_id, size=MIB + 5, tree_hash=tree_hash)
    assert archive.tree_hash == tree_hash
    assert archive.size == MIB + 5
    assert archive.location.endswith(f"/archives/{archive.archive_id}")
    again = vault.complete(upload_id, size=MIB + 5, tree_hash=tree_hash)
    assert again.archive_id == archive.archive_id
    with pytest.raises(UploadGone):
        vault.list_parts(upload_id)


def test_a_listing_tells_block_size_description_and_what_is_stored(
    vault: Vault, make_file: MakeFile
) -> None:
    source = make_file(2 * MIB + 5)
    with an_upload(vault, "two  spaces") as upload_id:
        digests = {number: send(vault, upload_id, source, number) for number in (2, 0)}
        listing = vault.list_parts(upload_id)
        assert listing.upload.upload_id == upload_id
        assert listing.upload.block_size == MIB
        assert listing.upload.description == "two  spaces"
        assert {offset: (p.size, p.tree_hash) for offset, p in listing.parts.items()} == {
            0: (MIB, digests[0].tree),
            2 * MIB: (5, digests[2].tree),
        }


def test_an_open_upload_is_listed_until_it_is_aborted(vault: Vault) -> None:
    with an_upload(vault) as upload_id:
        assert upload_id in {upload.upload_id for upload in vault.list_uploads()}
    assert upload_id not in {upload.upload_id for upload in vault.list_uploads()}


def test_a_block_whose_hashes_are_not_its_own_is_refused_and_not_stored(
    vault: Vault, make_file: MakeFile
) -> None:
    source = make_file(MIB)
    with an_upload(vault) as upload_id:
        wrong_tree = Digest(linear=send(vault, upload_id, source, 0).linear, tree=bytes(32))
        other = make_file(MIB, "other")
        with other.open("r+b") as file:
            file.write(b"other")
        for digest in (wrong_tree, Digest(linear="0" * 64, tree=wrong_tree.tree)):
            with pytest.raises(HashMismatch):
                send(vault, upload_id, other, 0, digest=digest)
        assert vault.list_parts(upload_id).parts[0].tree_hash != wrong_tree.tree


def test_a_block_sent_again_with_other_bytes_takes_the_place_of_the_first(
    vault: Vault, make_file: MakeFile
) -> None:
    source = make_file(MIB + 1)
    with an_upload(vault) as upload_id:
        send(vault, upload_id, source, 0)
        with source.open("r+b") as file:
            file.write(b"other")
        second = send(vault, upload_id, source, 0)
        assert vault.list_parts(upload_id).parts[0].tree_hash == second.tree


def test_completion_with_a_hole_or_a_wrong_hash_is_refused_and_leaves_the_upload_open(
    vault: Vault, make_file: MakeFile
) -> None:
    source = make_file(2 * MIB)
    with an_upload(vault) as upload_id:
        digest = send(vault, upload_id, source, 1)
        with pytest.raises(Refused):
            vault.complete(upload_id, size=2 * MIB, tree_hash=digest.tree.hex())
        first = send(vault, upload_id, source, 0)
        with pytest.raises(Refused):
            vault.complete(upload_id, size=2 * MIB, tree_hash=first.tree.hex())
        assert len(vault.list_parts(upload_id).parts) == 2


def test_an_upload_id_that_never_was_is_gone(vault: Vault) -> None:
    with pytest.raises(UploadGone):
        vault.list_parts("A" * 92)


def test_a_vault_that_never_was_is_missing(server: RehearsalServer) -> None:
    with pytest.raises(VaultMissing):
        open_vault(address_of(server, vault="nowhere")).initiate(description="", block_size=MIB)


def test_an_empty_description_is_no_description(vault: Vault) -> None:
    with an_upload(vault, "") as upload_id:
        assert vault.list_parts(upload_id).upload.description == ""


def test_a_listing_of_more_than_a_page_is_read_to_its_end(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    vault = open_vault(address_of(server))
    source = make_file(120 * MIB)
    uploads = {vault.initiate(description=str(n), block_size=MIB) for n in range(51)}
    upload_id = max(uploads)
    for number in range(120):
        send(vault, upload_id, source, number)
    assert set(vault.list_parts(upload_id).parts) == {n * MIB for n in range(120)}
    assert {upload.upload_id for upload in vault.list_uploads()} == uploads


def test_no_call_is_made_once_the_run_was_stopped(server: RehearsalServer) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        open_vault(address_of(server), stop=stop).list_uploads()
    assert client_calls(server) == 0


def client_calls(server: RehearsalServer) -> int:
    """Return how many uploads the stand-in was asked to begin."""
    return len(open_vault(address_of(server)).list_uploads())


def test_an_outage_is_told_and_then_survived(server: RehearsalServer) -> None:
    told: list[Retry] = []
    stop = threading.Event()

    def on_retry(retry: Retry) -> None:
        told.append(retry)
        stop.set()

    server.close()
    vault = Vault(address_of(server), connections=1, stop=stop, on_retry=on_retry, waits=Waits())
    with pytest.raises(Stopped):
        vault.initiate(description="", block_size=MIB)
    assert [retry.call for retry in told] == ["initiate the upload"]
