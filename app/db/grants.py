"""What the PostgreSQL role may do that serves requests, if it is not the owner of the tables."""

from collections.abc import Mapping, Sequence

from sqlalchemy import quoted_name, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.base import Base
from app.db.database import Database
from app.db.engine import is_postgresql

_READ_WRITE = ("SELECT", "INSERT", "UPDATE", "DELETE")


class NoRolesError(Exception):
    """The database is not PostgreSQL or has no tables, or the role does not exist or has too many rights."""


async def grant_access(engine: AsyncEngine, role: str, exceptions: Mapping[str, Sequence[str]]) -> None:
    """Lets a role read and write all tables, except that ``exceptions`` has the only rights on the tables it names.

    Other rights on our tables are revoked. To be called by the owner of the tables, after each
    migration, for new tables come without grants. ``NoRolesError`` for an unknown role, for the owner itself, a member
    of it or a superuser, whom nothing can be refused, for a role that can create objects in a schema of the search
    path, for a database without tables, and on SQLite.
    """
    if not is_postgresql(engine):
        raise NoRolesError("SQLite has no roles: whoever can open the file can change it")
    async with Database(engine).write() as transaction:
        known = await transaction.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
        if not known:
            raise NoRolesError(f"there is no role {role!r}; create it first: CREATE ROLE {role} LOGIN PASSWORD '…'")
        # The table that an unqualified name means here; other schemas may have tables of the same name.
        found = await transaction.execute(
            text(
                "SELECT pg_has_role(:role, relowner, 'MEMBER') AS is_owner, CAST(relnamespace::regnamespace AS text) "
                "AS schema FROM pg_class WHERE oid = to_regclass('users')"
            ),
            {"role": role},
        )
        users = found.one_or_none()
        if users is None:
            raise NoRolesError("there are no tables yet; run the migrations first")
        if users.is_owner:
            raise NoRolesError(f"{role!r} owns the tables, or may do all that their owner may; grant to another role")
        # Functions and operators there are also found by the statements of the owner.
        open_schemas = await transaction.scalars(
            text(
                "SELECT quote_ident(name) FROM unnest(current_schemas(false)) AS name "
                "WHERE has_schema_privilege(:role, CAST(name AS text), 'CREATE')"
            ),
            {"role": role},
        )
        if names := ", ".join(open_schemas):
            raise NoRolesError(
                f"{role!r} can create functions and operators in {names}, which other roles then run; as the owner of "
                f"the schema: REVOKE CREATE ON SCHEMA {names} FROM PUBLIC, and from {role!r} if it was granted directly"
            )
        quote = transaction.dialect.identifier_preparer.quote
        grantee = quote(quoted_name(role, quote=True))
        statements = [f"GRANT USAGE ON SCHEMA {users.schema} TO {grantee}"]
        for table in Base.metadata.sorted_tables:
            rights = ", ".join(exceptions.get(table.name, _READ_WRITE))
            statements += [
                f"REVOKE ALL ON {quote(table.name)} FROM {grantee}",
                f"GRANT {rights} ON {quote(table.name)} TO {grantee}",
            ]
        # /readyz asks whether the database takes writes by setting the version to what it is.
        statements.append(f"GRANT SELECT, UPDATE ON alembic_version TO {grantee}")
        for statement in statements:
            await transaction.execute(text(statement))
