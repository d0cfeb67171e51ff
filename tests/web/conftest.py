"""Fixtures: a browser, and a served application whose clock the tests set."""

import asyncio
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from tests.people import PASSWORD, Person

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 320, "height": 640}


@pytest.fixture(params=["sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    """Pages run on SQLite only: the tests of the services and of the API send the same statements to PostgreSQL.

    A test of a page that sends statements of its own is marked with ``on_both_databases`` (ADR 0049).
    """
    name: str = request.param
    return name


on_both_databases = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests with a browser on one worker per database, however many workers there are."""
    for item in items:
        if isinstance(item, pytest.Function) and "browser" in item.fixturenames:
            backend = item.callspec.params.get("backend", "") if hasattr(item, "callspec") else ""
            item.add_marker(pytest.mark.xdist_group(f"browser {backend}"))


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are pytest's


@pytest.fixture(scope="session")
async def address(assembled: FastAPI) -> AsyncIterator[str]:
    """Serve the application on loopback, and yield its address. Each test sets resources of its own."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(assembled, log_config=None, lifespan="off", proxy_headers=False))
    serving = asyncio.create_task(server.serve([listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        assert not os.environ.get("CI"), "CI needs a Chromium"
        pytest.skip("no Chromium here; apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        await browser.close()


@dataclass
class Tab:
    """A tab of a separate browser context without JavaScript, and the addresses that it has requested."""

    page: Page
    address: str
    requested: list[str] = field(default_factory=list)

    async def go(self, path: str) -> int:
        response = await self.page.goto(self.address + path)
        assert response is not None
        return response.status

    async def press(self, name: str) -> None:
        """Press a button or a link by its text."""
        target = self.page.get_by_role("button", name=name).or_(self.page.get_by_role("link", name=name))
        await target.first.click()

    async def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            await self.page.locator(f"main [name={name}]").fill(value)

    async def sign_in(self, email: str, password: str = PASSWORD) -> None:
        await self.go("/sign-in")
        await self.fill(username=email, password=password)
        async with self.page.expect_navigation():
            await self.page.locator("main form button").click()

    @property
    def path(self) -> str:
        return self.page.url.removeprefix(self.address)

    async def text(self) -> str:
        return await self.page.locator("main").inner_text()

    async def heading(self) -> str:
        return await self.page.locator("h1").inner_text()


type OpenTab = Callable[..., Awaitable[Tab]]


@pytest.fixture
async def open_tab(browser: Browser, address: str, app: FastAPI) -> AsyncIterator[OpenTab]:
    """Open tabs in new browser contexts. They may request addresses of this host only."""
    assert app.state.resources
    tabs: list[Tab] = []

    async def open_tab(**options: Any) -> Tab:
        settings = {"java_script_enabled": False, "viewport": PHONE, "locale": "en-GB", **options}
        context = await browser.new_context(**settings)
        context.set_default_timeout(20_000)
        tab = Tab(await context.new_page(), address)
        context.on("request", lambda request: tab.requested.append(request.url))
        tabs.append(tab)
        return tab

    yield open_tab
    for tab in tabs:
        await tab.page.context.close()
        assert not [url for url in tab.requested if not url.startswith(address)]


@pytest.fixture
async def forms(client: httpx2.AsyncClient) -> "Forms":
    return Forms(client)


@dataclass
class Forms:
    """Sends forms without a browser, with the token that each of them needs."""

    client: httpx2.AsyncClient

    async def send(self, path: str, on: str | None = None, **fields: str) -> httpx2.Response:
        shown = await self.client.get(on or path)
        token = re.search(r'name="form_token" value="([^"]+)"', shown.text)
        assert token, shown.text
        version = re.search(r'name="content_version" value="([^"]+)"', shown.text)
        kept = {"content_version": version[1]} if version else {}
        return await self.client.post(path, data={"form_token": token[1], **kept, **fields})

    async def sign_in(self, person: Person) -> httpx2.Response:
        return await self.send("/sign-in", username=person.email, password=PASSWORD)
