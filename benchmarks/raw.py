"""The booking endpoint with raw asyncpg, written only for speed: the lower bound that the application is compared with.

It does what the application does for a booking that succeeds, in one transaction: check the token and its session,
store the `Idempotency-Key`, check the same rules, insert under the same constraints, write the audit event, and store
the response. Failures are assertion errors. Nothing is logged, measured or limited, and no security headers are set.
`benchmarks/booking.py` serves it with uvicorn and sets `DATABASE_URL`.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from fastapi import FastAPI, Header, Request, Response
from pydantic import AwareDatetime, BaseModel
from uuid_utils.compat import uuid7

from app.core.security import read_access_token
from app.core.settings import Settings
from app.scheduling.availability import Availability, Rules
from app.scheduling.decisions import check_booking
from app.scheduling.intervals import MINUTE, to_instant
from app.scheduling.visits import VisitType

SETTINGS = Settings()
DAY = timedelta(days=1)

ACTOR = """
SELECT users.role, users.name FROM login_sessions JOIN users ON users.id = login_sessions.user_id
WHERE login_sessions.id = $1 AND login_sessions.user_id = $2 AND users.suspended_at IS NULL
"""
TAKE_KEY = """
INSERT INTO idempotency_keys (user_id, key, request_hash, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING 1
"""
SCHEDULE = """
SELECT users.name, doctors.time_zone, doctors.schedule_version, visit_types.name AS visit_type, duration_minutes,
    buffer_before_minutes, buffer_after_minutes, starts, ends, recurrence, last_ends
FROM doctors JOIN users ON users.id = doctors.id
    JOIN visit_types ON visit_types.doctor_id = doctors.id AND visit_types.id = $2 AND withdrawn_at IS NULL
    JOIN availabilities ON availabilities.doctor_id = doctors.id AND last_ends > $3 AND starts < $4
WHERE doctors.id = $1 AND approved_at IS NOT NULL AND suspended_at IS NULL
"""
BOOK = """
INSERT INTO appointments (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, reason,
    visit_type_id, created_at, booked_by)
SELECT $1, id, $3, $4, $5, $6, $7, 'booked', $8, $9, $10, $3 FROM doctors WHERE id = $2 AND schedule_version = $11
ON CONFLICT DO NOTHING RETURNING 1
"""
RECORD = """
INSERT INTO audit_events (id, occurred_at, actor_id, actor_role, action, outcome, patient_id, object_id, address)
VALUES ($1, $2, $3, $4, 'book_appointment', 'ok', $3, $5, $6)
"""
STORE_RESPONSE = "UPDATE idempotency_keys SET status = 201, etag = $3, body = $4 WHERE user_id = $1 AND key = $2"


class NewAppointment(BaseModel):
    """The body of a booking."""

    doctor_id: UUID
    start_time: AwareDatetime
    visit_type_id: UUID
    reason: str | None = None


@asynccontextmanager
async def open_pool(app: FastAPI) -> AsyncIterator[None]:
    """Open a pool of connections for the lifetime of the server."""
    url = SETTINGS.database_url.replace("postgresql+asyncpg", "postgresql")
    async with asyncpg.create_pool(url, min_size=1, max_size=SETTINGS.database_pool_size) as app.state.pool:
        yield


app = FastAPI(lifespan=open_pool)


@app.get("/readyz")
async def ready() -> None:
    """Respond once the server is ready: `tests/servers.py` polls this route."""


@app.post("/appointments")
async def book_appointment(
    body: NewAppointment,
    request: Request,
    authorization: Annotated[str, Header()],
    idempotency_key: Annotated[str, Header()],
) -> Response:
    """Book the appointment and respond like the application."""
    now = datetime.now(UTC)
    lifetime = timedelta(minutes=SETTINGS.access_token_minutes)
    key = SETTINGS.secret_key.get_secret_value()
    caller = read_access_token(authorization.removeprefix("Bearer "), key=key, now=now, lifetime=lifetime)
    request_hash = sha256(b"POST /appointments\n" + await request.body()).hexdigest()
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        actor = await connection.fetchrow(ACTOR, caller.session_id, caller.user_id)
        assert actor["role"] == "patient"
        assert await connection.fetchval(TAKE_KEY, caller.user_id, idempotency_key, request_hash, now)
        wall = body.start_time.astimezone(UTC).replace(tzinfo=None)
        rows = await connection.fetch(SCHEDULE, body.doctor_id, body.visit_type_id, wall - DAY, wall + 2 * DAY)
        response = await _insert(connection, body, caller.user_id, actor["name"], rows, now)
        await connection.execute(
            RECORD,
            uuid7(),
            now,
            caller.user_id,
            actor["role"],
            UUID(response["id"]),
            request.client and request.client.host,
        )
        content = json.dumps(response)
        await connection.execute(STORE_RESPONSE, caller.user_id, idempotency_key, '"1"', content)
    return Response(content, 201, {"ETag": '"1"'}, media_type="application/json")


async def _insert(
    connection: Any, body: NewAppointment, patient_id: UUID, patient: str, rows: list[Any], now: datetime
) -> dict[str, Any]:
    schedule = rows[0]
    length, before, after = (
        schedule[name] * MINUTE for name in ("duration_minutes", "buffer_before_minutes", "buffer_after_minutes")
    )
    rules = Rules(
        ZoneInfo(schedule["time_zone"]),
        tuple(Availability(row["starts"], row["ends"], row["recurrence"], row["last_ends"]) for row in rows),
    )
    visit_type = VisitType(length, body.visit_type_id, before, after, before + length + after)
    first = to_instant(body.start_time)
    assert check_booking(rules, visit_type, (first, first + length), (), to_instant(now)) is None
    id_ = uuid7()
    start = body.start_time.astimezone(UTC)
    end = start + timedelta(minutes=schedule["duration_minutes"])
    busy_start = start - timedelta(minutes=schedule["buffer_before_minutes"])
    busy_end = end + timedelta(minutes=schedule["buffer_after_minutes"])
    assert await connection.fetchval(
        BOOK,
        *(id_, body.doctor_id, patient_id, start, end, busy_start, busy_end, body.reason, body.visit_type_id, now),
        schedule["schedule_version"],
    )
    return {
        "id": str(id_),
        "doctor_id": str(body.doctor_id),
        "patient_id": str(patient_id),
        "visit_type_id": str(body.visit_type_id),
        "start_time": start.isoformat(),
        "end_time": end.isoformat(),
        "time_zone": schedule["time_zone"],
        "status": "booked",
        "reason": body.reason,
        "doctor": {"id": str(body.doctor_id), "name": schedule["name"]},
        "patient": {"id": str(patient_id), "name": patient},
        "visit_type": {"id": str(body.visit_type_id), "name": schedule["visit_type"]},
        "created_at": now.isoformat(),
        "booked_by": str(patient_id),
        "cancelled_at": None,
        "cancelled_by": None,
        "cancel_reason": None,
        "version": 1,
    }
