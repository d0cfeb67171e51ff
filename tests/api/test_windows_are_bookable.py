"""Every time in a listed window can be booked, and every other time is refused."""

import random
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from tests.conftest import Register
from tests.people import Person, get_windows

# The clocks of New York go back in the middle.
START = datetime(2027, 11, 6, 12, tzinfo=UTC)
SPAN = {"from": START.isoformat(), "to": (START + timedelta(days=2)).isoformat()}


def format_quarter(quarter: int) -> str:
    return (START + timedelta(minutes=15 * quarter)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("seed", range(4))
async def test_free_windows_are_bookable_and_other_times_are_refused(
    client: httpx2.AsyncClient, doctor: Person, register: Register, seed: int
) -> None:
    generator = random.Random(seed)
    patients = [await register() for _ in range(4)]
    edges = sorted(generator.sample(range(192), 8))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        await doctor.publish(format_quarter(start), format_quarter(end))
    booked: list[tuple[str, str]] = []
    for _ in range(60):
        start = generator.randrange(-4, 196)
        interval = format_quarter(start), format_quarter(start + generator.randrange(1, 12))
        patient = generator.choice(patients)
        listed = any(
            window[0] <= interval[0] and interval[1] <= window[1]
            for window in await get_windows(client, doctor, **SPAN)
        )
        response = await patient.try_to_book(doctor, *interval)
        # Windows do not show whether the patient is busy.
        if listed:
            assert response.status_code == 201 or response.json()["code"] == "patient_busy"
        else:
            assert response.status_code == 409
            assert response.json()["code"] in {"slot_taken", "outside_availability"}
        if response.status_code == 201:
            booked.append(interval)
            if generator.random() < 0.3:
                await doctor.delete(f"/appointments/{response.json()['id']}")
                booked.pop()
                assert any(
                    window[0] <= interval[0] and interval[1] <= window[1]
                    for window in await get_windows(client, doctor, **SPAN)
                )
    assert booked
