"""The rights of the PostgreSQL role that serves requests, if that role does not own the tables."""

from collections.abc import Mapping, Sequence

from sqlalchemy import quoted_name, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.base import Base
from app.db.database import Database
from app.db.engine import is_postgresql

_READ_WRITE = ("SELECT", "INSERT", "UPDATE", "DELETE")


class NoRolesError(Exception):
    """The database is not PostgreSQL or has no tables, or the role does not exist or already has too many rights."""


async def grant_access(engine: AsyncEngine, role: str, exceptions: Mapping[str, Sequence[str]]) -> None:
    """Let a role read and write all tables; on tables named in ``exceptions`` it gets only the rights listed there.

    All other rights of the role on these tables are revoked. Connect as the owner of the tables, and call this after
    each migration, because new tables have no grants.

    Raises ``NoRolesError``
    - if the role is unknown;
    - if it is the owner, a member of the owner or a superuser, because revoking has no effect on these;
    - if it can create objects in a schema of the search path;
    - if the database has no tables, or is SQLite.
    """
    if not is_postgresql(engine):
        raise NoRolesError("SQLite has no roles: every process that can open the file can change it")
    async with Database(engine).write() as transaction:
        known = await transaction.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
        if not known:
            raise NoRolesError(f"there is no role {role!r}; create it first: CREATE ROLE {role} LOGIN PASSWORD '…'")
        # Other schemas may have a table of this name. This finds the one that an unqualified name refers to.
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
            raise NoRolesError(f"{role!r} owns the tables, or has all rights of their owner; grant to another role")
        # The owner's statements would also find functions and operators that the role creates there, and run them.
        open_schemas = await transaction.scalars(
            text(
                "SELECT quote_ident(name) FROM unnest(current_schemas(false)) AS name "
                "WHERE has_schema_privilege(:role, CAST(name AS text), 'CREATE')"
            ),
            {"role": role},
        )
        if names := ", ".join(open_schemas):
            raise NoRolesError(
                f"{role!r} can create functions and operators in {names}, which other roles would then run; as the "
                f"owner of the schema, run REVOKE CREATE ON SCHEMA {names} FROM PUBLIC, and also FROM {role!r} if the "
                "right was granted directly"
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
        # /readyz checks that the database accepts writes by an UPDATE that sets the version to its current value.
        statements.append(f"GRANT SELECT, UPDATE ON alembic_version TO {grantee}")
        for statement in statements:
            await transaction.execute(text(statement))
