"""A PostgreSQL role that serves requests can do all that they need, and cannot change the audit trail."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from asyncpg import InsufficientPrivilegeError
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from app.core.chain import chain_key
from app.db.grants import NoRolesError, grant_access
from app.db.session import Sessions
from app.models.audit import REQUEST_RIGHTS
from app.services import audit
from tests.databases import connected
from tests.people import Person
from tests.servers import clients, serve

ROLE = 'serves "requests"'
AUDIT_KEY = "of this server"


@pytest.fixture
async def restricted_url(database_url: str, worker: str) -> AsyncIterator[str]:
    """The database, for a role that has the rights of ``grant_access`` alone."""
    role = f"{ROLE} {worker}"
    quoted = role.replace('"', '""')
    async with connected(database_url) as engine:
        async with Sessions(engine).write() as session:
            await session.execute(text(f'CREATE ROLE "{quoted}" LOGIN'))
        await grant_access(engine, role, REQUEST_RIGHTS)
        await grant_access(engine, role, REQUEST_RIGHTS)  # again, as after a migration
        yield make_url(database_url).set(username=role).render_as_string(hide_password=False)
        async with Sessions(engine).write() as session:
            await session.execute(text(f'DROP OWNED BY "{quoted}"'))
            await session.execute(text(f'DROP ROLE "{quoted}"'))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_server_works_with_these_rights(restricted_url: str, sessions: Sessions) -> None:
    async def sealed() -> int:
        return (await audit.verify(sessions, chain_key(AUDIT_KEY), progress=lambda _: None)).sealed

    async with serve(restricted_url, 1, AUDIT_KEY=AUDIT_KEY) as servers, clients(servers) as [client]:
        assert (await client.get("/readyz")).status_code == 200
        doctor, patient = await Person.join(client, "doctor"), await Person.join(client, "patient")
        await doctor.open("2036-12-08T14:00:00Z", "2036-12-08T22:00:00Z")
        booked = await patient.book(doctor, "2036-12-08T15:00:00Z")
        assert (await doctor.get("/doctors/me/appointments")).status_code == 200
        assert (await patient.delete(f"/appointments/{booked['id']}")).json()["status"] == "cancelled"
        assert (await patient.get("/auth/me/export")).status_code == 200
        async with asyncio.timeout(30):
            while await sealed() < 8:  # noqa: ASYNC110 - a job seals
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "UPDATE audit_events SET action = 'other'",
        "ALTER TABLE audit_events DISABLE TRIGGER ALL",
        "DROP TRIGGER audit_events_change ON audit_events",
        "DROP TABLE audit_events",
        "DROP FUNCTION audit_events_only_grow() CASCADE",
        "SET session_replication_role = replica",
        "DELETE FROM audit_archives",
        "INSERT INTO audit_archives VALUES (1, 'x', 1, 'x', now(), 'x')",
    ],
)
async def test_the_audit_trail_cannot_be_changed(restricted_url: str, statement: str) -> None:
    async with connected(restricted_url) as engine:
        with pytest.raises(DBAPIError) as refused:
            async with Sessions(engine).write() as session:
                await session.execute(text(statement))
    assert isinstance(refused.value.orig, Exception)
    assert isinstance(refused.value.orig.__cause__, InsufficientPrivilegeError)


async def test_only_known_roles_of_postgresql_get_rights(sessions: Sessions, backend: str) -> None:
    expected = "there is no role 'nobody here'" if backend == "postgresql" else "SQLite has no roles"
    with pytest.raises(NoRolesError, match=expected):
        await grant_access(sessions.engine, "nobody here", REQUEST_RIGHTS)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_the_owner_of_the_tables_keeps_its_rights(sessions: Sessions) -> None:
    async with sessions.read() as session:
        owner: str = await session.scalar(text("SELECT current_user"))
    with pytest.raises(NoRolesError, match="owns the tables"):
        await grant_access(sessions.engine, owner, REQUEST_RIGHTS)
