"""For whatever watches over the process."""

from fastapi import APIRouter

from app.core.dependencies import AppResources, Public
from app.core.errors import DomainError
from app.db.schema import check_writable
from app.routers.problems import responses
from app.schemas.health import Health

router = APIRouter(tags=["Health"])


@router.get("/livez")
async def livez(_: Public) -> Health:
    """Whether the process answers; nothing else is looked at."""
    return Health(status="ok")


@router.get("/readyz", responses=responses("busy", limited=False))
async def readyz(resources: AppResources, _: Public) -> Health:
    """Whether requests can be served: the database is there, takes writes, and has the schema we know."""
    async with resources.sessions.write() as session:
        if not await check_writable(session):
            raise DomainError("busy")
    return Health(status="ok")
