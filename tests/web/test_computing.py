"""No page holds a connection while a doctor's times are computed, even if the look at it is recorded."""

import pytest
from fastapi import FastAPI

from tests.computing import watch_connections
from tests.people import Person
from tests.web.conftest import Forms

START = "2026-12-08T15:00:00Z"


@pytest.mark.parametrize("path", ["/my/appointments/{id}/move", "/practice/visits/{id}/move", "/with/{doctor}"])
async def test_no_connection_is_held_while_times_are_computed(
    app: FastAPI, forms: Forms, doctor: Person, patient: Person, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    await doctor.open("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, START)
    await forms.sign_in(doctor if path.startswith("/practice") else patient)
    held = watch_connections(app, monkeypatch)
    shown = await forms.client.get(path.format(id=booked["id"], doctor=doctor.id))
    assert shown.status_code == 200
    assert held
    assert set(held) == {0}
