"""Databases of a comparison's own PostgreSQL server, and connections to them past the application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import URL

BUFFERS = "1GB"
"""Of a server with large databases: a quarter of the memory of a small one, as PostgreSQL's manual has it (19.4.1)."""

type Connection = asyncpg.Connection[asyncpg.Record]


def as_text(url: URL) -> str:
    """With its driver and its password, as settings have it."""
    return url.render_as_string(hide_password=False)


@asynccontextmanager
async def connected(url: URL, **settings: str) -> AsyncIterator[Connection]:
    """A connection with the driver alone."""
    connection = await asyncpg.connect(as_text(url.set(drivername="postgresql")), server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


async def create_database(server: URL, name: str, *, template: URL | None = None) -> URL:
    """A new database, empty or the copy of a ``template`` that nobody is connected to, in the place of an old one."""
    copied = f' TEMPLATE "{template.database}"' if template else ""
    async with connected(server) as connection:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"{copied}')
    return server.set(database=name)


async def clean_up(url: URL) -> None:
    """Does what PostgreSQL would do by itself some minutes after much was written, in the middle of a comparison."""
    async with connected(url) as connection:
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
