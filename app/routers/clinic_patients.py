"""Patients of a clinic, for its members."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response, status

from app.core.clinic_dependencies import PatientsActor
from app.core.clinic_permissions import ClinicPermission
from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.http.audit import Audit
from app.http.idempotency import Idempotent
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.repositories import clinic_patients as records
from app.repositories.clinic_patients import ClinicPatientRecord
from app.repositories.clinics import get_clinic
from app.schemas import clinic_patients as wire
from app.schemas.patients import Patient
from app.services import clinic_patients

router = APIRouter(prefix="/clinics/{clinic_id:uuid}/patients", tags=["Clinics"], route_class=StrictRoute)


def _represent(record: ClinicPatientRecord) -> wire.ClinicPatient:
    return wire.ClinicPatient(
        patient=Patient(**{name: value for name, value in asdict(record.patient).items() if name != "user_id"}),
        has_account=record.patient.user_id is not None,
        file_number=record.file_number,
        note=record.note,
        next_visit=record.next_visit,
        last_visit=record.last_visit,
    )


@router.get(
    "",
    responses=responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
)
async def find_patients(
    clinic_id: UUID,
    query: Annotated[wire.PatientsQuery, Query()],
    member: PatientsActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> list[wire.ClinicPatient]:
    """Find patients of the clinic.

    All parts of `q` must match. The response has at most ten patients, by name; enter more to see fewer. The audit
    trail records whom you have seen.
    """
    found = await clinic_patients.search_patients(
        transaction, clinic_id, query.q, doctor_ids=member.clinic_scope(ClinicPermission.SEE_CALENDARS), now=now
    )
    for each in found:
        trail.concerns_patient(each.patient.id).add(each.patient.id)
    return list(map(_represent, found))


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses={
        201: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "not_found",
            "maybe_known",
            "file_number_taken",
            "request_in_flight",
            "body_too_large",
            "key_reused",
            "invalid_request",
            "busy",
        ),
    },
)
async def add_patient(
    clinic_id: UUID,
    body: wire.NewPatient,
    response: Response,
    member: PatientsActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Idempotent,
) -> wire.ClinicPatient:
    """Add a patient without an account.

    If the clinic may know the patient already, nothing is added, and the response is `maybe_known` with `candidates`:
    patients with the same name and no other date of birth, or with the same telephone number and a similar name. Use
    one of them, or repeat the request with `new: true`.
    """
    fields = body.model_dump(exclude={"new"}, exclude_none=True)
    country = (await get_clinic(transaction, clinic_id)).country
    try:
        added = await clinic_patients.add_patient(
            transaction, clinic_id, country, fields, is_new=body.new, by=member.id, now=now
        )
    except DomainError as error:
        for candidate in error.candidates:
            trail.concerns_patient(UUID(candidate["id"]))
        raise
    trail.concerns_patient(added.patient.id).add(added.patient.id)
    tag_content(response, added.content)
    return _represent(added)


@router.get(
    "/{patient_id:uuid}",
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
    },
)
async def get_patient(
    clinic_id: UUID,
    patient_id: UUID,
    response: Response,
    member: PatientsActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> wire.ClinicPatient:
    """Get a patient of the clinic, with the `ETag`."""
    found = await records.get_clinic_patient(
        transaction,
        clinic_id,
        patient_id,
        doctor_ids=member.clinic_scope(ClinicPermission.SEE_CALENDARS),
        now=now,
    )
    trail.concerns_patient(patient_id).add(patient_id)
    tag_content(response, found.content)
    return _represent(found)


@router.patch(
    "/{patient_id:uuid}",
    responses={
        200: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "not_found",
            "has_account",
            "file_number_taken",
            "version_mismatch",
            "body_too_large",
            "invalid_request",
            "busy",
        ),
    },
)
async def change_patient(
    clinic_id: UUID,
    patient_id: UUID,
    body: wire.ClinicPatientChanges,
    response: Response,
    member: PatientsActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
    trail: Audit,
) -> wire.ClinicPatient:
    """Change a patient of the clinic.

    The contact data of a patient with an account can be changed only by the patient (`has_account`); the file number
    and the note can be changed for all patients.
    """
    changed = await clinic_patients.change_patient(
        transaction,
        clinic_id,
        (await get_clinic(transaction, clinic_id)).country,
        patient_id,
        body.changes(),
        doctor_ids=member.clinic_scope(ClinicPermission.SEE_CALENDARS),
        versions=versions,
        now=now,
    )
    trail.concerns_patient(patient_id).add(patient_id)
    tag_content(response, changed.content)
    return _represent(changed)
