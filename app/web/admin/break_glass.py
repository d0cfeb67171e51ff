"""A patient's visits in an emergency (break glass), for a reason that the patient can read in the audit trail."""

from datetime import timedelta
from uuid import UUID

from fastapi import Response
from pydantic import TypeAdapter

from app.core.dependencies import DbTransaction, Now
from app.http.audit import Audit, AuditRecorder
from app.http.paging import read_cursor
from app.schemas import admin as wire
from app.schemas.fields import Cursor
from app.services import administration
from app.web.admin.accounts import DECISIONS, deciding
from app.web.kit.auth import BreakGlassPage, PatientVisitsPage
from app.web.kit.clocks import load_zones
from app.web.kit.forms import SentForm
from app.web.kit.lists import cut_list
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router

router = page_router()

GLASS = "glass"
"""The sealed cookie of an administrator who has given a reason: the session, the patient and the reason."""
_KEY = TypeAdapter(UUID)
_BREAK_GLASS = DECISIONS["break-glass"]
_ACCESS_LIFETIME = timedelta(minutes=10)


@router.post("/office/users/{user_id:uuid}/break-glass")
async def break_glass(
    page: BreakGlassPage, user_id: UUID, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Record the reason, and redirect to the patient's visits, which can be viewed for ten minutes."""
    async with deciding(page, transaction, form, trail, user_id, "break-glass"):
        why = form.read(wire.Decision).reason
        await administration.break_glass(transaction, user_id, now)
    _note(trail, user_id, why)
    response = page.redirect(f"/office/users/{user_id}/visits", page.gettext(_BREAK_GLASS.message), "note")
    # With the session, so that the access ends with it and is not passed on to the next administrator (ADR 0041).
    page.cookies.seal(response, GLASS, [_session_of(page), str(user_id), why], now, _ACCESS_LIFETIME)
    return response


@router.get("/office/users/{user_id:uuid}/visits")
async def list_visits_behind_glass(
    page: PatientVisitsPage,
    user_id: UUID,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    after: Cursor | None = None,
) -> Response:
    """List a patient's visits if a reason was given within ten minutes; otherwise redirect to the form for it."""
    last = read_cursor(after, _KEY)
    match page.cookies.unseal(GLASS, now, _ACCESS_LIFETIME):
        case [session_id, patient_id, why] if [session_id, patient_id] == [_session_of(page), str(user_id)]:
            # Every look is recorded with the reason, not only the first.
            _note(trail, user_id, why)
            patient, visits = await administration.break_glass(transaction, user_id, now)
            ids = [each.id for each in visits]
            rest = visits[ids.index(last) + 1 :] if last in ids else visits
            listed, more = cut_list(rest, f"/office/users/{user_id}/visits", _KEY, lambda visit: visit.id)
            await load_zones(page, transaction, *(each.time_zone for each in listed))
            return page.render(
                "admin/break_glass.html", patient=patient, count=len(visits), visits=listed, more=more, why=why
            )
    return page.redirect(f"/office/users/{user_id}?decision=break-glass")


def _session_of(page: SignedInPage) -> str:
    return str(page.actor.get_login().session_id)


def _note(trail: AuditRecorder, patient_id: UUID, why: str) -> None:
    trail.concerns_patient(patient_id)
    trail.because(why)
