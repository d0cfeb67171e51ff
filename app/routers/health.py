"""For whatever watches over the process."""

import asyncio

from fastapi import APIRouter

from app.core.dependencies import AppResources, Public
from app.core.errors import DomainError
from app.db.schema import check_writable
from app.routers.problems import responses
from app.schemas.health import Health

router = APIRouter(tags=["Health"])

LASTS = 1.0
"""Seconds for which a look at the database is good: it is a write, and nobody's rate limits it."""


@router.get("/livez")
async def livez(_: Public) -> Health:
    """Whether the process answers; nothing else is looked at."""
    return Health(status="ok")


@router.get("/readyz", responses=responses("busy", limited=False))
async def readyz(resources: AppResources, _: Public) -> Health:
    """Whether requests can be served: the database is there, takes writes, and has the schema we know.

    It is looked at once in a second at most, however many ask.
    """
    readiness = resources.readiness
    async with readiness.lock:
        now = asyncio.get_running_loop().time()
        if now - readiness.looked_at >= LASTS:
            readiness.ready = False
            readiness.looked_at = now
            readiness.ready = await check_writable(resources.sessions)
    if not readiness.ready:
        raise DomainError("busy")
    return Health(status="ok")
