"""The vault's contract: what the uploader relies on, kept by the stand-in and by the real service.

`pytest --live-vault NAME` runs it against a real vault as well. AWS bills that: some dozen
requests, and an archive of 1 MiB that stays in the vault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, SECRET_KEY, Call
from glacier_mpu.source.blocks import MIB, Block, Plan
from glacier_mpu.source.file import FileSource, inspect
from glacier_mpu.source.treehash import Digest, combine
from glacier_mpu.stop import Stop, Stopped, Waits
from glacier_mpu.vault.calls import Vault
from glacier_mpu.vault.client import Address
from glacier_mpu.vault.errors import (
    CredentialsExpired,
    CredentialsRejected,
    HashMismatch,
    Refused,
    TimedOut,
    Unreachable,
    UploadNotFound,
    VaultError,
    VaultNotFound,
)
from glacier_mpu.vault.line import Line
from glacier_mpu.vault.outage import OutageOver
from glacier_mpu.vault.retry import Retry, Trouble
from tests.support.faults import FOREVER, Fault, FaultyHandler, echo_another_hash, faulty, refuse
from tests.support.kit import NoWait, body_of, ignore, whole
from tests.support.scripts import VAULT, address_of

MakeFile = Callable[..., Path]
UNKNOWN_ID = "A" * 92


@contextmanager
def open_vault(
    address: Address, *, stop: Stop | None = None, hear: Callable[[Trouble], None] = ignore
) -> Iterator[Vault]:
    with closing(
        Vault(address, connections=2, stop=stop or Stop(), hear=hear, waits=Waits())
    ) as vault:
        yield vault


@pytest.fixture(params=["stand-in", "live"])
def vault(request: pytest.FixtureRequest) -> Iterator[Vault]:
    if request.param == "stand-in":
        with open_vault(address_of(request.getfixturevalue("server")), stop=NoWait()) as vault:
            yield vault
        return
    name = request.config.getoption("--live-vault")
    if not name:
        pytest.skip("needs --live-vault NAME")
    with open_vault(Address(vault=name)) as vault:
        yield vault


@contextmanager
def an_upload(vault: Vault, description: str = "contract") -> Iterator[str]:
    upload_id = vault.initiate(description=description, block_size=MIB)
    try:
        yield upload_id
    finally:
        vault.abort(upload_id)


def digest_of(source: FileSource, block: Block) -> Digest:
    return source.digest(block, stop=Stop(), on_read=ignore)


def send(
    vault: Vault, upload_id: str, path: Path, number: int, *, digest: Digest | None = None
) -> Digest:
    """Send one block of the file, with its own hashes if no others are given."""
    source = inspect(str(path))
    block = Plan(source.size, MIB).block(number)
    digest = digest or digest_of(source, block)
    with source.open(
        block,
        linear_hash=digest.linear,
        stop=Stop(),
        on_move=ignore,
        allow=lambda size: size,
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
    with pytest.raises(UploadNotFound):
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
        stored = send(vault, upload_id, source, 0)
        other = make_file(MIB, "other")
        with other.open("r+b") as file:
            file.write(b"other")
        right = digest_of(inspect(str(other)), Block(number=0, offset=0, size=MIB))
        for wrong in (
            Digest(linear=right.linear, tree=bytes(32)),
            Digest(linear="0" * 64, tree=right.tree),
            stored,
        ):
            with pytest.raises(HashMismatch):
                send(vault, upload_id, other, 0, digest=wrong)
        assert vault.list_parts(upload_id).parts[0].tree_hash == stored.tree


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


def test_an_upload_id_that_never_was_is_not_found(vault: Vault) -> None:
    with pytest.raises(UploadNotFound):
        vault.list_parts(UNKNOWN_ID)


def test_a_vault_that_never_was_is_not_found(server: RehearsalServer) -> None:
    with (
        open_vault(address_of(server, vault="nowhere")) as vault,
        pytest.raises(VaultNotFound),
    ):
        vault.initiate(description="", block_size=MIB)


def test_an_empty_description_is_no_description(vault: Vault) -> None:
    with an_upload(vault, "") as upload_id:
        assert vault.list_parts(upload_id).upload.description == ""


def test_a_listing_of_more_than_a_page_is_read_to_its_end(
    server: RehearsalServer, make_file: MakeFile
) -> None:
    source = make_file(120 * MIB)
    with open_vault(address_of(server)) as vault:
        uploads = {vault.initiate(description=str(n), block_size=MIB) for n in range(51)}
        upload_id = max(uploads)
        for number in range(120):
            send(vault, upload_id, source, number)
        assert set(vault.list_parts(upload_id).parts) == {n * MIB for n in range(120)}
        assert {upload.upload_id for upload in vault.list_uploads()} == uploads


@pytest.mark.parametrize("times", [1, FOREVER], ids=["once", "always"])
def test_a_block_counts_as_stored_only_once_the_vault_echoes_its_hash(
    tmp_path: Path, make_file: MakeFile, times: int
) -> None:
    handler = faulty(Fault("UploadMultipartPart", echo_another_hash, times=times))
    told: list[Trouble] = []
    with RehearsalServer(tmp_path / "echoes", handler=handler) as server:
        server.store.create_vault(VAULT)
        with open_vault(address_of(server), stop=NoWait(), hear=told.append) as vault:
            upload_id = vault.initiate(description="", block_size=MIB)
            if times == 1:
                send(vault, upload_id, make_file(MIB), 0)
            else:
                with pytest.raises(HashMismatch, match="0" * 64):
                    send(vault, upload_id, make_file(MIB), 0)
    assert [type(retry.error) for retry in told if isinstance(retry, Retry)] == [HashMismatch]
    assert handler.calls.count("UploadMultipartPart") == 2


# -- how long a call may be silent


@pytest.fixture
def by_hand(server: RehearsalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ByHand]:
    with open_vault(address_of(server)) as vault:
        yield ByHand(vault, monkeypatch)


class ByHand:
    """A vault by a clock that is moved by hand, and calls that end as `once` says."""

    def __init__(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        self.vault = vault
        self.clock = (stop := NoWait()).clock
        self.tries: list[str] = []
        self.once: Callable[[int], dict[str, str]]
        line = Line(give_up_seconds=900, stop=stop, hear=ignore, clock=stop.clock)
        retries = replace(vault._retries, stop=stop, line=line, give_up_seconds=900)
        monkeypatch.setattr(vault, "_retries", retries)
        monkeypatch.setattr(vault._caller, "once", self._once)

    def _once(self, method: Callable[..., object], **_: object) -> dict[str, str]:
        self.tries.append(method.__name__)
        return self.once(len(self.tries))


def test_a_block_that_gets_further_in_every_try_is_not_given_up(
    by_hand: ByHand, make_file: MakeFile
) -> None:
    source = inspect(str(make_file(MIB)))
    digest = digest_of(source, whole(source))

    def once(tries: int) -> dict[str, str]:
        body.read(tries)
        by_hand.clock.passes(1000)
        if tries < 50:
            raise TimedOut("stalled")
        return {"checksum": digest.tree.hex()}

    by_hand.once = once
    with body_of(source, clock=by_hand.clock) as body:
        by_hand.vault.send_block("an-id", whole(source), digest=digest, body=body)
    assert len(by_hand.tries) == 50


def test_the_answer_to_completion_may_take_as_long_as_its_time_out_allows(by_hand: ByHand) -> None:
    """Twice 10 minutes, and half a minute for a connection, are more than 15 minutes."""

    def once(_: int) -> dict[str, str]:
        by_hand.clock.passes(10 * 60)
        raise TimedOut("no answer")

    by_hand.once = once
    with pytest.raises(VaultError):
        by_hand.vault.complete("an-id", size=MIB, tree_hash="0" * 64)
    assert by_hand.tries.count("complete_multipart_upload") == 2


# -- credentials


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what writes the key of the profile "work"."""
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))

    def write(key: str) -> None:
        path.write_text(
            f"[work]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET_KEY}\n"
        )

    write(ACCESS_KEY)
    return write


def of_profile(server: RehearsalServer) -> Address:
    return replace(address_of(server), access_key=None, secret_key=None, profile="work")


def test_expired_credentials_are_told_with_the_profile_whose_they_are(
    tmp_path: Path, work: Callable[[str], None]
) -> None:
    told: list[Trouble] = []
    expired = Fault("ListMultipartUploads", refuse(400, "ExpiredTokenException"))
    with RehearsalServer(tmp_path / "g", handler=faulty(expired)) as server:
        server.store.create_vault(VAULT)
        with open_vault(of_profile(server), stop=NoWait(), hear=told.append) as vault:
            assert vault.list_uploads() == []
    errors = [trouble.error for trouble in told if not isinstance(trouble, OutageOver)]
    assert errors
    for error in errors:
        assert isinstance(error, CredentialsExpired)
        assert error.profile == "work"


def test_credentials_that_are_refused_after_they_worked_are_read_anew_for_the_next_try(
    tmp_path: Path, work: Callable[[str], None]
) -> None:
    told: list[Retry] = []

    def refuse_and_replace(handler: FaultyHandler, call: Call) -> None:
        work("A" * 20)
        refuse(403, "InvalidSignatureException")(handler, call)

    def hear(trouble: Trouble) -> None:
        assert isinstance(trouble, Retry)
        told.append(trouble)
        if len(told) == 2:
            work(ACCESS_KEY)

    lone = Fault("ListMultipartUploads", refuse_and_replace, after=1)
    with RehearsalServer(tmp_path / "g", handler=faulty(lone)) as server:
        server.store.create_vault(VAULT)
        with open_vault(of_profile(server), stop=NoWait(), hear=hear) as vault:
            vault.list_uploads()
            assert vault.list_uploads() == []
    assert [type(retry.error) for retry in told] == [CredentialsRejected] * 2
    codes = [retry.error.code for retry in told if isinstance(retry.error, VaultError)]
    assert codes == ["InvalidSignatureException", "UnrecognizedClientException"]


# -- a stop, and an outage

CALLS: dict[str, Callable[[Vault, Path], object]] = {
    "initiate": lambda vault, _: vault.initiate(description="", block_size=MIB),
    "send_block": lambda vault, source: send(vault, UNKNOWN_ID, source, 1),
    "list_parts": lambda vault, _: vault.list_parts(UNKNOWN_ID),
    "list_uploads": lambda vault, _: vault.list_uploads(),
    "complete": lambda vault, _: vault.complete(UNKNOWN_ID, size=1, tree_hash="0" * 64),
    "abort": lambda vault, _: vault.abort(UNKNOWN_ID),
}
each_call = pytest.mark.parametrize("name", CALLS)


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[tuple[RehearsalServer, type[FaultyHandler]]]:
    """Yield a stand-in, and its handler, whose `calls` are the operations that arrived."""
    handler = faulty()
    with RehearsalServer(tmp_path / "counted", handler=handler) as server:
        server.store.create_vault(VAULT)
        yield server, handler


@each_call
def test_no_call_is_made_once_the_run_was_stopped(
    counted: tuple[RehearsalServer, type[FaultyHandler]], make_file: MakeFile, name: str
) -> None:
    server, handler = counted
    stop = Stop()
    stop.ask()
    source = make_file(2 * MIB)
    with open_vault(address_of(server), stop=stop) as vault, pytest.raises(Stopped):
        CALLS[name](vault, source)
    assert handler.calls == []


@each_call
def test_a_call_without_an_answer_is_told_by_its_name_and_a_block_by_its_number(
    server: RehearsalServer, make_file: MakeFile, name: str
) -> None:
    told: list[Retry] = []
    stop = Stop()

    def hear(trouble: Trouble) -> None:
        if isinstance(trouble, Retry):
            told.append(trouble)
            stop.ask()

    source = make_file(2 * MIB)
    # The port of a server that has ended may be that of another test by now.
    nobody = replace(address_of(server), endpoint_url="http://127.0.0.1:9")
    with open_vault(nobody, stop=stop, hear=hear) as vault, pytest.raises(Stopped):
        CALLS[name](vault, source)
    (retry,) = told
    assert (retry.call, retry.block) == (name, 1 if name == "send_block" else None)
    assert isinstance(retry.error, Unreachable)
