"""Credentials: boto3's own chain, read anew on demand, and what it means when it gives none."""

from __future__ import annotations

import json
import shlex
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from botocore import exceptions as aws
from botocore.credentials import Credentials, DeferredRefreshableCredentials, SSOProvider

from glacier_mpu.errors import UploadError, redacted
from glacier_mpu.stop import Waits
from glacier_mpu.vault.client import Clients, call_once, connect
from glacier_mpu.vault.credentials import RenewableCredentials
from glacier_mpu.vault.errors import (
    CredentialsExpired,
    CredentialsUnobtainable,
    NotPermitted,
    Unreachable,
    VaultError,
)
from tests.support.clients import NOBODY, SOMEBODY, clients_of, list_parts
from tests.support.hanging_helper import hanging_helper
from tests.support.tiny_server import Answer, TinyServer, tiny_server

SECRET = "very-secret-key"


@pytest.fixture
def vault() -> Iterator[TinyServer]:
    with tiny_server(Answer(200, b'{"Parts": []}')) as server:
        yield server


@pytest.fixture
def clients(vault: TinyServer, profile: Path) -> Iterator[Clients]:
    """Yield clients of the vault, with the credentials of the chain."""
    with clients_of(replace(NOBODY, endpoint_url=vault.url)) as clients:
        yield clients


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of the profiles, which is empty."""
    path = tmp_path / "config"
    path.write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    return path


def keys(key: str) -> str:
    return f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n"


def helper(folder: Path, answer: str, *, status: int = 0, complaint: str = "") -> str:
    """Return a profile with a process that hands credentials out; its answer is a file."""
    (folder / "answer").write_text(answer)
    (folder / "helper.py").write_text(
        "import pathlib, sys\n"
        f"print(pathlib.Path({str(folder / 'answer')!r}).read_text())\n"
        f"print({complaint!r}, file=sys.stderr)\n"
        f"sys.exit({status})\n"
    )
    command = shlex.join([sys.executable, "-S", str(folder / "helper.py")])
    return f"[default]\ncredential_process = {command}\n"


def handed_out(key: str, **more: object) -> str:
    return json.dumps({"Version": 1, "AccessKeyId": key, "SecretAccessKey": SECRET, **more})


def signed_with(vault: TinyServer) -> list[str]:
    """Return the key that each call to the vault was signed with."""
    return [
        asked.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        for asked in vault.asked
    ]


def failure(clients: Clients) -> UploadError:
    with pytest.raises(UploadError) as caught:
        list_parts(clients.calls)
    assert SECRET not in redacted("".join(traceback.format_exception(caught.value)))
    return caught.value


# -- renewed in place


def test_credentials_of_a_file_that_was_rewritten_are_used_once_they_are_renewed(
    clients: Clients, vault: TinyServer, profile: Path
) -> None:
    profile.write_text(keys("AKIDOLD"))
    list_parts(clients.calls)
    profile.write_text(keys("AKIDNEW"))
    list_parts(clients.calls)
    clients.renew_credentials()
    list_parts(clients.calls)
    list_parts(clients.patient)
    assert signed_with(vault) == ["AKIDOLD", "AKIDOLD", "AKIDNEW", "AKIDNEW"]


def test_credentials_of_a_process_are_asked_for_anew_once_they_are_renewed(
    clients: Clients, vault: TinyServer, profile: Path, tmp_path: Path
) -> None:
    profile.write_text(helper(tmp_path, handed_out("AKIDOLD")))
    list_parts(clients.calls)
    (tmp_path / "answer").write_text(handed_out("AKIDNEW"))
    clients.renew_credentials()
    list_parts(clients.calls)
    assert signed_with(vault) == ["AKIDOLD", "AKIDNEW"]


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what logs in: it leaves a token in the cache, as `aws sso login` does."""
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(cache))

    def login(token: str) -> None:
        until = datetime.now(timezone.utc) + timedelta(hours=8)
        content = {"accessToken": token, "expiresAt": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        # The SHA-1 of the start URL.
        path = cache / "1c5a689b7bb92284d0c514c4b1c1e1ce96d9621f.json"
        path.write_text(json.dumps(content))

    return login


SSO = """[default]
sso_start_url = https://start.example
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = uploader
"""


def test_a_session_that_was_logged_in_again_is_used_once_credentials_are_renewed(
    clients: Clients,
    vault: TinyServer,
    profile: Path,
    login: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    role = {
        "accessKeyId": "AKIDROLE",
        "secretAccessKey": SECRET,
        "sessionToken": "token",
        "expiration": int(datetime.now(timezone.utc).timestamp() + 3600) * 1000,
    }
    profile.write_text(SSO)
    with tiny_server(Answer(200, json.dumps({"roleCredentials": role}).encode())) as portal:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", portal.url)
        assert type(failure(clients)) is CredentialsExpired
        for token in ("first", "second"):
            login(token)
            clients.renew_credentials()
            list_parts(clients.calls)
    assert [asked.headers["x-amz-sso_bearer_token"] for asked in portal.asked] == [
        "first",
        "second",
    ]
    assert signed_with(vault) == ["AKIDROLE"] * 2


def test_keys_of_the_address_stay_as_they_are(vault: TinyServer, profile: Path) -> None:
    profile.write_text(keys("AKIDFILE"))
    with clients_of(replace(SOMEBODY, endpoint_url=vault.url)) as clients:
        list_parts(clients.calls)
        clients.renew_credentials()
        list_parts(clients.calls)
    assert signed_with(vault) == ["AKIDEXAMPLE"] * 2


def test_the_profile_and_the_region_that_were_asked_for_are_those_of_the_chain(
    vault: TinyServer, profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile.write_text(
        f"[profile other]\nrole_arn = arn:aws:iam::123456789012:role/uploader\n"
        f"source_profile = source\n[profile source]\naws_access_key_id = AKIDSOURCE\n"
        f"aws_secret_access_key = {SECRET}\n"
    )
    with tiny_server(Answer(403, b"")) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        address = replace(NOBODY, endpoint_url=vault.url, profile="other", region="eu-west-3")
        with clients_of(address) as clients:
            failure(clients)
    assert "AKIDSOURCE/" in sts.asked[0].headers["authorization"]
    assert "/eu-west-3/sts/" in sts.asked[0].headers["authorization"]


def test_threads_that_were_refused_with_the_same_credentials_renew_them_once() -> None:
    loaded: list[Credentials] = []

    def load() -> Credentials:
        loaded.append(Credentials(f"AKID{len(loaded)}", SECRET))
        return loaded[-1]

    credentials = RenewableCredentials(load)
    signed, renewed = threading.Barrier(8), threading.Barrier(8)
    used: list[str] = []

    def block() -> None:
        assert credentials.get_frozen_credentials().access_key == "AKID0"
        signed.wait(10)
        credentials.renew()
        renewed.wait(10)
        used.append(credentials.get_frozen_credentials().access_key)

    threads = [threading.Thread(target=block) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert used == ["AKID1"] * 8
    assert len(loaded) == 2


def test_a_thread_that_was_refused_with_older_credentials_leaves_newer_ones_alone() -> None:
    loaded: list[Credentials] = []

    def load() -> Credentials:
        loaded.append(Credentials(f"AKID{len(loaded)}", SECRET))
        return loaded[-1]

    credentials = RenewableCredentials(load)
    credentials.get_frozen_credentials()

    def another() -> None:
        credentials.get_frozen_credentials()
        credentials.renew()
        credentials.get_frozen_credentials()

    thread = threading.Thread(target=another)
    thread.start()
    thread.join(10)
    credentials.renew()  # of those that this thread used first
    assert credentials.get_frozen_credentials().access_key == "AKID1"
    credentials.renew()
    assert credentials.get_frozen_credentials().access_key == "AKID2"


def test_a_chain_that_fails_is_told_by_the_next_call_and_asked_again_by_the_one_after(
    clients: Clients, vault: TinyServer, profile: Path, tmp_path: Path
) -> None:
    profile.write_text(helper(tmp_path, handed_out("AKIDOLD")))
    list_parts(clients.calls)
    (tmp_path / "answer").write_text("")
    clients.renew_credentials()
    assert type(failure(clients)) is CredentialsUnobtainable
    (tmp_path / "answer").write_text(handed_out("AKIDNEW"))
    list_parts(clients.calls)
    assert signed_with(vault) == ["AKIDOLD", "AKIDNEW"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[default]\naws_access_key_id = AKID\n",
        "[default\n",
        "[default]\nrole_arn = x\n",
        keys("AKIDNEW") + "aws_session_token = half a\n  token\n",
        keys("AKIDNEW\n  OVER"),
        keys("AKIDNEW").replace(SECRET, SECRET.replace("-", "\n  ")),
    ],
    ids=[
        "nothing",
        "half a profile",
        "no profile",
        "a role without a source",
        "a token over two lines",
        "a key over two lines",
        "a secret key over lines",
    ],
)
def test_a_profile_that_is_spoilt_after_it_served_keeps_the_upload_and_is_read_again(
    clients: Clients, profile: Path, content: str
) -> None:
    profile.write_text(keys("AKIDOLD"))
    list_parts(clients.calls)
    profile.write_text(content)
    clients.renew_credentials()
    error = failure(clients)
    assert type(error) is CredentialsUnobtainable
    assert error.keeps_upload
    profile.write_text(keys("AKIDNEW"))
    clients.renew_credentials()
    list_parts(clients.calls)


def test_a_profile_that_never_served_is_not_permitted(clients: Clients, profile: Path) -> None:
    assert type(failure(clients)) is NotPermitted
    for content in ("[default]\naws_access_key_id = AKID\n", keys("AKID\n  OVER")):
        profile.write_text(content)
        clients.renew_credentials()
        assert type(failure(clients)) is NotPermitted


def test_a_credential_over_two_lines_is_told_so_and_no_call_is_made_with_it(
    clients: Clients, vault: TinyServer, profile: Path
) -> None:
    profile.write_text(keys("AKID") + "aws_session_token = half a\n  token\n")
    assert failure(clients).message == "the credentials contain a line break"
    assert vault.asked == []


# -- a chain that hangs


class Hangs:
    """What loads credentials, or refreshes them, and hangs in the first so many calls."""

    def __init__(self, times: int) -> None:
        self.calls = 0
        self.times = times
        self.in_vain = False
        self.goes_on = threading.Event()

    def load(self) -> Credentials:
        self.calls += 1
        if self.calls <= self.times:
            self.in_vain = not self.goes_on.wait(10)
        return Credentials("AKID", SECRET)

    def refresh(self) -> dict[str, str]:
        self.load()
        late = datetime.now(timezone.utc) + timedelta(hours=8)
        return {
            "access_key": "AKID",
            "secret_key": SECRET,
            "token": "token",
            "expiry_time": late.isoformat(),
        }


@pytest.fixture
def hangs() -> Iterator[Hangs]:
    hangs = Hangs(times=1)
    yield hangs
    hangs.goes_on.set()


NO_ANSWER = "no credentials: their provider gave no answer for 0.05 seconds"


def test_a_chain_that_hangs_is_told_and_asked_anew_by_the_next_call(hangs: Hangs) -> None:
    credentials = RenewableCredentials(hangs.load, limit_seconds=0.05)
    with pytest.raises(CredentialsUnobtainable, match=NO_ANSWER):
        credentials.get_frozen_credentials()
    assert credentials.get_frozen_credentials().access_key == "AKID"
    assert hangs.calls == 2


def test_threads_that_need_credentials_wait_side_by_side_for_one_answer(hangs: Hangs) -> None:
    credentials = RenewableCredentials(hangs.load, limit_seconds=60)
    used: list[str] = []

    def block() -> None:
        used.append(credentials.get_frozen_credentials().access_key)

    threads = [threading.Thread(target=block) for _ in range(8)]
    for thread in threads:
        thread.start()
    credentials.renew()  # which waits for nobody
    hangs.goes_on.set()
    for thread in threads:
        thread.join(10)
    assert used == ["AKID"] * 8
    assert (hangs.calls, hangs.in_vain) == (1, False)


def test_credentials_whose_refresh_hangs_are_told_and_loaded_anew_once_renewed(
    hangs: Hangs,
) -> None:
    def load() -> Credentials:
        return DeferredRefreshableCredentials(hangs.refresh, "a role")

    credentials = RenewableCredentials(load, limit_seconds=0.05)
    with pytest.raises(CredentialsUnobtainable, match=NO_ANSWER):
        credentials.get_frozen_credentials()
    credentials.renew()
    assert credentials.get_frozen_credentials().access_key == "AKID"


def test_a_helper_that_hangs_is_waited_for_as_long_as_the_waits_say(
    vault: TinyServer, profile: Path, tmp_path: Path
) -> None:
    with hanging_helper(tmp_path) as hanging:
        profile.write_text(hanging.profile)
        address = replace(NOBODY, endpoint_url=vault.url)
        clients = connect(address, connections=1, waits=Waits(credentials=0.05))
        assert failure(clients).message == NO_ANSWER
    assert vault.asked == []


# -- a chain that gives none


HELPERS: dict[str, tuple[str, int, str]] = {
    "empty": ("", 0, ""),
    "no JSON": (f"AccessKeyId: AKID, SecretAccessKey: {SECRET}", 0, ""),
    "cut JSON": (handed_out("AKID")[:-1], 0, ""),
    "no object": (f'["AKID", "{SECRET}"]', 0, ""),
    "no secret key": ('{"Version": 1, "AccessKeyId": "AKID"}', 0, ""),
    "another version": (handed_out("AKID").replace("1", "2"), 0, ""),
    "a bad date": (handed_out("AKID", Expiration=f"soon {SECRET}"), 0, ""),
    "a date without a zone": (handed_out("AKID", Expiration="2099-01-01T00:00:00"), 0, ""),
    "exit status": ("", 3, "no such user"),
    "a secret in its complaint": ("", 3, f'cannot use {{"SecretAccessKey": "{SECRET}"}}'),
}


@pytest.mark.parametrize(("answer", "status", "complaint"), HELPERS.values(), ids=HELPERS.keys())
def test_a_helper_that_hands_out_none_is_told_and_asked_again_without_a_secret(
    clients: Clients, profile: Path, tmp_path: Path, answer: str, status: int, complaint: str
) -> None:
    profile.write_text(helper(tmp_path, answer, status=status, complaint=complaint))
    error = failure(clients)
    assert type(error) is CredentialsUnobtainable
    assert complaint.split(" {")[0] in error.message


def test_a_helper_that_hands_out_expired_ones_is_told_so(
    clients: Clients, profile: Path, tmp_path: Path
) -> None:
    profile.write_text(helper(tmp_path, handed_out("AKID", Expiration="2020-01-01T00:00:00Z")))
    error = failure(clients)
    assert type(error) is CredentialsExpired
    assert "expired" in error.message


def test_a_helper_that_is_missing_is_named(clients: Clients, profile: Path) -> None:
    profile.write_text("[default]\ncredential_process = /nowhere/credentials\n")
    error = failure(clients)
    assert type(error) is CredentialsUnobtainable
    assert "/nowhere/credentials" in error.message


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (404, "ResourceNotFoundException", CredentialsUnobtainable),
        (403, "ForbiddenException", CredentialsUnobtainable),
        (401, "UnauthorizedException", CredentialsExpired),
    ],
)
def test_an_answer_of_the_login_portal_is_not_taken_for_the_vaults(
    clients: Clients,
    profile: Path,
    login: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    name: str,
    kind: type[VaultError],
) -> None:
    profile.write_text(SSO)
    login("a token")
    answer = Answer(status, b'{"message": "No access"}', {"x-amzn-errortype": name})
    with tiny_server(answer) as portal:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", portal.url)
        error = failure(clients)
    assert type(error) is kind
    if kind is CredentialsUnobtainable:
        assert error.message == f"GetRoleCredentials: {name}: No access"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", CredentialsUnobtainable),
        ("ExpiredToken", CredentialsExpired),
        ("InvalidClientTokenId", CredentialsUnobtainable),
    ],
)
def test_an_answer_to_the_wish_for_a_role_is_not_taken_for_the_vaults(
    clients: Clients,
    profile: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    kind: type[VaultError],
) -> None:
    role = "role_arn = arn:aws:iam::123456789012:role/uploader\nsource_profile = source\n"
    profile.write_text(f"[default]\n{role}" + keys("AKID").replace("default", "profile source"))
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>No</Message></Error></ErrorResponse>"
    with tiny_server(Answer(403, body.encode())) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        error = failure(clients)
    assert type(error) is kind
    assert error.message == f"AssumeRole: {code}: No"
    assert error.keeps_upload


def test_a_portal_that_cannot_be_reached_is_asked_again_and_the_vault_was_not_called(
    clients: Clients,
    vault: TinyServer,
    profile: Path,
    login: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    profile.write_text(SSO)
    login("a token")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        portal = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", f"http://{portal}")
        error = failure(clients)
    assert type(error) is Unreachable
    assert error.message == f"no credentials: {portal}: connection refused"
    assert vault.asked == []


def test_an_answer_that_breaks_off_on_the_way_to_credentials_leaves_the_call_unsent() -> None:
    def load() -> None:
        raise aws.ConnectionClosedError(endpoint_url="https://sts.example")

    with pytest.raises(VaultError) as caught:
        RenewableCredentials(load).get_frozen_credentials()
    assert not caught.value.may_have_executed
    assert caught.value.max_tries == 0


def test_an_answer_to_another_call_than_the_one_that_was_made_is_not_the_vaults() -> None:
    def list_parts() -> None:
        answer = {"Error": {"Code": "ResourceNotFoundException", "Message": "No"}}
        raise aws.ClientError(answer, "GetRoleCredentials")  # type: ignore[arg-type]

    with pytest.raises(CredentialsUnobtainable, match="GetRoleCredentials"):
        call_once(list_parts, wants=())
