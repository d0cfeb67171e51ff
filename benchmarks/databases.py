"""Create databases of a PostgreSQL server and connect to them without the application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import URL

SHARED_BUFFERS = "1GB"
"""For servers with large databases: a quarter of the memory of a small machine, as PostgreSQL recommends (19.4.1)."""

type Connection = asyncpg.Connection[asyncpg.Record]


def as_text(url: URL) -> str:
    """Return the URL with its driver and its password, as in the settings."""
    return url.render_as_string(hide_password=False)


@asynccontextmanager
async def connect_to(url: URL, **settings: str) -> AsyncIterator[Connection]:
    """Open an asyncpg connection."""
    connection = await asyncpg.connect(as_text(url.set(drivername="postgresql")), server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


async def create_database(server: URL, name: str, *, template: URL | None = None) -> URL:
    """Create a database, empty or as a copy of ``template``, and return its URL. Drop an existing one with the name.

    No client may be connected to the template.
    """
    copied = f' TEMPLATE "{template.database}"' if template else ""
    async with connect_to(server) as connection:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"{copied}')
    return server.set(database=name)


async def vacuum_and_checkpoint(url: URL) -> None:
    """Vacuum, analyze and write a checkpoint, which PostgreSQL would otherwise do in the middle of a comparison."""
    async with connect_to(url) as connection:
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
