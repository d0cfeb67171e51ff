"""Run the migrations on the connection passed by ``app.db.schema``, or on a new one if ``alembic`` itself is called."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from app import models
from app.core.settings import Settings
from app.db.database import Database
from app.db.engine import create_engine


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=models.User.metadata,
        render_as_batch=True,
        compare_server_default=True,
        transaction_per_migration=False,
    )
    # The caller owns the transaction, so an upgrade is committed as a whole or not at all.
    context.run_migrations()


async def connect_and_run() -> None:
    settings = Settings()
    engine = create_engine(
        settings.database_url,
        pool_size=1,
        timeout=settings.database_timeout_seconds,
        prepared_statements=settings.database_prepared_statements,
    )
    async with Database(engine).write() as transaction:
        await transaction.run_sync(run)
    await engine.dispose()


if (connection := context.config.attributes.get("connection")) is not None:
    run(connection)
else:
    asyncio.run(connect_and_run())
