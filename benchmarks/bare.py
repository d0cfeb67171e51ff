"""Routes without authentication, middleware, rate limits or logs.

`benchmarks/routes.py` serves them with uvicorn, sets `DATABASE_URL`, and compares them with the application.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import FastAPI, Request

from app.core.settings import Settings
from app.db.database import Database
from app.db.engine import create_engine
from app.repositories import users
from app.repositories.users import UserRecord
from app.schemas.accounts import User

SETTINGS = Settings()


@asynccontextmanager
async def open_database(app: FastAPI) -> AsyncIterator[None]:
    """Open the application's engine for the lifetime of the server."""
    engine = create_engine(
        SETTINGS.database_url, pool_size=SETTINGS.database_pool_size, timeout=SETTINGS.database_timeout_seconds
    )
    app.state.database = Database(engine)
    yield
    await engine.dispose()


app = FastAPI(lifespan=open_database)


@app.get("/readyz")
async def ready() -> None:
    """Respond once the server is ready: `tests/servers.py` polls this route."""


@app.get("/nothing")
async def nothing() -> dict[str, str]:
    """Return a constant: the smallest possible route."""
    return {"status": "ok"}


@app.get("/users/{user_id}", response_model=User)
async def read_user(user_id: UUID, request: Request) -> UserRecord:
    """Return what `GET /auth/me` returns, without authentication."""
    database: Database = request.app.state.database
    async with database.read() as transaction:
        return await users.get_user(transaction, user_id)
