"""Health checks for orchestrators and load balancers."""

import asyncio

from fastapi import APIRouter

from app.core.dependencies import AppResources, Public, Resources
from app.core.errors import DomainError
from app.db.schema import check_writable
from app.http.problems import responses
from app.schemas.health import Health

router = APIRouter(tags=["Health"])

CACHE_SECONDS = 1.0
"""How long the result of a check of the database is valid. The check writes, and no rate limit applies to it."""
MAX_WAIT_SECONDS = 3.0
"""How long a request waits for a check that is in progress."""


@router.get("/livez")
async def livez(_: Public) -> Health:
    """Check that the process answers.

    Nothing else is checked, not even the database.
    """
    return Health(status="ok")


@router.get("/readyz", responses=responses("busy", limited=False))
async def readyz(resources: AppResources, _: Public) -> Health:
    """Check that requests can be served.

    The database must be reachable, accept writes and have the schema of this version. It is checked at most once per
    second, by one request at a time; requests that arrive in the meantime get the result of that check.
    """
    readiness = resources.readiness
    # Not the clock of the system, which can be set back.
    now = asyncio.get_running_loop().time()
    if readiness.check is None or (readiness.check.done() and now >= readiness.valid_until):
        readiness.check = asyncio.create_task(_check(resources))
    try:
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            # Shielded, because a request that is cancelled or times out must not cancel the check for the others.
            ready = await asyncio.shield(readiness.check)
    except TimeoutError:
        ready = False
    if not ready:
        raise DomainError("busy")
    return Health(status="ok")


async def _check(resources: Resources) -> bool:
    try:
        return await check_writable(resources.database)
    except DomainError:
        return False
    finally:
        resources.readiness.valid_until = asyncio.get_running_loop().time() + CACHE_SECONDS
