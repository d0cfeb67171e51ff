"""Changes between the two transactions of a log-in, and of a change of the password."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text

from app.core.clients import Client
from app.core.errors import DomainError
from app.core.permissions import Actor, Login, Role
from app.core.security import Passwords
from app.core.settings import Settings
from app.db.database import Database
from app.db.engine import create_engine
from app.repositories.users import UserRecord
from app.services import accounts
from app.services.sessions import log_in
from tests.conftest import SetClock
from tests.people import PASSWORD

HERE = Client("127.0.0.1")


class InterruptedPasswords(Passwords):
    """Calls ``interrupt`` after a password was checked."""

    interrupt: Callable[[], Awaitable[object]]

    async def matches(self, password: str, encoded: str | None) -> bool:
        matches = await super().matches(password, encoded)
        await self.interrupt()
        return matches


@pytest.fixture
async def passwords(settings: Settings) -> AsyncIterator[InterruptedPasswords]:
    passwords = InterruptedPasswords(settings)
    yield passwords
    passwords.close()


@pytest.fixture
async def one_connection(database_url: str) -> AsyncIterator[Database]:
    engine = create_engine(database_url, pool_size=1, timeout=1)
    yield Database(engine)
    await engine.dispose()


@pytest.fixture
async def ann(database: Database, passwords: Passwords, clock: SetClock) -> UserRecord:
    async with database.write() as transaction:
        return await accounts.register(
            transaction,
            passwords,
            email="ann@example.com",
            password=PASSWORD,
            name="Ann Lee",
            role=Role.PATIENT,
            now=clock.time,
            refuse_weak=False,
        )


async def count(database: Database, query: str) -> int | None:
    async with database.read() as transaction:
        number: int | None = await transaction.scalar(text(f"SELECT count(*) FROM {query}"))
        return number


async def test_log_in_without_a_connection_is_busy_and_not_a_failed_attempt(
    one_connection: Database, database: Database, passwords: InterruptedPasswords, settings: Settings, ann: UserRecord,
    clock: SetClock,
) -> None:  # fmt: skip
    async with AsyncExitStack() as stack:

        async def take_the_connection() -> None:
            transaction = await stack.enter_async_context(one_connection.read())
            await transaction.execute(text("SELECT 1"))

        passwords.interrupt = take_the_connection
        with pytest.raises(DomainError, match="busy"):
            await log_in(
                one_connection, passwords, settings, email=ann.email, password=PASSWORD, otp=None, client=HERE,
                now=clock.time,
            )  # fmt: skip
    assert await count(database, "audit_events WHERE outcome != 'ok'") == 0
    assert await count(database, "login_sessions") == 0


async def test_change_of_a_password_that_was_changed_meanwhile_is_refused(
    database: Database, passwords: InterruptedPasswords, settings: Settings, ann: UserRecord, clock: SetClock
) -> None:
    async def change_password() -> None:
        async with database.write() as transaction:
            await transaction.execute(text("UPDATE users SET password_hash = 'another'"))

    passwords.interrupt = change_password
    actor = Actor(ann.id, ann.role, ann.name, Login(ann.id, clock.time, second_factor=False))
    with pytest.raises(DomainError, match="not_authenticated"):
        await accounts.change_password(
            database, passwords, settings, actor, current_password=PASSWORD, new_password="another horse", client=HERE,
            now=clock.time,
        )  # fmt: skip
    assert await count(database, "users WHERE password_hash = 'another'") == 1
