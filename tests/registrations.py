"""Registered users, whose rows are copied from one test to the next because registering over HTTP takes longer."""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from http.cookiejar import Cookie

import httpx2

from app.adapters.mail import Mail
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
    ) -> Person:
        """Return what ``register`` returns, and leave the database, the cookies and ``confirmations`` as it does."""
        key = (key, bool(client.cookies))  # a client that returns cookies is a browser
        if registration := self.known.get(key):
            await run_script(url, registration.inserts)
            if not client.cookies:  # otherwise the server would have kept the cookie that the client has
                for cookie in registration.cookies:
                    client.cookies.jar.set_cookie(cookie)
            confirmations += registration.confirmations
            return replace(registration.person, client=client)
        self.requested[key] += 1
        if self.requested[key] == 1:  # most are registered once, and recording takes time, too
            return await register()
        before, sent = await dump_rows(url), len(confirmations)
        person = await register()
        inserts = [insert for insert in await dump_rows(url) if insert not in before]
        self.known[key] = Registration(person, list(client.cookies.jar), confirmations[sent:], inserts)
        return person
