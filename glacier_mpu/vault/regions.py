"""Which regions may be ones that this botocore does not know yet, and which are mistyped. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass

from glacier_mpu.errors import RegionMistyped

# Every region that there ever was is named like this: eu-west-1, us-gov-east-1, eusc-de-east-1.
_NAME = re.compile(
    r"(?P<area>[a-z]{2}|[a-z]+-[a-z]+)-(central|(north|south)?(east|west)|north|south)-[0-9]{1,2}"
)


@dataclass(frozen=True, slots=True)
class UnknownRegion:
    """The region may be a new one; `nearest` is one that is known, or empty."""

    region: str
    nearest: str


def unknown_region(region: str, known: Collection[str]) -> UnknownRegion | None:
    """Tell of a region that is not among the known ones. Raises RegionMistyped if it is none.

    Without any that are known, there is nothing to tell it by.
    """
    if region in known or not known:
        return None
    nearest = _nearest(region.lower(), known)
    name = _NAME.fullmatch(region)
    if name is None or ("-" in name["area"] and name["area"] not in _areas(known)):
        raise RegionMistyped(f"there is no region {region!r}", nearest=nearest)
    return UnknownRegion(region, nearest)


def _nearest(region: str, known: Collection[str]) -> str:
    """Return the known region that is most like this one, or an empty string.

    One with the same letters comes first: two of them may only have changed places.
    """
    close = difflib.get_close_matches(region, sorted(known))
    close.sort(key=lambda name: sorted(name) != sorted(region))
    return close[0] if close else ""


def _areas(known: Collection[str]) -> set[str]:
    return {name["area"] for name in map(_NAME.fullmatch, known) if name}
