"""One's own data: to take along, and to have erased."""

from dataclasses import asdict
from uuid import UUID

from fastapi import APIRouter, Response, status

from app.core.dependencies import DbTransaction, FreshActor, Now
from app.http.audit import Audit
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.routers.schedule import availability_of, time_off_of
from app.routers.sessions import CLEAR_SITE_DATA
from app.routers.slots import visit_type_of
from app.schemas import privacy as wire
from app.schemas.accounts import SecondFactor, Session, User
from app.schemas.appointments import Appointment, Version
from app.schemas.doctors import Doctor, PendingChange
from app.services import privacy
from app.services.privacy import Export, Practice

router = APIRouter(prefix="/auth/me", tags=["Accounts"], route_class=StrictRoute)


@router.get("/export", responses=responses("not_authenticated", "log_in_again", "invalid_request", "busy"))
async def export_account(
    actor: FreshActor, response: Response, transaction: DbTransaction, now: Now, _: Audit
) -> wire.Export:
    """Take along all that is kept about you, as one JSON document.

    A patient finds in `access` who has seen or changed her data, and why, if a reason had to be given. A doctor's
    visits are her patients' data: they are not part of it. Asks for a log-in within the last ten minutes.
    """
    response.headers["Content-Disposition"] = 'attachment; filename="export.json"'
    found = await privacy.export(transaction, actor, now)
    current = actor.get_login().session_id
    return wire.Export(
        exported_at=now,
        account=User.model_validate(found.account),
        sessions=[Session(**asdict(each), current=each.id == current) for each in found.sessions],
        known_devices=[wire.KnownDevice.model_validate(each) for each in found.known_devices],
        second_factor=SecondFactor.model_validate(found.second_factor),
        appointments=_appointments(found),
        practice=_practice(actor.id, found.practice) if found.practice else None,
        access=[wire.Access.model_validate(each) for each in found.access],
    )


@router.delete(
    "",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(
        "not_authenticated", "log_in_again", "wrong_role", "has_appointments", "invalid_request", "busy"
    ),
)
async def erase_account(actor: FreshActor, response: Response, transaction: DbTransaction, now: Now, _: Audit) -> None:
    """Erase your account. It cannot be undone.

    What you have booked as a patient is cancelled. That there were visits stays, without your name and without what
    was written about them. As a doctor, cancel what is booked first. Asks for a log-in within the last ten minutes.
    """
    response.headers.update(CLEAR_SITE_DATA)
    await privacy.erase(transaction, actor, now, by=actor.id)


def _appointments(found: Export) -> list[wire.ExportedAppointment]:
    return [
        wire.ExportedAppointment(
            **Appointment.model_validate(each).model_dump(),
            history=[Version.model_validate(version) for version in found.versions[each.id]],
        )
        for each in found.appointments
    ]


def _practice(doctor_id: UUID, practice: Practice) -> wire.Practice:
    return wire.Practice(
        doctor=Doctor.model_validate(practice.doctor),
        pending_change=practice.pending_change and PendingChange.model_validate(practice.pending_change),
        availabilities=[availability_of(practice.doctor, each) for each in practice.availabilities],
        time_off=[time_off_of(practice.doctor, each) for each in practice.time_off],
        visit_types=[visit_type_of(doctor_id, each) for each in practice.visit_types],
    )
