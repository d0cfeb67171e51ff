"""The command line: ``python -m app.cli --help``."""

import argparse
import asyncio
import getpass
import gzip
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

from pydantic import SecretStr, TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import clock
from app.core.errors import DomainError
from app.core.hash_chain import Head, chain_key
from app.core.permissions import Role
from app.core.security import Passwords
from app.core.settings import InvalidSettingsError, Settings, read_settings
from app.db.database import Database
from app.db.engine import create_engine
from app.db.grants import NoRolesError, grant_access
from app.db.schema import UnavailableDatabaseError, UnknownSchemaError, ensure_newest, newest_revision, upgrade
from app.demo.clinic import fill
from app.models.audit import REQUEST_RIGHTS
from app.schemas.clinics import NewClinic
from app.schemas.fields import Email, Name, NewPassword
from app.services import accounts, audit, audit_archive, clinics
from app.services.audit import ArchivedHeadError, BrokenChainError
from app.services.time_zones import OlderTimeZonesError, register_release

MAX_MIGRATION_SECONDS = 3600
PROGRESS_EVENTS = 100_000
"""The number of audit events after which progress is reported."""
_LENGTHS = {
    "too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} characters",
}
"""Used for passwords, whose length pydantic counts in items."""


class InvalidAccountError(Exception):
    """A value for a new account or a new clinic cannot be used."""


_REFUSALS = (
    InvalidAccountError,
    InvalidSettingsError,
    UnavailableDatabaseError,
    UnknownSchemaError,
    OlderTimeZonesError,
    NoRolesError,
    BrokenChainError,
    ArchivedHeadError,
    EOFError,  # a truncated compressed file
    OSError,
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Return the exit status: 0 on success, 1 on failure, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(options.command(read_settings(), options))
    except DomainError as error:
        fields = [f"{each.field}: {each.message}" for each in error.errors]
        cause = f"\n  {error.__cause__}" if error.__cause__ else ""
        print("\n".join(fields) or error.detail + cause, file=sys.stderr)
        return 1
    except _REFUSALS as error:
        # The operator can do something about these, so they are shown without a traceback.
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app.cli", description="Administer the appointment system.")
    commands = parser.add_subparsers(required=True)

    migrate = commands.add_parser("migrate", help="migrate the database to the newest schema")
    migrate.set_defaults(command=_migrate)

    admin = commands.add_parser("create-admin", help="create an administrator; asks for the password")
    admin.add_argument("--email", required=True)
    admin.add_argument("--name", required=True)
    # There is no option for the password itself: other users of the machine could read it in the list of processes.
    admin.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    admin.set_defaults(command=_create_admin)

    clinic = commands.add_parser("create-clinic", help="make a clinic; prints the link that invites its first manager")
    clinic.add_argument("--name", required=True)
    clinic.add_argument("--public-name", help="the name in messages to patients; default: the name")
    clinic.add_argument("--time-zone", required=True, metavar="ZONE", help="for example Europe/Berlin")
    clinic.add_argument("--country", required=True, help="the ISO 3166-1 code, for example DE")
    clinic.add_argument("--locale", default="en", help="the language of messages to patients, for example de")
    clinic.add_argument("--manager-email", required=True)
    clinic.set_defaults(command=_create_clinic)

    audit_commands = commands.add_parser("audit", help="verify or archive the audit trail").add_subparsers(
        required=True
    )
    verify = audit_commands.add_parser("verify", help="check that the audit trail was not tampered with")
    verify.add_argument(
        "--head",
        type=Head.parse,
        metavar="POSITION:HASH",
        help="a head that was logged, or printed by this command, earlier; with it, a missing end is noticed, too",
    )
    verify.add_argument("--archive", type=Path, metavar="FILE", help="check this archive instead of the database")
    verify.set_defaults(command=_verify_audit_trail)
    archive = audit_commands.add_parser(
        "archive", help="move the oldest part of the audit trail from the database to a file"
    )
    archive.add_argument(
        "--before",
        type=_day,
        required=True,
        metavar="YYYY-MM-DD",
        help="archive the events that were recorded before this day (UTC)",
    )
    archive.add_argument("file", type=Path, metavar="FILE", help="a new file, usually *.jsonl.gz; it is compressed")
    archive.set_defaults(command=_archive_audit_trail)

    grant = commands.add_parser(
        "grant", help="let a database role serve requests, without the right to change the audit trail"
    )
    grant.add_argument(
        "role", metavar="ROLE", help="an existing role that owns no tables; repeat this after each migration"
    )
    grant.set_defaults(command=_grant)

    demo = commands.add_parser("demo", help="fill the database with a realistic sample clinic")
    demo.set_defaults(command=_demo)
    return parser


async def _migrate(settings: Settings, _options: argparse.Namespace) -> None:
    async with _engine(settings, statement_timeout=MAX_MIGRATION_SECONDS) as engine:
        await upgrade(engine)
    print(f"The database has the newest schema, {newest_revision()}.")


async def _create_admin(settings: Settings, options: argparse.Namespace) -> None:
    email = _read(TypeAdapter[str](Email), "email", options.email)
    name = _read(TypeAdapter[str](Name), "name", options.name)
    typed = sys.stdin.readline().rstrip("\n") if options.password_stdin else _ask_for_password()
    password = _read(TypeAdapter[SecretStr](NewPassword), "password", typed)
    passwords = Passwords(settings)
    try:
        async with _engine(settings) as engine:
            await ensure_newest(engine)
            async with Database(engine).write() as transaction:
                await accounts.register(
                    transaction,
                    passwords,
                    email=email,
                    password=password.get_secret_value(),
                    name=name,
                    role=Role.ADMIN,
                    now=clock.now(),
                    refuse_weak=True,
                    # The operator vouches for the address, as for the account.
                    confirmed=True,
                )
    finally:
        passwords.close()
    print(f"{email} is now an administrator.")


async def _create_clinic(settings: Settings, options: argparse.Namespace) -> None:
    fields = ("name", "public_name", "time_zone", "country", "locale", "manager_email")
    typed = {field: getattr(options, field) for field in fields}
    new = _read(TypeAdapter[NewClinic](NewClinic), "clinic", typed)
    async with _engine(settings) as engine:
        await ensure_newest(engine)
        async with Database(engine).write() as transaction:
            clinic, token = await clinics.make_clinic(transaction, settings, None, **new.model_dump(), now=clock.now())
    print(f"{clinic.name} has the id {clinic.id}. Its first manager can join within 7 days:")
    print(f"/invitation?token={token}")


def _ask_for_password() -> str:
    typed = getpass.getpass("Password: ")
    if getpass.getpass("Repeat the password: ") != typed:
        raise InvalidAccountError("password: the two entries differ")
    return typed


def _read[T](adapter: TypeAdapter[T], field: str, value: object) -> T:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        # Without the input, which may be a password.
        found = error.errors(include_input=False)[0]
        message = found["msg"].removeprefix("Value error, ")
        if found["type"] in _LENGTHS:
            message = _LENGTHS[found["type"]].format(**found["ctx"])
        named = ".".join(map(str, found["loc"])) or field
        raise InvalidAccountError(f"{named.replace('_', '-')}: {message}") from None


async def _verify_audit_trail(settings: Settings, options: argparse.Namespace) -> None:
    key = chain_key(settings.sealing_secret)
    if options.archive:
        with gzip.open(options.archive, "rb") as lines:
            part = audit_archive.verify_file(key, lines, written_down=options.head)
        print(f"The archive is intact: {part.count} events, from position {part.start.position + 1} on.")
        print(f"Head: {part.end}")
        return
    async with _engine(settings, statement_timeout=MAX_MIGRATION_SECONDS) as engine:
        await ensure_newest(engine)
        verified = await audit.verify(Database(engine), key, written_down=options.head, progress=_report("checked"))
    print(
        f"The audit trail is intact: {verified.sealed} sealed events, {verified.unsealed} not sealed yet, "
        f"{verified.archived} archived."
    )
    print(f"Head: {verified.head}")


async def _archive_audit_trail(settings: Settings, options: argparse.Namespace) -> None:
    key, path = chain_key(settings.sealing_secret), options.file
    async with _engine(settings, statement_timeout=MAX_MIGRATION_SECONDS) as engine:
        await ensure_newest(engine)
        database = Database(engine)
        # If an earlier run was interrupted, its archived events are still in the database.
        await audit_archive.delete_archived(database, progress=_report("deleted"))
        # With "x" an existing file is an error: it may be the only copy of an earlier part.
        with path.open("xb") as file:
            # Without a name and a time, so that the same events make the same file.
            with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as compressed:
                part = await audit_archive.write_part(
                    database, key, compressed.write, before=options.before, progress=_report("written")
                )
            file.flush()
            os.fsync(file.fileno())
        if not part.count:
            path.unlink()
            print("No events were recorded before that day, or all of them are archived already.")
            return
        _sync_folder(path.parent)
        # After the deletion the file is the only copy, so read it back and verify it first.
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        with gzip.open(path, "rb") as lines:
            audit_archive.verify_file(key, lines, written_down=part.end)
        # Record the archive first: triggers let an event be deleted only if a recorded archive covers it (ADR 0032).
        await audit_archive.record_archive(database, key, part, file_sha256=digest, now=clock.now())
        deleted = await audit_archive.delete_archived(database, progress=_report("deleted"))
    print(f"{part.count} events are in {path}, up to head {part.end}; {deleted} were deleted from the database.")
    print(f"SHA-256: {digest}")


def _sync_folder(folder: Path) -> None:
    """Write the directory entries of new files in a folder to disk; see fsync(2)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _report(action: str) -> Callable[[int], None]:
    def report(count: int) -> None:
        if count % PROGRESS_EVENTS == 0:
            print(f"{count} events {action} …", file=sys.stderr)

    return report


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


async def _grant(settings: Settings, options: argparse.Namespace) -> None:
    async with _engine(settings) as engine:
        await ensure_newest(engine)
        await grant_access(engine, options.role, REQUEST_RIGHTS)
    print(f"{options.role} can serve requests and cannot change the audit trail.")


async def _demo(settings: Settings, _options: argparse.Namespace) -> None:
    async with _engine(settings) as engine:
        await ensure_newest(engine)
        database = Database(engine)
        await register_release(database, allow_older=settings.allow_older_time_zones, now=clock.now())
        await fill(database, settings, clock.now())


@asynccontextmanager
async def _engine(settings: Settings, statement_timeout: int | None = None) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        timeout=settings.database_timeout_seconds,
        prepared_statements=settings.database_prepared_statements,
        statement_timeout=statement_timeout,
    )
    try:
        yield engine
    finally:
        await engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
