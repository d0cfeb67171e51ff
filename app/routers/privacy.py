"""Export your data and erase your account."""

from fastapi import APIRouter, Response, status

from app.core.dependencies import DbTransaction, FreshActor, Now
from app.http.audit import Audit
from app.http.browser import CLEAR_SITE_DATA
from app.http.problems import responses
from app.http.representations import EXPORT_HEADERS, represent_export
from app.http.requests import StrictRoute
from app.schemas import privacy as wire
from app.services import privacy

router = APIRouter(prefix="/auth/me", tags=["Accounts"], route_class=StrictRoute)


@router.get("/export", responses=responses("not_authenticated", "log_in_again", "invalid_request", "busy"))
async def export_account(
    actor: FreshActor, response: Response, transaction: DbTransaction, now: Now, _: Audit
) -> wire.Export:
    """Export all your data as one JSON document.

    For patients, `access` lists who has seen or changed their data, with the reason if one had to be given. A doctor's
    visits are the data of the patients, so the export of a doctor does not contain them. Requires a log-in within the
    last ten minutes.
    """
    response.headers.update(EXPORT_HEADERS)
    return represent_export(await privacy.export(transaction, actor, now), actor, now)


@router.delete(
    "",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(
        "not_authenticated", "log_in_again", "wrong_role", "has_appointments", "invalid_request", "busy"
    ),
)
async def erase_account(actor: FreshActor, response: Response, transaction: DbTransaction, now: Now, _: Audit) -> None:
    """Erase your account.

    This cannot be undone. If you are a patient, your upcoming visits are cancelled. A record that visits took place is
    kept, without your name and without what was written about them. If you are a doctor, cancel your upcoming visits
    first; otherwise the response is `has_appointments`. Requires a log-in within the last ten minutes.
    """
    response.headers.update(CLEAR_SITE_DATA)
    await privacy.erase(transaction, actor.id, actor.role, now, by=actor.id)
