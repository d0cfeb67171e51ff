"""The rights of a PostgreSQL role that serves requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from asyncpg import InsufficientPrivilegeError
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.hash_chain import chain_key
from app.db.database import Database
from app.db.grants import NoRolesError, grant_access
from app.models.audit import REQUEST_RIGHTS
from app.services import audit
from tests.databases import migrate, open_engine, temporary_postgresql
from tests.people import Person
from tests.servers import clients, serve

ROLE = 'serves "requests"'
AUDIT_KEY = "of this server"
REVOKE_CREATE = "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
"""PostgreSQL 14 gives every role this right, and later versions do not."""
SEAL_AN_EVENT = (
    "INSERT INTO audit_events (id, occurred_at, action, outcome) VALUES (gen_random_uuid(), now(), 'x', 'ok')",
    "UPDATE audit_events SET position = 1, hash = 'x'",
)


@pytest.fixture
async def restricted_url(database_url: str, worker: str) -> AsyncIterator[str]:
    """The URL of the database for a role that has only the rights of ``grant_access``."""
    role = f"{ROLE} {worker}"
    quoted = role.replace('"', '""')
    async with open_engine(database_url) as engine:
        async with Database(engine).write() as transaction:
            await transaction.execute(text(f'CREATE ROLE "{quoted}" LOGIN'))
            await transaction.execute(text(REVOKE_CREATE))
        await grant_access(engine, role, REQUEST_RIGHTS)
        await grant_access(engine, role, REQUEST_RIGHTS)  # again, as after a migration
        yield make_url(database_url).set(username=role).render_as_string(hide_password=False)
        async with Database(engine).write() as transaction:
            await transaction.execute(text(f'DROP OWNED BY "{quoted}"'))
            await transaction.execute(text(f'DROP ROLE "{quoted}"'))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_server_works_with_the_granted_rights(restricted_url: str, database: Database) -> None:
    async def count_sealed() -> int:
        return (await audit.verify(database, chain_key(AUDIT_KEY), progress=lambda _: None)).sealed

    async with serve(restricted_url, 1, AUDIT_KEY=AUDIT_KEY) as servers, clients(servers) as [client]:
        assert (await client.get("/readyz")).status_code == 200
        doctor, patient = await Person.register(client, "doctor"), await Person.register(client, "patient")
        await doctor.publish("2036-12-08T14:00:00Z", "2036-12-08T22:00:00Z")
        booked = await patient.book(doctor, "2036-12-08T15:00:00Z")
        assert (await doctor.get("/doctors/me/appointments")).status_code == 200
        assert (await patient.delete(f"/appointments/{booked['id']}")).json()["status"] == "cancelled"
        assert (await patient.get("/auth/me/export")).status_code == 200
        async with asyncio.timeout(30):
            while await count_sealed() < 8:  # noqa: ASYNC110 - a job seals
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
async def test_granted_role_cannot_change_the_audit_trail(restricted_url: str, statement: str) -> None:
    async with open_engine(restricted_url) as engine:
        with pytest.raises(DBAPIError) as refused:
            async with Database(engine).write() as transaction:
                await transaction.execute(text(statement))
    assert isinstance(refused.value.orig, Exception)
    assert isinstance(refused.value.orig.__cause__, InsufficientPrivilegeError)


async def test_unknown_role_gets_no_rights(database: Database, backend: str) -> None:
    expected = "there is no role 'unknown role'" if backend == "postgresql" else "SQLite has no roles"
    with pytest.raises(NoRolesError, match=expected):
        await grant_access(database.engine, "unknown role", REQUEST_RIGHTS)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_owner_of_the_tables_is_refused(database: Database) -> None:
    async with database.read() as transaction:
        owner: str = await transaction.scalar(text("SELECT current_user"))
    with pytest.raises(NoRolesError, match="owns the tables"):
        await grant_access(database.engine, owner, REQUEST_RIGHTS)


async def execute(engine: AsyncEngine, *statements: str) -> None:
    async with Database(engine).write() as transaction:
        for statement in statements:
            await transaction.execute(text(statement))


@asynccontextmanager
async def temporary_role(engine: AsyncEngine, role: str) -> AsyncIterator[None]:
    await execute(engine, f"CREATE ROLE {role} LOGIN")
    try:
        yield
    finally:
        await execute(engine, f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")


REPLACE_EQUALITY = (
    "CREATE FUNCTION always_equal(audit_events, audit_events) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'",
    "CREATE OPERATOR public.= (leftarg = audit_events, rightarg = audit_events, function = always_equal)",
)
"""With this operator, every event equals every other event."""


async def test_operators_created_by_the_role_cannot_unseal_an_event(worker: str) -> None:
    role = f"creates_operators_{worker}"
    async with temporary_postgresql() as url, open_engine(url) as engine:
        await migrate(url)
        await execute(engine, REVOKE_CREATE, *SEAL_AN_EVENT)
        async with temporary_role(engine, role):
            await grant_access(engine, role, REQUEST_RIGHTS)
            await execute(engine, f"GRANT CREATE ON SCHEMA public TO {role}")
            async with open_engine(
                make_url(url).set(username=role).render_as_string(hide_password=False)
            ) as restricted:
                await execute(restricted, *REPLACE_EQUALITY)
                with pytest.raises(DBAPIError, match="audit_events can only grow"):
                    await execute(restricted, "UPDATE audit_events SET position = position + 1")


async def test_every_trigger_function_fixes_its_search_path() -> None:
    async with temporary_postgresql() as url, open_engine(url) as engine:
        await migrate(url)
        async with Database(engine).read() as transaction:
            found = await transaction.execute(
                text(
                    "SELECT proname, proconfig FROM pg_proc WHERE prorettype = 'trigger'::regtype "
                    "AND pronamespace = 'public'::regnamespace"
                )
            )
            functions = {row.proname: row.proconfig for row in found}
    assert functions
    assert set(map(tuple, functions.values())) == {("search_path=pg_catalog, pg_temp",)}


@pytest.mark.parametrize("grantee", ["PUBLIC", "the role"])
async def test_role_that_can_create_in_the_schema_gets_no_rights(worker: str, grantee: str) -> None:
    role = f"creates_{worker}"
    grantee = grantee.replace("the role", role)
    async with temporary_postgresql() as url, open_engine(url) as engine:
        await migrate(url)
        async with temporary_role(engine, role):
            await execute(engine, f"GRANT CREATE ON SCHEMA public TO {grantee}")
            with pytest.raises(NoRolesError, match="REVOKE CREATE ON SCHEMA public FROM PUBLIC"):
                await grant_access(engine, role, REQUEST_RIGHTS)
            await execute(engine, REVOKE_CREATE, f"REVOKE CREATE ON SCHEMA public FROM {role}")
            await grant_access(engine, role, REQUEST_RIGHTS)


async def test_owner_of_a_table_in_another_schema_is_accepted(worker: str) -> None:
    role = f"owner_elsewhere_{worker}"
    async with temporary_postgresql() as url, open_engine(url) as engine:
        await migrate(url)
        async with temporary_role(engine, role):
            await execute(
                engine,
                REVOKE_CREATE,
                "CREATE SCHEMA other",
                "CREATE TABLE other.users (id integer)",
                f"ALTER TABLE other.users OWNER TO {role}",
            )
            await grant_access(engine, role, REQUEST_RIGHTS)
            async with open_engine(
                make_url(url).set(username=role).render_as_string(hide_password=False)
            ) as restricted:
                await execute(restricted, "SELECT * FROM users")


async def test_rights_are_granted_on_tables_in_another_schema(worker: str) -> None:
    role = f"serves_a_schema_{worker}"
    async with temporary_postgresql() as url:
        async with open_engine(url) as engine:
            database = make_url(url).database
            await execute(
                engine,
                REVOKE_CREATE,
                'CREATE SCHEMA "Clinic"',
                f'ALTER DATABASE "{database}" SET search_path = "Clinic", public',
            )
        async with open_engine(url) as engine, temporary_role(engine, role):
            with pytest.raises(NoRolesError, match="run the migrations first"):
                await grant_access(engine, role, REQUEST_RIGHTS)
            await migrate(url)
            await grant_access(engine, role, REQUEST_RIGHTS)
            async with open_engine(
                make_url(url).set(username=role).render_as_string(hide_password=False)
            ) as restricted:
                await execute(restricted, 'SELECT * FROM "Clinic".users')


async def test_archived_events_in_another_schema_can_be_deleted() -> None:
    async with temporary_postgresql() as url:
        async with open_engine(url) as engine:
            database = make_url(url).database
            await execute(
                engine, 'CREATE SCHEMA "Clinic"', f'ALTER DATABASE "{database}" SET search_path = "Clinic", public'
            )
        await migrate(url)
        async with open_engine(url) as engine:
            await execute(engine, *SEAL_AN_EVENT)
            with pytest.raises(DBAPIError, match="audit_events can only grow"):
                await execute(engine, "DELETE FROM audit_events")
            await execute(
                engine,
                "INSERT INTO audit_archives VALUES (1, 'x', 1, 'x', now(), 'x')",
                "DELETE FROM audit_events",
            )
