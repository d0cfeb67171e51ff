"""Holds: slots that are reserved for a few minutes while a patient books."""

from uuid import UUID

from fastapi import APIRouter, status

from app.core.dependencies import AppResources, BookingActor, DbTransaction, HoldingActor, Now
from app.http.audit import Audit
from app.http.idempotency import Idempotent
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.repositories.holds import HoldRecord
from app.routers.appointments import REFUSALS
from app.schemas import appointments as wire
from app.services import booking
from app.services.booking import BookingRequest
from app.services.dependants import choose_patient, list_family
from app.services.patient_limits import LIMIT_CODES

router = APIRouter(prefix="/holds", tags=["Booking"], route_class=StrictRoute)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=wire.Hold,
    responses=responses(
        "not_authenticated",
        "wrong_role",
        "email_not_confirmed",
        "not_found",
        *REFUSALS,
        *LIMIT_CODES,
        "request_in_flight",
        "body_too_large",
        "key_reused",
        "invalid_request",
        "busy",
    ),
)
async def hold_time(
    body: wire.NewHold,
    # A held time keeps others out, so it needs a confirmed address like a booking (ADR 0035).
    actor: BookingActor,
    transaction: DbTransaction,
    resources: AppResources,
    now: Now,
    trail: Audit,
    _: Idempotent,
) -> HoldRecord:
    """Hold a slot for 5 minutes.

    For example while you fill in a form. No one else can book the slot in the meantime. To book it, send the id of the
    hold as `hold_id` to `POST /appointments`. A hold ends at `expires_at`, when you release it, or when you
    hold another slot: you can have one hold for yourself at a time, and one for your dependants.
    """
    patient = await choose_patient(transaction, actor, body.on_behalf_of, now)
    held = await booking.hold_time(
        transaction,
        actor,
        BookingRequest(body.doctor_id, body.start_time, visit_type_id=body.visit_type_id),
        patient=patient,
        family=await list_family(transaction, actor, now) if body.on_behalf_of else (),
        limits=resources.patient_limits,
        now=now,
    )
    trail.concerns_patient(patient.id).add(held.id)
    return held


@router.delete(
    "/{hold_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
)
async def release_hold(hold_id: UUID, actor: HoldingActor, transaction: DbTransaction, trail: Audit) -> None:
    """Release a slot that you hold."""
    trail.about(hold_id)
    await booking.release_hold(transaction, hold_id, patient_id=actor.id)
