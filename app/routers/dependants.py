"""Patients for whom another patient acts, such as children."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status

from app.core.dependencies import DbTransaction, Now, OwnRecordActor
from app.core.permissions import GuardianRight, Scope
from app.http.audit import Audit
from app.http.idempotency import Idempotent
from app.http.paging import LINK_HEADER
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.repositories import appointments, guardians
from app.repositories.appointments import AppointmentRecord
from app.repositories.guardians import DependantRecord
from app.routers.appointments import list_page
from app.schemas import patients as wire
from app.schemas.appointments import Appointment, AppointmentsQuery
from app.services import dependants
from app.services.dependants import dependants_of

router = APIRouter(prefix="/patients/me/dependants", tags=["Patients"], route_class=StrictRoute)


@router.get(
    "",
    response_model=list[wire.Dependant],
    responses=responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
)
async def list_dependants(
    actor: OwnRecordActor, transaction: DbTransaction, now: Now, trail: Audit
) -> Sequence[DependantRecord]:
    """List the patients for whom you act today. There are at most ten."""
    found = await guardians.list_dependants(transaction, dependants_of(actor, GuardianRight.SEE, now))
    for each in found:
        trail.concerns_patient(each.patient.id)
    return found


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=wire.Dependant,
    responses={
        201: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "too_many",
            "request_in_flight",
            "body_too_large",
            "key_reused",
            "invalid_request",
            "busy",
        ),
    },
)
async def add_dependant(
    body: wire.NewChild,
    response: Response,
    actor: OwnRecordActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Idempotent,
) -> DependantRecord:
    """Add a child for whom you book.

    The child gets a record of its own. You may act for the child until the day before its 18th birthday. Send the id
    of the `patient` as `on_behalf_of` to `POST /appointments`.
    """
    added = await dependants.add_child(
        transaction, actor, name=body.name, birth_date=body.birth_date, relation=body.relation, now=now
    )
    trail.concerns_patient(added.patient.id)
    tag_content(response, added.patient.content)
    return added


@router.get(
    "/{dependant_id:uuid}",
    response_model=wire.Dependant,
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
    },
)
async def get_dependant(
    dependant_id: UUID, response: Response, actor: OwnRecordActor, transaction: DbTransaction, now: Now, trail: Audit
) -> DependantRecord:
    """Get the record of a dependant, with its `ETag`."""
    found = await guardians.get_dependant(transaction, dependants_of(actor, GuardianRight.SEE, now), dependant_id)
    trail.concerns_patient(dependant_id)
    tag_content(response, found.patient.content)
    return found


@router.patch(
    "/{dependant_id:uuid}",
    response_model=wire.Dependant,
    responses={
        200: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "not_found",
            "version_mismatch",
            "body_too_large",
            "invalid_request",
            "busy",
        ),
    },
)
async def change_dependant(
    dependant_id: UUID,
    body: wire.DependantChanges,
    response: Response,
    actor: OwnRecordActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
    trail: Audit,
) -> DependantRecord:
    """Change the record of a dependant who has no account.

    Another birth date also changes the last day on which you may act for the child.
    """
    changed = await dependants.change_dependant(
        transaction, actor, dependant_id, body.changes(), now, versions=versions
    )
    trail.concerns_patient(dependant_id)
    tag_content(response, changed.patient.content)
    return changed


@router.delete(
    "/{dependant_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "wrong_role", "not_found", "has_appointments", "invalid_request", "busy"),
)
async def remove_dependant(
    dependant_id: UUID, actor: OwnRecordActor, transaction: DbTransaction, now: Now, trail: Audit
) -> None:
    """Stop acting for a dependant.

    If nobody else acts for them and they have no account, their upcoming visits must be cancelled first, and their
    record is erased. That visits took place is kept, without the name.
    """
    await dependants.remove_dependant(transaction, actor, dependant_id, now)
    trail.concerns_patient(dependant_id)


@router.get(
    "/{dependant_id:uuid}/appointments",
    response_model=list[Appointment],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
    },
)
async def list_dependants_appointments(
    dependant_id: UUID,
    query: Annotated[AppointmentsQuery, Query()],
    request: Request,
    response: Response,
    actor: OwnRecordActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> Sequence[AppointmentRecord]:
    """List the appointments of a dependant, in the order of `GET /appointments`."""
    await guardians.get_dependant(transaction, dependants_of(actor, GuardianRight.SEE, now), dependant_id)
    trail.concerns_patient(dependant_id)
    page = partial(appointments.page_appointments, transaction, Scope(patient_id=dependant_id))
    return await list_page(page, query, request, response, now, trail)
