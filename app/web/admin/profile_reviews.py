"""Reviews of new names and specialties of doctors, before patients see them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import Response

from app.core.dependencies import DbTransaction
from app.core.errors import DomainError
from app.http.audit import Audit
from app.repositories.profile_changes import get_profile_review
from app.schemas import admin as wire
from app.services import profile_review
from app.web.kit.auth import AccountsPage, DecidingPage
from app.web.kit.drafts import restore
from app.web.kit.forms import Form, Once, SentForm, refuse
from app.web.kit.pages import Page
from app.web.kit.routes import page_router

router = page_router()


class ChangeDecision(wire.Decision):
    """The reason for a decision, and the change that it is about."""

    change: UUID


@router.get("/office/users/{user_id:uuid}/profile-change")
async def show_profile_change(page: AccountsPage, user_id: UUID, transaction: DbTransaction, trail: Audit) -> Response:
    """Show a doctor's current name and specialty beside the requested ones."""
    trail.about(user_id)
    review = await get_profile_review(transaction, user_id)
    if review.change is None:
        return page.redirect(f"/office/users/{user_id}", page.gettext("No change is waiting for review."), "note")
    return page.render("admin/review.html", review=review, user_id=user_id, form=restore(page))


@router.post("/office/users/{user_id:uuid}/profile-change/accept")
async def accept_profile_change(
    page: DecidingPage, user_id: UUID, form: SentForm, transaction: DbTransaction, trail: Audit, _: Once
) -> Response:
    """Accept the change: patients see it from now on."""
    async with _deciding(page, transaction, form, user_id) as typed:
        trail.about_account(await profile_review.accept_change(transaction, user_id, typed.change), typed.reason)
    return page.redirect(f"/office/users/{user_id}", page.gettext("Accepted. Patients now see the change."))


@router.post("/office/users/{user_id:uuid}/profile-change/decline")
async def decline_profile_change(
    page: DecidingPage, user_id: UUID, form: SentForm, transaction: DbTransaction, trail: Audit, _: Once
) -> Response:
    """Decline the change: patients still see the current name and specialty."""
    async with _deciding(page, transaction, form, user_id) as typed:
        trail.about_account(await profile_review.decline_change(transaction, user_id, typed.change), typed.reason)
    return page.redirect(f"/office/users/{user_id}", page.gettext("Declined. Patients still see the previous details."))


@asynccontextmanager
async def _deciding(page: Page, transaction: DbTransaction, form: Form, user_id: UUID) -> AsyncIterator[ChangeDecision]:
    """Yield the decision. If it is refused, show its page again.

    Raises ``not_found`` if the doctor has replaced the change in the meantime.
    """
    review = await get_profile_review(transaction, user_id)
    try:
        yield form.read(ChangeDecision)
    except DomainError as error:
        # The form cannot be shown again: it would be about a different change from the one that was read (ADR 0038).
        if review.change is None or error.code == "not_found":
            raise
        raise refuse(page, "admin/review.html", form, error, review=review, user_id=user_id) from error
