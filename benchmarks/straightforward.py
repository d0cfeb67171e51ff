"""The booking endpoint as tutorials would write it, with the ORM, for comparison with the application.

It writes the same rows and sends the same response. The user, the doctor and the doctor's rules are loaded as entities.
The rules are checked with datetimes (`tests/scheduling/reference.py`). A SELECT checks whether the time is free. The
appointment, the audit event and the stored response are added to the session. A middleware function sets the headers.
Two concurrent requests can both find the time free: then the constraint refuses the second with an error.
`benchmarks/booking.py` serves it with uvicorn and sets `DATABASE_URL`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from uuid_utils.compat import uuid7

from app.core.permissions import Role
from app.core.security import read_access_token
from app.core.settings import Settings
from app.edge.access_log import DEFAULT_HEADERS
from app.models import (
    Appointment,
    AuditEvent,
    Availability,
    Doctor,
    IdempotencyKey,
    LoginSession,
    TimeOff,
    User,
    VisitType,
)
from app.scheduling import availability, visits
from app.scheduling.availability import Rules
from app.scheduling.intervals import MINUTE
from app.scheduling.status import AppointmentStatus
from app.schemas.appointments import Appointment as AppointmentResponse
from app.schemas.appointments import Reference
from tests.scheduling.reference import Diary, check

SETTINGS = Settings()

engine = create_async_engine(SETTINGS.database_url, pool_size=SETTINGS.database_pool_size)
new_session = async_sessionmaker(engine, expire_on_commit=False)


class NewAppointment(BaseModel):
    """The body of a booking."""

    doctor_id: UUID
    start_time: AwareDatetime
    visit_type_id: UUID
    reason: str | None = None


@asynccontextmanager
async def dispose(_app: FastAPI) -> AsyncIterator[None]:
    """Close the connections when the server stops."""
    yield
    await engine.dispose()


app = FastAPI(lifespan=dispose)


@app.middleware("http")
async def set_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Set the headers that every response of the application has."""
    response = await call_next(request)
    response.headers.update(DEFAULT_HEADERS | {"X-Request-ID": str(uuid4())})
    return response


async def open_session() -> AsyncIterator[AsyncSession]:
    """Open a session for the request."""
    async with new_session() as session:
        yield session


Db = Annotated[AsyncSession, Depends(open_session)]


async def get_user(session: Db, authorization: Annotated[str, Header()]) -> User:
    """Return the user of the token, or raise a 401."""
    claims = read_access_token(
        authorization.removeprefix("Bearer "),
        key=SETTINGS.secret_key.get_secret_value(),
        now=datetime.now(UTC),
        lifetime=timedelta(minutes=SETTINGS.access_token_minutes),
    )
    login = await session.get(LoginSession, claims.session_id)
    user = await session.get(User, claims.user_id)
    if login is None or user is None or user.suspended_at:
        raise HTTPException(401)
    return user


async def get_patient(user: Annotated[User, Depends(get_user)]) -> User:
    """Return the user of the token if they are a patient, or raise a 403."""
    if user.role is not Role.PATIENT:
        raise HTTPException(403)
    return user


@app.get("/readyz")
async def ready() -> None:
    """Respond once the server is ready: `tests/servers.py` polls this route."""


@app.post("/appointments", status_code=201, response_model=AppointmentResponse)
async def book_appointment(
    body: NewAppointment,
    request: Request,
    session: Db,
    patient: Annotated[User, Depends(get_patient)],
    idempotency_key: Annotated[str, Header()],
) -> AppointmentResponse | Response:
    """Book the appointment and respond like the application."""
    now = datetime.now(UTC)
    request_hash = sha256(await request.body()).hexdigest()
    stored = await session.get(IdempotencyKey, (patient.id, idempotency_key))
    if stored and stored.request_hash != request_hash:
        raise HTTPException(422)
    if stored:
        return Response(stored.body, stored.status or 201, media_type="application/json")

    doctor = await session.get(Doctor, body.doctor_id)
    visit_type = await session.get(VisitType, body.visit_type_id)
    if doctor is None or visit_type is None or visit_type.doctor_id != doctor.id:
        raise HTTPException(404)
    doctor_user = await session.get_one(User, doctor.id)
    start = body.start_time
    end = start + timedelta(minutes=visit_type.duration_minutes)
    if refusal := check(await _diary(session, doctor, visit_type, now), (start, end)):
        raise HTTPException(409, refusal)
    busy_start = start - timedelta(minutes=visit_type.buffer_before_minutes)
    busy_end = end + timedelta(minutes=visit_type.buffer_after_minutes)
    overlapping = await session.scalars(
        select(Appointment).where(
            Appointment.status.not_in([AppointmentStatus.CANCELLED, AppointmentStatus.NOSHOW]),
            or_(
                (Appointment.doctor_id == doctor.id)
                & (Appointment.busy_start < busy_end)
                & (Appointment.busy_end > busy_start),
                (Appointment.patient_id == patient.id)
                & (Appointment.start_time < end)
                & (Appointment.end_time > start),
            ),
        )
    )
    if overlapping.first():
        raise HTTPException(409, "slot_taken")

    appointment = Appointment(
        id=uuid7(),
        doctor_id=doctor.id,
        patient_id=patient.id,
        start_time=start,
        end_time=end,
        busy_start=busy_start,
        busy_end=busy_end,
        status=AppointmentStatus.BOOKED,
        reason=body.reason,
        visit_type_id=visit_type.id,
        created_at=now,
        booked_by=patient.id,
    )
    session.add(appointment)
    session.add(
        AuditEvent(
            id=uuid7(),
            occurred_at=now,
            actor_id=patient.id,
            actor_role=patient.role,
            action="book_appointment",
            outcome="ok",
            patient_id=patient.id,
            object_id=appointment.id,
            address=request.client and request.client.host,
        )
    )
    await session.flush()
    await session.refresh(appointment)
    response = AppointmentResponse(
        id=appointment.id,
        doctor_id=doctor.id,
        patient_id=patient.id,
        visit_type_id=visit_type.id,
        start_time=appointment.start_time,
        end_time=appointment.end_time,
        time_zone=doctor.time_zone,
        status=AppointmentStatus.BOOKED,
        reason=appointment.reason,
        doctor=Reference(id=doctor.id, name=doctor_user.name),
        patient=Reference(id=patient.id, name=patient.name),
        visit_type=Reference(id=visit_type.id, name=visit_type.name),
        created_at=appointment.created_at,
        booked_by=patient.id,
        cancelled_at=None,
        cancelled_by=None,
        cancel_reason=None,
        version=appointment.version,
    )
    session.add(
        IdempotencyKey(
            user_id=patient.id,
            key=idempotency_key,
            request_hash=request_hash,
            status=201,
            etag='"1"',
            body=response.model_dump_json(),
            created_at=now,
        )
    )
    await session.commit()
    return response


async def _diary(session: AsyncSession, doctor: Doctor, visit_type: VisitType, now: datetime) -> Diary:
    availabilities = await session.scalars(select(Availability).where(Availability.doctor_id == doctor.id))
    time_off = await session.scalars(select(TimeOff).where(TimeOff.doctor_id == doctor.id))
    rules = Rules(
        ZoneInfo(doctor.time_zone),
        tuple(
            availability.Availability(each.starts, each.ends, each.recurrence, each.last_ends)
            for each in availabilities
        ),
        tuple(availability.TimeOff(each.starts, each.ends) for each in time_off),
        visits.BookingLimits(doctor.min_notice_minutes * MINUTE, doctor.max_advance_days, doctor.daily_limit),
    )
    lengths = visit_type.duration_minutes, visit_type.buffer_before_minutes, visit_type.buffer_after_minutes
    engine_visit_type = visits.VisitType(
        visit_type.duration_minutes * MINUTE,
        visit_type.id,
        visit_type.buffer_before_minutes * MINUTE,
        visit_type.buffer_after_minutes * MINUTE,
        (visit_type.slot_step_minutes or sum(lengths)) * MINUTE,
    )
    return Diary(rules, engine_visit_type, (), now)
