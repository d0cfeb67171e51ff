from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.db.database import Database
from app.models import AuditEvent
from tests.people import Person

SETUP_ACTIONS = {"register", "log_in"}
"""Actions with which every test begins."""


class RecordedEvent(NamedTuple):
    """The columns of an audit event that the tests compare."""

    action: str
    actor: str | None
    patient: str | None
    object: str | None = None
    outcome: str = "ok"


type ReadNewEvents = Callable[[], Awaitable[list[RecordedEvent]]]


def _format_id(id_: UUID | None) -> str | None:
    return str(id_) if id_ else None


@pytest.fixture
def read_new_events(database: Database) -> ReadNewEvents:
    """Returns the audit events since the last call, without those of ``SETUP_ACTIONS``."""
    read: set[UUID] = set()

    async def read_new_events() -> list[RecordedEvent]:
        async with database.read() as transaction:
            events = (await transaction.execute(select(AuditEvent).order_by(AuditEvent.id))).all()
        new = [each for each in events if each.id not in read]
        read.update(each.id for each in new)
        return [
            RecordedEvent(
                each.action,
                _format_id(each.actor_id),
                _format_id(each.patient_id),
                _format_id(each.object_id),
                each.outcome,
            )
            for each in new
            if each.action not in SETUP_ACTIONS
        ]

    return read_new_events


type ConnectFrom = Callable[[str], httpx2.AsyncClient]


@pytest.fixture
def connect_from(app: FastAPI) -> ConnectFrom:
    """Makes clients with other addresses."""

    def connect_from(address: str) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False, client=(address, 1))
        return httpx2.AsyncClient(transport=transport, base_url="http://testserver")

    return connect_from


@pytest.fixture
async def booked(doctor: Person, patient: Person) -> dict[str, Any]:
    """A visit at ten in the morning of 8 December, in New York, where the doctor is."""
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    return await patient.book(doctor, "2026-12-08T15:00:00Z")
