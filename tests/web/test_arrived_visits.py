"""A patient's own pages of a visit after the arrival, and of a missed visit."""

from datetime import UTC, datetime

import httpx2

from tests.conftest import SetClock
from tests.people import Person
from tests.web.conftest import Forms


async def test_visit_stays_upcoming_after_the_arrival(
    doctor: Person, patient: Person, forms: Forms, client: httpx2.AsyncClient, clock: SetClock
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, "2026-12-08T15:00:00Z")
    clock.time = datetime(2026, 12, 8, 8, tzinfo=UTC)
    await (await doctor.log_in_again()).post(f"/appointments/{booked['id']}/arrive", None)
    await forms.sign_in(patient)
    shown = (await client.get(f"/my/appointments/{booked['id']}")).text
    assert "/move" in shown
    assert "/cancel" in shown
    assert "Past and cancelled" not in (await client.get("/my/appointments")).text
    cancelled = await forms.send(f"/my/appointments/{booked['id']}/cancel", version="2")
    assert cancelled.status_code == 303


async def test_missed_visit_is_not_upcoming(
    doctor: Person, patient: Person, forms: Forms, client: httpx2.AsyncClient, clock: SetClock
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, "2026-12-08T15:00:00Z")
    clock.time = datetime(2026, 12, 8, 15, 10, tzinfo=UTC)
    await (await doctor.log_in_again()).post(f"/appointments/{booked['id']}/no-show", None)
    await forms.sign_in(patient)
    assert "Past and cancelled" in (await client.get("/my/appointments")).text
