"""A doctor in Berlin, and their visits."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.people import Person

MAX_NAME = "Maximiliane-Theodora von Hohenstein-Wittelsbach zu Altenburg"
FROM_RIGHT = "\u0645\u062d\u0645\u062f \u0628\u0646 \u0639\u0628\u062f \u0627\u0644\u0631\u062d\u0645\u0646"
OFFICE = [["09:00", "12:00"], ["13:00", "17:00"]]


async def open_practice(register: Callable[..., Awaitable[Person]]) -> Person:
    """Register a doctor who is open on weekdays. The tests begin there at 09:00 on Tuesday 1 December 2026."""
    doctor = await register("doctor", name="Dr Annika Feldmann", specialty="Dermatology", time_zone="Europe/Berlin")
    await doctor.set_hours(monday=OFFICE, tuesday=OFFICE, wednesday=OFFICE, thursday=OFFICE, friday=OFFICE)
    return doctor


async def fill_day(doctor: Person, *patients: Person, day: str = "2026-12-01") -> list[dict[str, Any]]:
    """Book a visit of half an hour for each patient, from 10:00 in Berlin."""
    return [
        await each.book(
            doctor,
            f"{day}T{9 + number // 2:02}:{number % 2 * 30:02}:00Z",
            f"{day}T{9 + (number + 1) // 2:02}:{(number + 1) % 2 * 30:02}:00Z",
            reason="A mole",
        )
        for number, each in enumerate(patients)
    ]
