"""One call, once: boto3's clients, and what their answers mean. No other room makes a client."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from traceback import walk_tb
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore import exceptions as aws
from botocore import xform_name
from botocore.config import Config
from botocore.session import Session

from glacier_mpu.errors import AddressInvalid, ProxyInvalid, RegionMissing, UploadError
from glacier_mpu.stop import Waits
from glacier_mpu.vault.bundle import check_bundle
from glacier_mpu.vault.credentials import RenewableCredentials, chain
from glacier_mpu.vault.errors import TransientError
from glacier_mpu.vault.failures import from_botocore, from_chain
from glacier_mpu.vault.proxies import INVALID, check_proxy, is_on_this_machine
from glacier_mpu.vault.refusals import refusal
from glacier_mpu.vault.regions import UnknownRegion, unknown_region

if TYPE_CHECKING:
    from mypy_boto3_glacier import GlacierClient

# Of a body, read and sent at a time.
_PIECE_SIZE = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the vault is and who asks; None leaves a choice to boto3's own chain."""

    vault: str
    account_id: str = "-"
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """Clients that try each call once.

    calls           for blocks and lists
    patient         for completion: it waits longer for an answer
    unknown_region  the region, if botocore knows no such region of Glacier, and it may be new
    credentials     what the chain gives, or None if the keys are those of the address
    """

    calls: GlacierClient
    patient: GlacierClient
    unknown_region: UnknownRegion | None
    credentials: RenewableCredentials | None

    def renew_credentials(self) -> None:
        """Have the next call use what profile, login, helper or role give by then.

        To be called in the thread whose call was refused. Several threads that were refused with
        the same credentials renew them once. Never raises: what fails in it, the next call tells.
        """
        if self.credentials is not None:
            self.credentials.renew()

    def close(self) -> None:
        """Close the idle connections."""
        self.calls.close()
        self.patient.close()


def connect(address: Address, *, connections: int, waits: Waits) -> Clients:
    """Return the clients, the first of which keeps up to `connections` open. Calls nothing yet.

    Raises RegionMissing, RegionMistyped, AddressInvalid, ProxyInvalid or BundleInvalid if no call
    could succeed.
    """
    try:
        session, credentials = _session(address, limit_seconds=waits.credentials)
        make = partial(_clients, session, address, connections=connections, waits=waits)
        proxied = not is_on_this_machine(address.endpoint_url or "")
        with _kept_from_the_collector():
            clients = make(proxied=proxied)
            # The environment or the profile may name an endpoint, too.
            if proxied and is_on_this_machine(clients[0].meta.endpoint_url):
                proxied = False
                clients = make(proxied=proxied)
    except aws.NoRegionError as error:
        raise RegionMissing("no AWS region is set") from error
    except (aws.BotoCoreError, OSError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise AddressInvalid(f"the connection cannot be set up: {reason}") from error
    client, patient_client = clients
    if proxied:
        check_proxy(client.meta.endpoint_url)
    check_bundle(client)
    # Ahead of botocore's own handler, which would read the whole body once more to hash it.
    client.meta.events.register_first(
        "before-call.glacier.UploadMultipartPart", _declare_linear_hash
    )
    _hear_early_refusals(client)
    return Clients(
        calls=client,
        patient=patient_client,
        unknown_region=_unknown_region(session, client, address),
        credentials=credentials,
    )


def _session(
    address: Address, *, limit_seconds: float
) -> tuple[boto3.Session, RenewableCredentials | None]:
    if address.access_key is not None:
        session = boto3.Session(
            profile_name=address.profile,
            region_name=address.region,
            aws_access_key_id=address.access_key,
            aws_secret_access_key=address.secret_key,
        )
        return session, None
    below = Session(profile=address.profile)
    credentials = chain(address.profile, address.region, limit_seconds=limit_seconds)
    below.register_component("credential_provider", credentials)
    return boto3.Session(botocore_session=below, region_name=address.region), credentials


def _clients(
    session: boto3.Session, address: Address, *, connections: int, waits: Waits, proxied: bool
) -> tuple[GlacierClient, GlacierClient]:
    """Return the client for most calls, and the patient one."""
    client, patient_client = (
        session.client(
            "glacier",
            endpoint_url=address.endpoint_url,
            config=Config(
                connect_timeout=waits.connect,
                read_timeout=read_seconds,
                max_pool_connections=pool_size,
                retries={"total_max_attempts": 1},
                tcp_keepalive=True,
                proxies=None if proxied else {},  # None: those of the environment or the system
            ),
        )
        for read_seconds, pool_size in ((waits.read, connections), (waits.complete, 1))
    )
    return client, patient_client


def _unknown_region(
    session: boto3.Session, client: GlacierClient, address: Address
) -> UnknownRegion | None:
    """Tell of a region that botocore does not know. Raises RegionMistyped.

    With an endpoint of the user's own a region is only a name to sign with.
    """
    region = client.meta.region_name
    host = urlsplit(client.meta.endpoint_url).hostname or ""  # which is in lower case
    if address.endpoint_url is not None or region.lower() not in host.split("."):
        return None
    partitions = session.get_available_partitions()
    known = [name for part in partitions for name in session.get_available_regions("glacier", part)]
    return unknown_region(region, known)


@contextmanager
def _kept_from_the_collector() -> Iterator[None]:
    """Keep the garbage collector out: the clients' models live as long as the process.

    Otherwise each collection during the upload looks at all of them again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def call_once(
    method: Callable[..., Any], *, wants: tuple[str, ...], **parameters: Any
) -> Mapping[str, Any]:
    """Make one call, once, and return its answer. Raises the UploadError that its failure means.

    An answer that lacks one of `wants` was cut short: botocore passes half an answer on as a whole
    one in which the rest is merely absent.
    """
    try:
        answer: Mapping[str, Any] = method(**parameters)
    except UploadError:
        raise  # from the credentials
    except aws.ClientError as error:
        if xform_name(error.operation_name) != method.__name__:
            raise from_chain(error) from error  # of a call that the chain made to get credentials
        raise _from_answer(error) from error
    except aws.ParamValidationError:
        raise  # a fault of this program
    except aws.BotoCoreError as error:
        raise from_botocore(error) from error
    except OSError as error:  # botocore wraps its own; this is a credential process that is missing
        raise from_chain(error) from error
    except Exception as error:
        if not _is_the_parsers(error):
            raise
        raise TransientError(f"the answer cannot be read: {error}") from error
    missing = [name for name in wants if name not in answer]
    if missing:
        raise TransientError(f"the answer was cut short: it has no {', '.join(missing)}")
    return answer


def _is_the_parsers(error: Exception) -> bool:
    """Tell whether botocore's parser tripped: over JSON that is no object, say."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return any(frame.f_globals.get("__name__") == "botocore.parsers" for frame in frames)


def _hear_early_refusals(client: GlacierClient) -> None:
    """Let blocks leave in large pieces, and a refusal before a block's end be heard (tls.py).

    What is set here lies where botocore keeps its settings, which is no public place, and apart
    for each proxy. Where it is not found, all goes the usual way, and a test fails.
    """
    with suppress(AttributeError, ImportError, KeyError):
        from glacier_mpu.vault.tls import batch_records, pieces_have_a_size

        session = client._endpoint.http_session  # type: ignore[attr-defined]  # noqa: SLF001
        url = client.meta.endpoint_url
        proxy_url = session._proxy_config.proxy_url_for(url)  # noqa: SLF001
        try:
            manager = session._get_connection_manager(url, proxy_url)  # noqa: SLF001
        except ValueError:
            raise ProxyInvalid(INVALID) from None
        settings = manager.connection_pool_kw
        batch_records(settings["ssl_context"])
        if pieces_have_a_size():
            settings["blocksize"] = _PIECE_SIZE


def _declare_linear_hash(params: dict[str, Any], **_: Any) -> None:
    params["headers"]["x-amz-content-sha256"] = params["body"].linear_hash


def _from_answer(error: aws.ClientError) -> UploadError:
    details, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    return refusal(
        code=details.get("Code") or "",
        message=details.get("Message") or "",
        status=metadata.get("HTTPStatusCode", 0),
        request_id=metadata.get("RequestId") or "",
        seconds_behind=_seconds_behind(metadata.get("HTTPHeaders", {}).get("date", "")),
    )


def _seconds_behind(service_date: str) -> float | None:
    """Return how far this clock is behind the service's, whose HTTP date this is, if it is one."""
    try:
        behind = parsedate_to_datetime(service_date) - datetime.now(timezone.utc)
    except (TypeError, ValueError):
        return None
    return behind.total_seconds()
