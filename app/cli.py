"""The command line: ``python -m app.cli --help``."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import clock
from app.core.chain import Head, chain_key
from app.core.errors import DomainError
from app.core.permissions import Role
from app.core.security import Passwords
from app.core.settings import Settings
from app.db.engine import create_engine
from app.db.schema import UnknownSchemaError, ensure_newest, newest_revision, upgrade
from app.db.session import Sessions
from app.demo import fill
from app.schemas.fields import Email, Name, NewPassword
from app.services import accounts, audit
from app.services.audit import BrokenChainError
from app.services.time_zones import OlderTimeZonesError, register_release

LONGEST_MIGRATION = 3600  # seconds
PROGRESS = 100_000  # events


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; the exit status is 0 if it did what it was asked for."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(options.command(Settings(), options))
    except DomainError as error:
        reasons = [f"{each.field} {each.message}" for each in error.errors] or [str(error.__cause__ or "")]
        print("\n  ".join([error.detail, *filter(None, reasons)]), file=sys.stderr)
        return 1
    except (UnknownSchemaError, OlderTimeZonesError, BrokenChainError) as error:
        print(error, file=sys.stderr)
        return 1
    except ValidationError as error:
        for each in error.errors(include_input=False):
            field = "".join(f"{part}: ".upper() for part in each["loc"])
            print(f"{field}{each['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app.cli", description="Looks after an appointment system.")
    commands = parser.add_subparsers(required=True)

    migrate = commands.add_parser("migrate", help="bring the database to the newest schema")
    migrate.set_defaults(command=_migrate)

    admin = commands.add_parser("create-admin", help="make an administrator; asks for the password")
    admin.add_argument("--email", required=True)
    admin.add_argument("--name", required=True)
    admin.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    admin.set_defaults(command=_create_admin)

    audit_commands = commands.add_parser("audit", help="look after the audit trail").add_subparsers(required=True)
    verify = audit_commands.add_parser("verify", help="check that nothing in the audit trail was tampered with")
    verify.add_argument(
        "--head",
        type=Head.parse,
        metavar="POSITION:HASH",
        help="a head that was logged, or printed here, earlier: then a chain that was cut off is noticed, too",
    )
    verify.set_defaults(command=_verify_audit_trail)

    demo = commands.add_parser("demo", help="fill the database with a believable clinic")
    demo.set_defaults(command=_demo)
    return parser


async def _migrate(settings: Settings, _options: argparse.Namespace) -> None:
    async with _engine(settings, statement_timeout=LONGEST_MIGRATION) as engine:
        await upgrade(engine)
    print(f"The database has the newest schema, {newest_revision()}.")


async def _create_admin(settings: Settings, options: argparse.Namespace) -> None:
    email: str = TypeAdapter(Email).validate_python(options.email)
    name: str = TypeAdapter(Name).validate_python(options.name)
    typed = sys.stdin.readline().rstrip("\n") if options.password_stdin else getpass.getpass("Password: ")
    password = TypeAdapter(NewPassword).validate_python(typed)
    passwords = Passwords(settings)
    try:
        async with _engine(settings) as engine:
            await ensure_newest(engine)
            async with Sessions(engine).write() as session:
                await accounts.register(
                    session,
                    passwords,
                    email=email,
                    password=password.get_secret_value(),
                    name=name,
                    role=Role.ADMIN,
                    now=clock.now(),
                    refuse_weak=True,
                )
    finally:
        passwords.close()
    print(f"{email} is an administrator now.")


async def _verify_audit_trail(settings: Settings, options: argparse.Namespace) -> None:
    def tell(position: int) -> None:
        if position % PROGRESS == 0:
            print(f"{position} events checked …", file=sys.stderr)

    async with _engine(settings, statement_timeout=LONGEST_MIGRATION) as engine:
        await ensure_newest(engine)
        verified = await audit.verify(
            Sessions(engine), chain_key(settings.sealing_secret), written_down=options.head, progress=tell
        )
    print(f"The audit trail is what was sealed: {verified.sealed} events, and {verified.unsealed} not sealed yet.")
    print(f"Head: {verified.head}")


async def _demo(settings: Settings, _options: argparse.Namespace) -> None:
    async with _engine(settings) as engine:
        await ensure_newest(engine)
        sessions = Sessions(engine)
        await register_release(sessions, allow_older=settings.allow_older_time_zones, now=clock.now())
        await fill(sessions, settings, clock.now())


@asynccontextmanager
async def _engine(settings: Settings, statement_timeout: int | None = None) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        timeout=settings.database_timeout_seconds,
        statement_timeout=statement_timeout,
    )
    try:
        yield engine
    finally:
        await engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
