"""For whatever watches over the process."""

import asyncio

from fastapi import APIRouter

from app.core.dependencies import AppResources, Public, Resources
from app.core.errors import DomainError
from app.db.schema import check_writable
from app.http.problems import responses
from app.schemas.health import Health

router = APIRouter(tags=["Health"])

CACHE_SECONDS = 1.0
"""Seconds for which a look at the database is good: it is a write, and no rate limits it."""
MAX_WAIT = 3.0
"""Seconds that a request waits for a look that is under way."""


@router.get("/livez")
async def livez(_: Public) -> Health:
    """Whether the process answers; nothing else is looked at."""
    return Health(status="ok")


@router.get("/readyz", responses=responses("busy", limited=False))
async def readyz(resources: AppResources, _: Public) -> Health:
    """Whether requests can be served: the database is there, takes writes, and has the schema we know.

    The database is looked at once in a second at most, and by one request at a time; all who ask meanwhile get the
    result of that look.
    """
    readiness = resources.readiness
    now = asyncio.get_running_loop().time()
    if readiness.look is None or (readiness.look.done() and now >= readiness.good_until):
        readiness.look = asyncio.create_task(_look(resources))
    try:
        async with asyncio.timeout(MAX_WAIT):
            # Those who stop waiting must not end it for the others.
            ready = await asyncio.shield(readiness.look)
    except TimeoutError:
        ready = False
    if not ready:
        raise DomainError("busy")
    return Health(status="ok")


async def _look(resources: Resources) -> bool:
    try:
        return await check_writable(resources.database)
    except DomainError:
        return False
    finally:
        resources.readiness.good_until = asyncio.get_running_loop().time() + CACHE_SECONDS
