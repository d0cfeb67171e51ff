"""Records of patients."""

from fastapi import APIRouter, Response

from app.core.dependencies import DbTransaction, Now, OwnRecordActor
from app.http.audit import Audit
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.repositories import patients
from app.repositories.patients import PatientRecord
from app.schemas import patients as wire
from app.services.patients import change_own_record as change

router = APIRouter(prefix="/patients", tags=["Patients"], route_class=StrictRoute)


@router.get(
    "/me",
    response_model=wire.Patient,
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
    },
)
async def get_own_record(
    response: Response, actor: OwnRecordActor, transaction: DbTransaction, _: Audit
) -> PatientRecord:
    """Get your own record as a patient, with its `ETag`."""
    record = await patients.get_patient(transaction, actor.id)
    tag_content(response, record.content)
    return record


@router.patch(
    "/me",
    response_model=wire.Patient,
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "wrong_role", "version_mismatch", "body_too_large", "invalid_request", "busy"),
    },
)
async def change_own_record(
    body: wire.PatientChanges,
    response: Response,
    actor: OwnRecordActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
    _: Audit,
) -> PatientRecord:
    """Change your own record as a patient.

    Fields that are left out stay as they are. Doctors see the name. `PATCH /auth/me` changes the name, too.
    """
    record = await change(transaction, actor, body.changes(), now, versions=versions)
    tag_content(response, record.content)
    return record
