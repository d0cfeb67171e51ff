"""A mailer that hangs or fails does not delay requests, and the log contains no part of the message."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from io import StringIO

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.adapters import mail as adapter
from app.adapters.mail import Mail
from app.core.logging import logging_to
from app.core.settings import Settings
from app.main import open_resources
from tests.conftest import SetClock
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"database_pool_size": 1, "database_timeout_seconds": 1})


@pytest.fixture
def log() -> Iterator[StringIO]:
    stream = StringIO()
    with logging_to(stream, readable=False):
        yield stream


class Mailbox:
    """Collects messages, and delivers them with a replaceable function."""

    def __init__(self) -> None:
        self.taken: list[Mail] = []
        self.deliver: Callable[[Mail], Awaitable[None]] = self.take

    async def __call__(self, mail: Mail) -> None:
        self.taken.append(mail)
        await self.deliver(mail)

    async def take(self, mail: Mail) -> None:
        """Delivers it at once."""


@pytest.fixture
async def mailbox(app: FastAPI, settings: Settings, clock: SetClock) -> AsyncIterator[Mailbox]:
    mailbox = Mailbox()
    async with open_resources(settings, clock, mailbox) as app.state.resources:
        yield mailbox


async def hang(_mail: Mail) -> None:
    await asyncio.Event().wait()


async def fail(mail: Mail) -> None:
    raise RuntimeError(f"no mailbox for {mail.to}: {mail.text}")


async def forgot(client: httpx2.AsyncClient, person: Person) -> httpx2.Response:
    return await client.post("/auth/forgot-password", json={"email": person.email})


async def forgot_on_the_page(client: httpx2.AsyncClient, person: Person) -> httpx2.Response:
    return await Forms(client).send("/forgotten", email=person.email)


async def register(client: httpx2.AsyncClient, _person: Person) -> httpx2.Response:
    body = {"email": "new@example.com", "password": PASSWORD, "name": "Ann", "role": "patient"}
    return await client.post("/auth/register", json=body)


async def register_on_the_page(client: httpx2.AsyncClient, _person: Person) -> httpx2.Response:
    fields = {"email": "new@example.com", "password": PASSWORD, "name": "Ann", "form_key": "once"}
    return await Forms(client).send("/register", **fields)


async def resend(_client: httpx2.AsyncClient, person: Person) -> httpx2.Response:
    return await person.post("/auth/resend-confirmation", None)


SENDERS = [forgot, forgot_on_the_page, register, register_on_the_page, resend]
type Sender = Callable[[httpx2.AsyncClient, Person], Awaitable[httpx2.Response]]


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("deliver", [hang, fail])
async def test_unsent_message_is_logged_without_its_content(
    client: httpx2.AsyncClient,
    patient: Person,
    mailbox: Mailbox,
    log: StringIO,
    monkeypatch: pytest.MonkeyPatch,
    sender: Sender,
    deliver: Callable[[Mail], Awaitable[None]],
) -> None:
    monkeypatch.setattr(adapter, "MAX_SENDING_SECONDS", 0.05)
    mailbox.deliver = deliver
    async with asyncio.timeout(10):
        assert (await sender(client, patient)).status_code < 400
    [sent] = mailbox.taken
    assert f"a message was not sent: {sent.kind} (" in log.getvalue()
    assert sent.to not in log.getvalue()
    assert sent.text.split("\n\n")[1] not in log.getvalue()


@pytest.mark.parametrize("sender", SENDERS)
async def test_no_connection_is_held_while_a_message_is_sent(
    app: FastAPI, client: httpx2.AsyncClient, patient: Person, mailbox: Mailbox, log: StringIO, sender: Sender
) -> None:
    async def use_the_only_connection(_mail: Mail) -> None:
        async with app.state.resources.database.read() as transaction:
            await transaction.scalar(text("SELECT 1"))

    mailbox.deliver = use_the_only_connection
    assert (await sender(client, patient)).status_code < 400
    assert len(mailbox.taken) == 1
    assert "not sent" not in log.getvalue()
