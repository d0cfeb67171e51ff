"""The day of a practice on paper."""

import httpx2

from tests.conftest import Register
from tests.web.conftest import Forms


async def test_a_printed_day_says_whose_it_is_which_and_when_it_was_printed(
    forms: Forms, client: httpx2.AsyncClient, register: Register
) -> None:
    await forms.sign_in(await register("doctor", name="Dr Amara Okafor", time_zone="Europe/Berlin"))
    shown = (await client.get("/practice/day?day=2026-12-08")).text
    assert "Dr Amara Okafor · Tuesday 8 December 2026 · printed Tuesday 1 December 2026, 09:00" in shown
