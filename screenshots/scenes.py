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
    """A page, how to get to it, and who sees it."""

    name: str
    views: tuple[View, ...]
    go: Go
    who: str | None = None
    """The email address of the user, or ``None`` without a log-in."""
    zone: str = "Europe/Berlin"


def at(path: str) -> Go:
    """Return a function that opens a page by its path."""

    async def go(page: Page) -> None:
        await page.goto(path)

    return go


async def go_to_the_cardiologist(page: Page) -> None:
    """Open a doctor's page through the search, as a patient would."""
    await page.goto("/?specialty=Cardiology")
    await page.click("text=Dr Ifeoma Adichie")


async def pick_a_time(page: Page) -> None:
    """Press the doctor's fifth free time."""
    await go_to_the_cardiologist(page)
    await page.locator("button[name=start]").nth(4).click()


SCENES = (
    Scene("search", (DESK_LIGHT, DESK_DARK), at("/")),
    Scene("times", (DESK_LIGHT, PHONE_LIGHT), go_to_the_cardiologist),
    Scene("confirm", (PHONE_LIGHT,), pick_a_time, PATIENT),
    Scene("appointments", (PHONE_DARK,), at("/my/appointments"), PATIENT),
    Scene("day", (DESK_LIGHT,), at("/practice/day"), DOCTOR),
    Scene("week", (DESK_DARK,), at("/practice/week"), DOCTOR),
    Scene("hours", (DESK_LIGHT,), at("/practice/hours"), DOCTOR),
    Scene("office", (DESK_LIGHT,), at("/office/users"), ADMIN),
)
