"""Regions: one that is mistyped is refused before any call, one that may be new is only told of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glacier_mpu.errors import AddressInvalid, RegionMistyped
from glacier_mpu.vault.regions import UnknownRegion, unknown_region
from tests.support.clients import SOMEBODY, clients_of

KNOWN = ["eu-west-1", "eu-central-1", "us-east-1", "us-west-1", "us-gov-west-1", "ap-northeast-1"]


@pytest.mark.parametrize("region", KNOWN)
def test_a_known_region_is_nothing_to_tell_of(region: str) -> None:
    assert unknown_region(region, KNOWN) is None


@pytest.mark.parametrize(
    ("region", "nearest"),
    [
        ("eu-wst-1", "eu-west-1"),
        ("eu-west1", "eu-west-1"),
        ("eu-west-", "eu-west-1"),
        ("euwest-1", "eu-west-1"),
        ("eu-west-1a", "eu-west-1"),
        ("EU-WEST-1", "eu-west-1"),
        ("EU-WEST-9", "eu-west-1"),
        ("eu-centrl-1", "eu-central-1"),
        ("us-gvo-west-1", "us-gov-west-1"),
        ("ap-northest-1", "ap-northeast-1"),
        ("us-esat-1", "us-east-1"),
        ("ireland", ""),
    ],
)
def test_a_mistyped_region_is_refused_with_the_nearest_that_is_known(
    region: str, nearest: str
) -> None:
    with pytest.raises(RegionMistyped, match=f"there is no region '{region}'") as caught:
        unknown_region(region, KNOWN)
    assert caught.value.nearest == nearest


@pytest.mark.parametrize(
    ("region", "nearest"),
    [
        ("eu-west-9", "eu-west-1"),
        ("eu-southwest-1", "eu-west-1"),
        ("nz-north-12", ""),
        ("us-gov-east-1", "us-gov-west-1"),
    ],
)
def test_a_region_that_may_be_new_is_told_of_and_not_refused(region: str, nearest: str) -> None:
    unknown = unknown_region(region, KNOWN)
    assert unknown is not None
    assert unknown.region == region
    if nearest:
        assert unknown.nearest == nearest


def test_where_none_is_known_no_region_is_called_mistyped() -> None:
    assert unknown_region("eu-wst-1", []) is None


# -- by what this botocore knows


@pytest.mark.parametrize(
    "region", ["eu-west-1", "us-gov-west-1", "cn-northwest-1", "us-iso-east-1", "fips-us-east-1"]
)
def test_the_regions_of_glacier_are_known(region: str) -> None:
    with clients_of(replace(SOMEBODY, region=region)) as clients:
        assert clients.unknown_region is None


def test_a_region_that_may_be_new_is_tried() -> None:
    with clients_of(replace(SOMEBODY, region="eu-west-9")) as clients:
        unknown = clients.unknown_region
        assert isinstance(unknown, UnknownRegion)
        assert unknown.nearest.startswith("eu-west-")


@pytest.mark.parametrize("region", ["eu-wst-1", "aws-global", "EU-WEST-1", "Ireland"])
def test_a_mistyped_region_ends_before_any_call(region: str) -> None:
    with pytest.raises(RegionMistyped), clients_of(replace(SOMEBODY, region=region)):
        pass


def test_a_region_that_cannot_be_part_of_a_name_is_refused_as_ever() -> None:
    with pytest.raises(AddressInvalid), clients_of(replace(SOMEBODY, region="eu west")):
        pass


@pytest.mark.parametrize("named_by", ["address", "environment"])
def test_with_an_endpoint_of_ones_own_a_region_is_only_a_name(
    monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    url = "https://archive.example"
    if named_by == "environment":
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    address = replace(SOMEBODY, endpoint_url=url if named_by == "address" else None)
    for region in ("eu-wst-1", "eu-west-9", "here"):
        with clients_of(replace(address, region=region)) as clients:
            assert clients.unknown_region is None


def test_with_an_explicit_endpoint_a_region_may_even_be_part_of_its_name() -> None:
    address = replace(SOMEBODY, region="here", endpoint_url="https://glacier.here.example")
    with clients_of(address) as clients:
        assert clients.unknown_region is None
