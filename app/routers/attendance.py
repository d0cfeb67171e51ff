"""Record arrivals and outcomes of appointments, and undo them."""

from uuid import UUID

from fastapi import APIRouter, Response

from app.core.dependencies import AttendanceActor, DbTransaction, Now
from app.core.permissions import Actor
from app.http.audit import Audit, AuditRecorder
from app.http.idempotency import Idempotent
from app.http.requests import StrictRoute
from app.http.versions import IfMatch, tag_appointment
from app.repositories.appointments import AppointmentRecord
from app.routers.appointments import changing
from app.scheduling.status import Action
from app.schemas import appointments as wire
from app.services import appointment_status

router = APIRouter(tags=["Appointments"], route_class=StrictRoute)

ADVANCE_REFUSALS = ("wrong_role", "wrong_status", "too_early")
UNDO_REFUSALS = ("wrong_role", "wrong_status", "too_late", "slot_taken", "patient_busy")


@router.post(
    "/appointments/{appointment_id:uuid}/arrive",
    response_model=wire.Appointment,
    responses=changing(*ADVANCE_REFUSALS, "request_in_flight", "key_reused"),
)
async def arrive(
    appointment_id: UUID,
    response: Response,
    actor: AttendanceActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfMatch,
    trail: Audit,
    _: Idempotent,
) -> AppointmentRecord:
    """Record that the patient has arrived.

    You can do this from 12 hours before the start. Before that, the response is `too_early`.
    """
    return await _advance(Action.ARRIVE, appointment_id, response, actor, transaction, now, versions, trail)


@router.post(
    "/appointments/{appointment_id:uuid}/complete",
    response_model=wire.Appointment,
    responses=changing(*ADVANCE_REFUSALS, "request_in_flight", "key_reused"),
)
async def complete(
    appointment_id: UUID,
    response: Response,
    actor: AttendanceActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfMatch,
    trail: Audit,
    _: Idempotent,
) -> AppointmentRecord:
    """Record that the visit took place.

    You can do this from the start of the visit, with or without a recorded arrival. Before that, the response is
    `too_early`.
    """
    return await _advance(Action.COMPLETE, appointment_id, response, actor, transaction, now, versions, trail)


@router.post(
    "/appointments/{appointment_id:uuid}/no-show",
    response_model=wire.Appointment,
    responses=changing(*ADVANCE_REFUSALS, "request_in_flight", "key_reused"),
)
async def no_show(
    appointment_id: UUID,
    response: Response,
    actor: AttendanceActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfMatch,
    trail: Audit,
    _: Idempotent,
) -> AppointmentRecord:
    """Record that the patient did not come.

    You can do this from the start of the visit. Before that, the response is `too_early`. The rest of the time can be
    booked again.
    """
    return await _advance(Action.NO_SHOW, appointment_id, response, actor, transaction, now, versions, trail)


@router.post(
    "/appointments/{appointment_id:uuid}/undo",
    response_model=wire.Appointment,
    responses=changing(*UNDO_REFUSALS, "unknown_time_zone", "request_in_flight", "key_reused"),
)
async def undo_status_change(
    appointment_id: UUID,
    response: Response,
    actor: AttendanceActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfMatch,
    trail: Audit,
    _: Idempotent,
) -> AppointmentRecord:
    """Undo your last change of status.

    You can undo an arrival, an outcome or your own cancellation. The appointment gets its earlier status back, as a new
    version. You can do this until the end of the day of the visit in your time zone, or of the day of the change if
    that is later. After that, the response is `too_late`. If the time has been booked since, the response is
    `slot_taken` or `patient_busy`, and nothing changes. A cancellation by the patient cannot be undone.
    """
    restored = await appointment_status.undo_status_change(
        transaction, actor, appointment_id, versions=versions, now=now
    )
    trail.concerns(restored)
    return tag_appointment(response, restored)


async def _advance(
    action: Action,
    appointment_id: UUID,
    response: Response,
    actor: Actor,
    transaction: DbTransaction,
    now: Now,
    versions: frozenset[int] | None,
    trail: AuditRecorder,
) -> AppointmentRecord:
    advanced = await appointment_status.advance_appointment(
        transaction, actor, appointment_id, action, versions=versions, now=now
    )
    trail.concerns(advanced)
    return tag_appointment(response, advanced)
