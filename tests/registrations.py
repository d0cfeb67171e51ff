"""Registered users, whose rows are copied from one test to the next because registering over HTTP takes longer."""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from http.cookiejar import Cookie

import httpx2

from app.adapters.mail import Mail
from app.core.dependencies import DEVICE
from tests.databases import dump_rows, run_script
from tests.people import Person


@dataclass(frozen=True)
class Registration:
    person: Person
    cookies: list[Cookie]
    confirmations: list[Mail]
    inserts: list[str]


@dataclass
class Registrations:
    """The registrations of one worker, by everything that they depend on."""

    known: dict[Hashable, Registration] = field(default_factory=dict)
    requested: Counter[Hashable] = field(default_factory=Counter)

    async def register(
        self,
        key: Hashable,
        register: Callable[[], Awaitable[Person]],
        client: httpx2.AsyncClient,
        confirmations: list[Mail],
        url: str,
        newest: str,
    ) -> Person:
        """Return what ``register`` returns, and leave the database, the cookies and ``confirmations`` as it does.

        ``newest`` is the id of the user who was registered last in this test. Users are never restored with an older
        id, because lists are in the order of ids.
        """
        key = (key, client.cookies.get(DEVICE))  # the server knows the browser by this cookie
        registration = self.known.get(key)
        if registration and registration.person.id > newest:
            await run_script(url, registration.inserts)
            for cookie in registration.cookies:
                if cookie.name not in client.cookies:
                    client.cookies.jar.set_cookie(cookie)
            confirmations += registration.confirmations
            return replace(registration.person, client=client)
        self.requested[key] += 1
        # Most are registered once, and recording takes time, too.
        if self.requested[key] == 1 or registration:
            return await register()
        before, sent = await dump_rows(url), len(confirmations)
        person = await register()
        after = await dump_rows(url)
        inserts = [insert for insert in after if insert not in before]
        # Nothing else was written at the same time, and nothing that was there before is missing.
        assert len(inserts) + len(before) == len(after), "registering changes a row"
        assert sum(insert.startswith("INSERT INTO users ") for insert in inserts) == 1, "another user has registered"
        self.known[key] = Registration(person, list(client.cookies.jar), confirmations[sent:], inserts)
        return person
