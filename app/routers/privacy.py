"""One's own data: to take along, and to have erased."""

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
    """Take along all that is kept about you, as one JSON document.

    A patient finds in `access` who has seen or changed her data, and why, if a reason had to be given. A doctor's
    visits are her patients' data: they are not part of it. Asks for a log-in within the last ten minutes.
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
    """Erase your account. It cannot be undone.

    What you have booked as a patient is cancelled. That there were visits stays, without your name and without what
    was written about them. As a doctor, cancel what is booked first. Asks for a log-in within the last ten minutes.
    """
    response.headers.update(CLEAR_SITE_DATA)
    await privacy.erase(transaction, actor, now, by=actor.id)
