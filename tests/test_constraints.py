"""constraints.txt: one exact version of everything, for every Python and system that counts."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.scripts import ROOT

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}


def lines_of(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if not line.startswith(("#", "-r"))]


@pytest.mark.parametrize(("python", "system"), list(product(PYTHONS, SYSTEMS)))
def test_each_requirement_has_one_exact_version_that_is_new_enough(
    python: str, system: str
) -> None:
    here = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_system": SYSTEMS[system],
    }
    chosen = [
        line
        for line in lines_of("constraints.txt")
        if line.marker is None or line.marker.evaluate(here)
    ]
    names = [canonicalize_name(line.name) for line in chosen]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    versions = dict(zip(names, chosen, strict=True))
    for wanted in lines_of("requirements.txt") + lines_of("requirements-dev.txt"):
        (exact,) = versions[canonicalize_name(wanted.name)].specifier
        assert exact.operator == "=="
        assert exact.version in wanted.specifier
