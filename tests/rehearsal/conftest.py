"""What the tests of the stand-in share: a clock, and stores by that clock or by the true time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from glacier_mpu.rehearsal.records import Upload
from glacier_mpu.rehearsal.store import Store
from tests.support.store_kit import opened
from tests.support.wire_client import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with closing(Store(tmp_path / "vaults", now=clock)) as store:
        yield store


@pytest.fixture
def upload(store: Store) -> Upload:
    return opened(store)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Store]:
    """A store by the true time, as the processes beside it have."""
    with closing(Store(tmp_path / "live")) as store:
        yield store
