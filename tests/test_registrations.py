"""A restored user equals one who has registered."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import inspect, select, text
from sqlalchemy.engine import make_url

from app.adapters.mail import Mail
from app.main import open_resources
from app.models import KnownDevice
from tests.conftest import SetClock, make_client
from tests.databases import delete_all_rows, is_sqlite, open_engine, settings_for
from tests.people import Person, make_admin
from tests.registrations import Registrations


@dataclass
class State:
    """What the registration of users leaves behind."""

    people: list[Person] = field(compare=False)  # each has a client of its own
    users: list[tuple[str, str, str, str]]
    """The id, the address, the name and the token of each."""
    rows: dict[str, list[str]]
    """The rows of every table."""
    cookies: dict[str, str | None]
    confirmations: list[Mail]

    def count_rows(self) -> dict[str, int]:
        return {table: len(rows) for table, rows in self.rows.items()}


@dataclass
class Repetition:
    """Registers users of a role again and again, each time in an empty database and with a new browser."""

    app: FastAPI
    url: str
    template: Path
    role: str
    registrations: Registrations
    registered: int = 0
    """The number of users who were not restored."""

    @asynccontextmanager
    async def register(self, number_of_users: int) -> AsyncIterator[State]:
        if is_sqlite(self.url):
            shutil.copy(self.template, make_url(self.url).database or "")
        else:
            await delete_all_rows(self.url)
        clock, confirmations = SetClock(), list[Mail]()

        async def deliver(mail: Mail) -> None:
            confirmations.append(mail)

        async with open_resources(settings_for(self.url), clock, deliver) as resources, make_client(self.app) as client:
            self.app.state.resources = resources

            async def register_one() -> Person:
                self.registered += 1
                if self.role == "administrator":
                    return await make_admin(resources, client, clock.time, f"admin{self.registered}@example.com")
                return await Person.register(client, self.role)

            people: list[Person] = []
            for number in range(number_of_users):
                newest = people[-1].id if people else ""
                person = await self.registrations.register(
                    number, register_one, client, confirmations, self.url, newest
                )
                people.append(person)
            cookies = {cookie.name: cookie.value for cookie in client.cookies.jar}
            users = [(each.id, each.email, each.name, each.token) for each in people]
            yield State(people, users, await read_rows(self.url), cookies, confirmations)


async def read_rows(url: str) -> dict[str, list[str]]:
    """Return the rows of every table that the database has, whether or not it is one of the models."""
    async with open_engine(url) as engine, engine.connect() as connection:
        names = await connection.run_sync(lambda each: inspect(each).get_table_names())
        return {
            name: sorted(repr(tuple(row)) for row in await connection.execute(text(f"SELECT * FROM {name}")))
            for name in names
        }


@pytest.fixture(params=["patient", "doctor", "administrator"])
def repetition(
    request: pytest.FixtureRequest, assembled: FastAPI, database_url: str, sqlite_template: Path
) -> Repetition:
    return Repetition(assembled, database_url, sqlite_template, request.param, Registrations())


async def test_restored_users_equal_registered_ones(repetition: Repetition) -> None:
    # The device cookie of the first user is part of the key of the second, so the first is restored before the second.
    for number in (1, 2):
        async with repetition.register(number):
            pass
        async with repetition.register(number) as recorded:
            pass
        assert repetition.registered == 2 * number
        async with repetition.register(number) as restored:
            assert repetition.registered == 2 * number
        # No difference in ids and hashes either: they are copied, too.
        assert restored == recorded
    async with replace(repetition, registrations=Registrations()).register(2) as registered:
        assert registered.count_rows() == restored.count_rows()


async def test_restored_users_are_signed_in_and_can_log_in_on_a_known_device(repetition: Repetition) -> None:
    for number in (1, 1, 2, 2):
        async with repetition.register(number):
            pass
    registered = repetition.registered
    async with repetition.register(2) as restored:
        assert repetition.registered == registered
        for person in restored.people:
            assert (await person.get("/auth/me")).json()["id"] == person.id
            assert len((await (await person.log_in_again()).get("/auth/sessions")).json()) == 2
        async with open_engine(repetition.url) as engine, engine.connect() as connection:
            devices = await connection.execute(select(KnownDevice.user_id, KnownDevice.keeps_cookie))
            assert {(str(user), kept) for user, kept in devices} == {(person.id, True) for person in restored.people}
