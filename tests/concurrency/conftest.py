from collections.abc import AsyncIterator

import pytest

from tests.concurrency.clinic import Clinic, open_clinic
from tests.databases import both_databases


@pytest.fixture(scope="package", params=both_databases("concurrency"))
def shared_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="package")
async def guarded(shared_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clinic]:
    async with open_clinic(shared_backend, tmp_path_factory.mktemp("guarded"), guarded=True) as clinic:
        yield clinic


@pytest.fixture(scope="package")
async def unguarded(shared_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clinic]:
    async with open_clinic(shared_backend, tmp_path_factory.mktemp("unguarded"), guarded=False) as clinic:
        yield clinic


@pytest.fixture
async def clinic(guarded: Clinic) -> AsyncIterator[Clinic]:
    """A clinic without appointments. All tests share its servers, doctors and patients."""
    yield guarded
    await guarded.clear()


@pytest.fixture
async def unguarded_clinic(unguarded: Clinic) -> AsyncIterator[Clinic]:
    """A clinic whose database allows double bookings and does not wait for advisory locks."""
    yield unguarded
    await unguarded.clear()
