import gc
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path

import httpx2
import pytest
from coverage import Coverage
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
from tests.registrations import Registrations
from tests.statements import observing

SERVER = pytest.StashKey[PostgresServer]()


def pytest_configure(config: pytest.Config) -> None:
    # Once, before the workers start: if each of them unpacked the server, they would interfere with each other.
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


SLOW = {"concurrency", "demo", "fuzz", "stateful"}
"""The directories with tests that only ``make test-all`` runs, like those with a browser and those marked as slow."""

MEASURED = {"api", "cli", "jobs", "scheduling", "search", "services"} | {
    f"test_{page}.py"
    for page in (
        "outdated_forms",
        "repeated_forms",
        "sign_in_code",
        "unavailable_doctor",
        "unavailable_doctor_booking",
        "visit_lengths",
    )
}
"""The directories, and the modules of ``tests/web``, whose tests together reach every branch."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure coverage only where it is needed, because under coverage a test takes two to three times as long."""
    coverage = Coverage.current()
    if coverage is None or _is_measured(item):
        return (yield)
    coverage.stop()
    try:
        return (yield)
    finally:
        coverage.start()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _directory(item) in SLOW or "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Exempt all tests and imported modules from garbage collection, because a full one takes a third of a second."""
    gc.freeze()


def _directory(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]


def _is_measured(item: pytest.Item) -> bool:
    if MEASURED.isdisjoint({_directory(item), item.path.name}) or item.get_closest_marker("slow"):
        return False
    # Some branches are reached only if transactions run at the same time, which SQLite does not allow.
    return "postgresql" not in item.name or _directory(item) == "services" or "races" in item.path.name


@pytest.hookimpl(optionalhook=True)  # .ci/mutation runs without pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """Start more workers than processors: many tests wait for servers, databases and time limits."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, processors * 3 // 2)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    await migrate(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def sqlite_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sqlite") / "test.db"


@pytest.fixture(scope="session", autouse=True)
def _shared_engines() -> Iterator[None]:
    """Let all tests of a worker share the application's engines.

    An engine caches the SQL that it has compiled. Compiling it again for each test took half of the suite's time.
    The pool is still the test's own: the application disposes of it when it stops.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.main.create_engine", cache(create_engine))
        yield


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
def schema_url(backend: str, request: pytest.FixtureRequest) -> str:
    """A database with the newest schema, which may still contain rows of an earlier test."""
    if backend == "postgresql":
        url: str = request.getfixturevalue("postgresql_url")
        return url
    path: Path = request.getfixturevalue("sqlite_path")
    for leftover in path.parent.glob("test.db*"):  # also the write-ahead log of a test that did not close the file
        leftover.unlink()
    shutil.copy(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
async def database_url(schema_url: str, backend: str) -> str:
    """An empty database with the newest schema."""
    if backend == "postgresql":
        await delete_all_rows(schema_url)
    return schema_url


class SetClock:
    """A clock that the tests set and advance."""

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
    """The messages that the application has sent, except those that confirm an address."""
    return []


@pytest.fixture
def confirmations() -> list[Mail]:
    """The codes that confirm addresses: each registration sends one."""
    return []


@pytest.fixture(scope="session")
def assembled() -> FastAPI:
    """The application without resources; created once, because its first request builds all routes."""
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
    """Return a client that gets an unexpected exception as a 500, like a real client."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://testserver")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Transactions that are separate from those of the application."""
    engine = create_engine(database_url, pool_size=5, timeout=10)
    yield Database(engine)
    await engine.dispose()


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL of every statement on any engine, in order."""
    seen: list[str] = []

    with observing(lambda statement, _: seen.append(statement)):
        yield seen


type CountStatements = Callable[[], int]


@pytest.fixture
def count_statements(statements: list[str]) -> CountStatements:
    """Returns how many statements were sent since the last call."""

    def count() -> int:
        number = len([each for each in statements if not each.startswith("BEGIN")])
        statements.clear()
        return number

    return count


type Register = Callable[..., Awaitable[Person]]


@pytest.fixture(scope="session")
def registrations() -> Registrations:
    return Registrations()


type Restore = Callable[[Hashable, Callable[[], Awaitable[Person]]], Awaitable[Person]]


@pytest.fixture
def restore(
    registrations: Registrations,
    client: httpx2.AsyncClient,
    settings: Settings,
    clock: SetClock,
    confirmations: list[Mail],
) -> Restore:
    """Register a user, or restore the one that an earlier test registered in the same way."""

    newest = ""

    async def restore(described: Hashable, register: Callable[[], Awaitable[Person]]) -> Person:
        nonlocal newest
        secrets = (settings.secret_key, settings.audit_key, settings.metrics_token)  # masked in JSON
        key = (settings.model_dump_json(), secrets, clock.time, described)
        person = await registrations.register(key, register, client, confirmations, settings.database_url, newest)
        newest = person.id
        return person

    return restore


@pytest.fixture
def register(client: httpx2.AsyncClient, restore: Restore) -> Register:
    """Register a user, and log in."""
    numbers: Counter[Hashable] = Counter()

    async def register(role: str = "patient", **fields: str) -> Person:
        described = (role, tuple(sorted(fields.items())))
        numbers[described] += 1
        return await restore((*described, numbers[described]), partial(Person.register, client, role, **fields))

    return register


type ConfirmEmail = Callable[[Person], Awaitable[Person]]


@pytest.fixture
def confirm_email(confirmations: list[Mail]) -> ConfirmEmail:
    """Confirms a person's address with the newest code that was sent to it."""

    async def confirm_email(person: Person) -> Person:
        token = [read_token(mail) for mail in confirmations if mail.to == person.email][-1]
        answer = await person.post("/auth/confirm-email", {"token": token})
        assert answer.status_code == 204, answer.text
        return person

    return confirm_email


def read_token(mail: Mail) -> str:
    """Return the code in a message, which is its second paragraph."""
    return mail.text.split("\n\n")[1]


@pytest.fixture
async def doctor(register: Register) -> Person:
    return await register("doctor", name="Dr Amara Okafor", specialty="Dermatology", time_zone="America/New_York")


@pytest.fixture
async def admin(app: FastAPI, client: httpx2.AsyncClient, clock: SetClock, restore: Restore) -> Person:
    return await restore("administrator", partial(make_admin, app.state.resources, client, clock.time))


@pytest.fixture
async def patient(register: Register) -> Person:
    return await register("patient", name="Ann Lee")
