"""The scenes of the pictures: pages, users and screens."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from playwright.async_api import Page, ViewportSize

NOW = datetime(2026, 12, 1, 9, 40, tzinfo=UTC)
"""A Tuesday morning in Europe, in the middle of a doctor's day."""
ADMIN = "ruth.feld@example.com"
WAITING = (
    ("helena.brandvold@example.com", "Dr Helena Brandvold"),
    ("tomasz.zielinski@example.com", "Dr Tomasz Zieliński"),
)
DOCTOR, PATIENT = "lucia.ortega@example.com", "carmen.herrera@example.com"

type Go = Callable[[Page], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class View:
    """A browser window."""

    name: str
    size: ViewportSize
    scheme: Literal["light", "dark"]
    scale: float = 1


PHONE, DESK = ViewportSize(width=390, height=844), ViewportSize(width=1280, height=860)
PHONE_LIGHT, PHONE_DARK = View("phone", PHONE, "light", 1.5), View("phone-dark", PHONE, "dark", 1.5)
DESK_LIGHT, DESK_DARK = View("desk", DESK, "light"), View("desk-dark", DESK, "dark")


@dataclass(frozen=True, slots=True)
class Scene:
    """A page, how to open it, and the user who is signed in."""

    name: str
    views: tuple[View, ...]
    go: Go
    email: str | None = None
    """The e-mail address of the user, or ``None`` without a log-in."""
    zone: str = "Europe/Berlin"


def at(path: str) -> Go:
    """Return a function that opens a page by its path."""

    async def go(page: Page) -> None:
        await page.goto(path)

    return go


async def open_cardiologist(page: Page) -> None:
    """Open a doctor's page through the search, as a patient would."""
    await page.goto("/?specialty=Cardiology")
    await page.click("text=Dr Ifeoma Adichie")


async def choose_slot(page: Page) -> None:
    """Choose the doctor's fifth slot."""
    await open_cardiologist(page)
    await page.locator("button[name=start]").nth(4).click()


SCENES = (
    Scene("search", (DESK_LIGHT, DESK_DARK), at("/")),
    Scene("times", (DESK_LIGHT, PHONE_LIGHT), open_cardiologist),
    Scene("confirm", (PHONE_LIGHT,), choose_slot, PATIENT),
    Scene("appointments", (PHONE_DARK,), at("/my/appointments"), PATIENT),
    Scene("day", (DESK_LIGHT,), at("/practice/day"), DOCTOR),
    Scene("week", (DESK_DARK,), at("/practice/week"), DOCTOR),
    Scene("hours", (DESK_LIGHT,), at("/practice/hours"), DOCTOR),
    Scene("office", (DESK_LIGHT,), at("/office/users"), ADMIN),
)
