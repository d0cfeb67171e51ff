import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from app.adapters.mail import Mail
from app.core.mail_kinds import MailKind
from app.core.settings import Settings
from app.db.database import Database
from app.db.engine import create_engine
from app.main import create_app, open_resources
from tests.databases import NO_POSTGRESQL, create_postgresql, delete_all_rows, migrate, settings_for
from tests.people import Person, make_admin
from tests.postgres import PostgresServer
from tests.statements import observing

SERVER = pytest.StashKey[PostgresServer]()


def pytest_configure(config: pytest.Config) -> None:
    # Only once, before the workers start: they would trip over each other while unpacking.
    if hasattr(config, "workerinput") or os.environ.get("TEST_DATABASE_URL"):
        return
    try:
        config.stash[SERVER] = PostgresServer()
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("CI"):
            raise
        os.environ[NO_POSTGRESQL] = f"no PostgreSQL here: {error}"
    else:
        os.environ["TEST_DATABASE_URL"] = config.stash[SERVER].url


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := config.stash.get(SERVER, None):
        server.close()
        del os.environ["TEST_DATABASE_URL"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    await migrate(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    name: str = getattr(request.config, "workerinput", {}).get("workerid", "main")
    return name


@pytest.fixture(scope="session")
async def postgresql_url(worker: str) -> str:
    return await migrate(await create_postgresql(f"tests_{worker}"))


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Every test that touches a database runs on both."""
    name: str = request.param
    return name


@pytest.fixture
def schema_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the newest schema; what an earlier test left in it may still be there."""
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "test.db")
        return f"sqlite+aiosqlite:///{tmp_path}/test.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
async def database_url(schema_url: str, backend: str) -> str:
    """An empty database with the newest schema."""
    if backend == "postgresql":
        await delete_all_rows(schema_url)
    return schema_url


class SetClock:
    """A clock that shows what it is told to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 12, 1, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **duration: float) -> None:
        self.time += timedelta(**duration)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url)


@pytest.fixture
def mails() -> list[Mail]:
    """What the application has sent, but for the codes that confirm addresses."""
    return []


@pytest.fixture
def confirmations() -> list[Mail]:
    """The codes that confirm addresses: each registration sends one."""
    return []


@pytest.fixture(scope="session")
def assembled() -> FastAPI:
    """The application without resources; made once, because its first request puts all routes together."""
    return create_app(settings_for("sqlite:///never-opened.db"))


@pytest.fixture
async def app(
    assembled: FastAPI, settings: Settings, clock: SetClock, mails: list[Mail], confirmations: list[Mail]
) -> AsyncIterator[FastAPI]:
    async def deliver(mail: Mail) -> None:
        (confirmations if mail.kind is MailKind.EMAIL_CONFIRMATION else mails).append(mail)

    async with open_resources(settings, clock, deliver) as assembled.state.resources:
        yield assembled


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with make_client(app) as client:
        yield client


def make_client(app: FastAPI) -> httpx2.AsyncClient:
    """An unexpected exception comes out as an answer, as it would for a real client."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://testserver")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Transactions beside the application's."""
    engine = create_engine(database_url, pool_size=5, timeout=10)
    yield Database(engine)
    await engine.dispose()


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL of every statement, on whatever engine, in order."""
    seen: list[str] = []

    with observing(lambda statement, _: seen.append(statement)):
        yield seen


type CountStatements = Callable[[], int]


@pytest.fixture
def count_statements(statements: list[str]) -> CountStatements:
    """How many statements there were since it was asked before."""

    def count() -> int:
        number = len([each for each in statements if not each.startswith("BEGIN")])
        statements.clear()
        return number

    return count


type Register = Callable[..., Awaitable[Person]]


@pytest.fixture
def register(client: httpx2.AsyncClient) -> Register:
    """Registers somebody and logs in."""

    async def register(role: str = "patient", **fields: str) -> Person:
        return await Person.register(client, role, **fields)

    return register


type ConfirmEmail = Callable[[Person], Awaitable[Person]]


@pytest.fixture
def confirm_email(confirmations: list[Mail]) -> ConfirmEmail:
    """Confirms the address of somebody with the newest code that was sent there."""

    async def confirm_email(person: Person) -> Person:
        token = [read_token(mail) for mail in confirmations if mail.to == person.email][-1]
        answer = await person.post("/auth/confirm-email", {"token": token})
        assert answer.status_code == 204, answer.text
        return person

    return confirm_email


def read_token(mail: Mail) -> str:
    """The code that stands by itself in a message."""
    return mail.text.split("\n\n")[1]


@pytest.fixture
async def doctor(register: Register) -> Person:
    return await register("doctor", name="Dr Amara Okafor", specialty="Dermatology", time_zone="America/New_York")


@pytest.fixture
async def admin(app: FastAPI, client: httpx2.AsyncClient, clock: SetClock) -> Person:
    return await make_admin(app.state.resources, client, clock.time)


@pytest.fixture
async def patient(register: Register) -> Person:
    return await register("patient", name="Ann Lee")
