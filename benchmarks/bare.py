"""Bare routes of the framework: no caller, no middleware, nothing counted or logged. See `benchmarks/routes.py`.

`benchmarks/routes.py` serves it with uvicorn; `DATABASE_URL` says from where.
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
async def connect(app: FastAPI) -> AsyncIterator[None]:
    """The application's own connections, for as long as the server runs."""
    engine = create_engine(
        SETTINGS.database_url, pool_size=SETTINGS.database_pool_size, timeout=SETTINGS.database_timeout_seconds
    )
    app.state.sessions = Database(engine)
    yield
    await engine.dispose()


app = FastAPI(lifespan=connect)


@app.get("/readyz")
async def ready() -> None:
    """Whoever started the server asks until this is answered."""


@app.get("/nothing")
async def nothing() -> dict[str, str]:
    """As little as a route can do."""
    return {"status": "ok"}


@app.get("/users/{user_id}", response_model=User)
async def read_user(user_id: UUID, request: Request) -> UserRecord:
    """What `GET /auth/me` answers, to whoever asks."""
    sessions: Database = request.app.state.sessions
    async with sessions.read() as transaction:
        return await users.get_user(transaction, user_id)
