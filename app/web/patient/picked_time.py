"""Hold a time that a visitor picked before signing in."""

from urllib.parse import urlsplit
from uuid import UUID

from app.core.audit_actions import AuditAction
from app.core.dependencies import RequestClient, check_email_confirmed
from app.core.errors import DomainError
from app.core.permissions import Actor, Permission
from app.db.database import Transaction
from app.repositories.appointments import Reference
from app.repositories.sessions import find_actor
from app.services import booking
from app.services.audit import Event, record
from app.services.sessions import IssuedTokens
from app.web.kit.drafts import find_draft
from app.web.kit.forms import Form
from app.web.kit.pages import Page
from app.web.patient.booking import PICK, Pick, hold_page


async def hold_picked(page: Page, next_: str, grant: IssuedTokens, client: RequestClient) -> str | None:
    """Hold the time that a patient picked before signing in, if the sign-in leads back to it.

    Return the path of the hold's page; ``None`` if there is no such time, or if it cannot be held.
    """
    draft = find_draft(page, grant.claims.user_id, signed_in_by=next_)
    if draft is None or urlsplit(next_).path != PICK:
        return None
    resources = page.resources

    async def hold(transaction: Transaction) -> str | None:
        actor = await find_actor(transaction, grant.claims)
        if actor is None or not actor.may(Permission.BOOK_ONLINE):
            return None
        # The sign-in names neither `BookingPage` nor `Audit`, so this function checks and records by itself.
        check_email_confirmed(actor, resources.settings)
        held = await booking.hold_time(
            transaction,
            actor,
            Form(draft.typed).read(Pick).booking_request,
            patient=Reference(actor.id, actor.name),
            limits=resources.patient_limits,
            now=page.now,
        )
        await record(transaction, _held(actor, held.id, client), now=page.now)
        return hold_page(held.id)

    try:
        # Holding may have to wait for the calendar, which must not keep a connection (ADR 0044).
        return await resources.database.write_in_turn(hold)
    except DomainError:
        return None  # the page of the picked time shows the time or the reason why it cannot be held


def _held(actor: Actor, hold_id: UUID, client: RequestClient) -> Event:
    return Event(
        AuditAction.HOLD_TIME,
        actor_id=actor.id,
        actor_role=actor.role,
        patient_id=actor.id,
        object_id=hold_id,
        client=client,
    )
