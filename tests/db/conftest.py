from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.engine import create_engine


@pytest.fixture
async def short_timeout_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection and a time limit of one second."""
    engine = create_engine(database_url, pool_size=1, timeout=1)
    yield engine
    await engine.dispose()
