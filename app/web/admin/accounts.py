"""Accounts, and the decisions that administrators make about them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import BackgroundTasks, Response
from pydantic import TypeAdapter

from app.adapters.mail import second_factor_removed_mail
from app.core.dependencies import AppResources, DbTransaction, Now
from app.core.errors import DomainError
from app.core.permissions import AccountStatus, Role
from app.http.after_response import send_after_response
from app.http.audit import Audit, AuditRecorder
from app.http.paging import read_cursor, write_cursor
from app.repositories import accounts
from app.repositories.accounts import AccountRecord
from app.repositories.appointments import list_upcoming
from app.repositories.profile_changes import get_profile_review, page_waiting
from app.schemas import admin as wire
from app.services import administration
from app.web.kit.auth import AccountsPage, DecidingPage
from app.web.kit.drafts import restore
from app.web.kit.formatting import Formatter
from app.web.kit.forms import Form, Once, SentForm, refuse
from app.web.kit.languages import N_
from app.web.kit.pages import Page
from app.web.kit.routes import page_router

router = page_router()

ROLES = {
    Role.PATIENT: N_("Patient"),
    Role.DOCTOR: N_("Doctor"),
    Role.STAFF: N_("Clinic staff"),
    Role.ADMIN: N_("Administrator"),
}
STATUSES = {
    AccountStatus.UNAPPROVED: N_("Waiting for approval"),
    AccountStatus.ACTIVE: N_("Active"),
    AccountStatus.SUSPENDED: N_("Suspended"),
    AccountStatus.ERASED: N_("Deleted"),
}

_KEY = TypeAdapter(UUID)
_ALL_WAITING = f"/office/users?role={Role.DOCTOR.value}&status={AccountStatus.UNAPPROVED.value}"
_MAX_LISTED, _MAX_WAITING = 30, 10


@dataclass(frozen=True, slots=True)
class AccountDecision:
    """A decision about an account. It is confirmed on a page of its own that explains the consequences."""

    button: str
    meaning: str | Mapping[Role, str]
    """The explanation, for all accounts or by the role of the account."""
    message: str
    """The message after the decision."""
    is_destructive: bool = False
    needs_reason: bool = True
    once: bool = True
    """Whether the form carries a key, because a second submission would be recorded a second time with its reason."""

    def explain(self, formatter: Formatter, role: Role) -> str:
        """Return the explanation for an account of this role."""
        return formatter.gettext(self.meaning if isinstance(self.meaning, str) else self.meaning[role])


type DecisionName = Literal[
    "approve", "suspend", "reinstate", "end-sessions", "remove-second-factor", "erase", "break-glass"
]
_SUSPEND = N_("All sessions end immediately, and signing in is no longer possible.")
_REINSTATE = N_("Signing in is possible again, with the same password as before.")
_ERASE_ADMIN = N_("An administrator's account cannot be deleted. Another administrator can suspend it.")
DECISIONS: Mapping[DecisionName, AccountDecision] = {
    "approve": AccountDecision(
        N_("Approve"),
        N_("Patients can find this doctor, and can book once the doctor has published hours."),
        N_("Approved. Patients can now find this doctor."),
    ),
    "suspend": AccountDecision(
        N_("Suspend"),
        {
            Role.PATIENT: N_(
                "All sessions end immediately, and signing in is no longer possible. Booked visits stay booked."
            ),
            Role.DOCTOR: N_(
                "All sessions end immediately, and signing in is no longer possible. Patients can no longer find this "
                "doctor. Booked visits stay booked; you can then cancel them one by one."
            ),
            Role.STAFF: _SUSPEND,
            Role.ADMIN: _SUSPEND,
        },
        N_("The account has been suspended. All sessions have ended."),
        is_destructive=True,
    ),
    "reinstate": AccountDecision(
        N_("Lift the suspension"),
        {
            Role.PATIENT: _REINSTATE,
            Role.DOCTOR: N_(
                "Signing in is possible again, with the same password as before. If the doctor was approved, patients "
                "can find them again."
            ),
            Role.STAFF: _REINSTATE,
            Role.ADMIN: _REINSTATE,
        },
        N_("The suspension has been lifted. Signing in is possible again."),
    ),
    "end-sessions": AccountDecision(
        N_("End all sessions"),
        N_("This signs the account out on all devices. Signing in again is possible immediately."),
        N_("All sessions have ended."),
        is_destructive=True,
        needs_reason=False,
        once=False,
    ),
    "remove-second-factor": AccountDecision(
        N_("Remove the second factor"),
        N_(
            "For an account owner who has lost the app and the recovery codes. First make sure that the request really "
            "comes from this person. All sessions end, only the password is required after that, and the owner is "
            "notified by email."
        ),
        N_("The second factor has been removed, and all sessions have ended."),
        is_destructive=True,
        needs_reason=False,
        once=False,
    ),
    "erase": AccountDecision(
        N_("Delete the account"),
        {
            Role.PATIENT: N_(
                "This cannot be undone. The name, the email address, the password, sessions, devices, the second "
                "factor and all text about the patient's visits are deleted. Upcoming visits are cancelled. A record "
                "that visits took place is kept, without the name, and so is the audit trail with the reasons that "
                "administrators gave."
            ),
            Role.DOCTOR: N_(
                "This cannot be undone. The name, the email address, the password, sessions, devices, the second "
                "factor, the profile, hours and time off are deleted. A record that visits took place is kept, without "
                "the doctor's name, and so is the audit trail with the reasons that administrators gave."
            ),
            Role.STAFF: N_(
                "This cannot be undone. The name, the email address, the password, sessions, devices and the second "
                "factor are deleted. What this person did at the desk is kept, without the name, and so is the audit "
                "trail with the reasons that administrators gave."
            ),
            Role.ADMIN: _ERASE_ADMIN,
        },
        N_("The account has been deleted."),
        is_destructive=True,
    ),
    "break-glass": AccountDecision(
        N_("Show the visits"),
        N_(
            "Administrators may view a patient's visits only in an emergency. Your access and your reason are recorded "
            "in the audit trail, and the patient can read them."
        ),
        N_("You can view these visits for ten minutes. Your access is recorded in the audit trail."),
        is_destructive=True,
        once=False,
    ),
}


@router.get("/office/users")
async def list_users(page: AccountsPage, transaction: DbTransaction, trail: Audit) -> Response:
    """List accounts, newest first. Without filters, doctors and profile changes that wait for a decision come first."""
    form = Form(dict(page.request.query_params))
    choices: Mapping[str, Any] = {"roles": ROLES, "statuses": STATUSES}
    try:
        query = form.read(wire.AccountsQuery)
        limit = min(query.limit, _MAX_LISTED)
        found = await accounts.page_accounts(
            transaction,
            q=query.q,
            email=query.email,
            role=query.role,
            status=query.status,
            after=read_cursor(query.cursor, _KEY),
            limit=limit + 1,
        )
    except DomainError as error:
        raise refuse(
            page,
            "admin/accounts.html",
            form,
            error,
            **choices,
            found=[],
            waiting=[],
            changes=[],
            all_waiting=None,
            more=None,
        ) from error
    waiting = [] if form.values else await _list_waiting(transaction)
    changes = [] if form.values else await page_waiting(transaction, after=None, limit=_MAX_WAITING)
    listed = found[:limit]
    for account in {each.id: each for each in (*waiting[:_MAX_WAITING], *listed)}.values():
        trail.about_account(account)
    more = None
    if len(found) > limit:
        more = f"/office/users?{urlencode({**form.values, 'cursor': write_cursor(listed[-1].id, _KEY)})}"
    return page.render(
        "admin/accounts.html",
        form=form,
        **choices,
        found=listed,
        waiting=waiting[:_MAX_WAITING],
        changes=changes,
        all_waiting=_ALL_WAITING if len(waiting) > _MAX_WAITING else None,
        more=more,
    )


async def _list_waiting(transaction: DbTransaction) -> list[AccountRecord]:
    waiting = await accounts.page_accounts(
        transaction,
        q=None,
        email=None,
        role=Role.DOCTOR,
        status=AccountStatus.UNAPPROVED,
        after=None,
        limit=_MAX_WAITING + 1,
    )
    return list(waiting)


@router.get("/office/users/{user_id:uuid}")
async def get_account(
    page: AccountsPage,
    user_id: UUID,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    decision: DecisionName | None = None,
) -> Response:
    """Show an account; with ``decision``, show the page that confirms this decision."""
    account = trail.about_account(await accounts.get_account(transaction, user_id))
    if decision:
        described = await _describe_decision(transaction, account, decision, now)
        form = restore(page).renew(account.reviewed_content)
        return page.render("admin/decision.html", **described, form=form)
    return page.render(
        "admin/account.html",
        account=account,
        upcoming=await _count_upcoming(transaction, account, now) if account.status is AccountStatus.SUSPENDED else 0,
        review=await get_profile_review(transaction, user_id) if account.role is Role.DOCTOR else None,
        decisions=_list_possible_decisions(page, account),
        roles=ROLES,
        statuses=STATUSES,
    )


async def _describe_decision(
    transaction: DbTransaction, account: AccountRecord, name: DecisionName, now: datetime
) -> Mapping[str, Any]:
    upcoming = await _count_upcoming(transaction, account, now) if name in {"erase", "suspend"} else 0
    choices = {"roles": ROLES, "statuses": STATUSES}
    return {"account": account, "name": name, "decision": DECISIONS[name], "upcoming": upcoming, **choices}


async def _count_upcoming(transaction: DbTransaction, account: AccountRecord, now: datetime) -> int:
    """Return the number of a doctor's upcoming visits; 0 for an account of another role."""
    return len(await list_upcoming(transaction, account.id, since=now)) if account.role is Role.DOCTOR else 0


def _list_possible_decisions(page: Page, account: AccountRecord) -> Mapping[str, AccountDecision]:
    """Return the decisions that would change something. A decision is only checked when it is made."""
    if account.status is AccountStatus.ERASED:
        return {}
    names: list[DecisionName] = []
    if account.status is AccountStatus.UNAPPROVED:
        names.append("approve")
    if account.status is AccountStatus.SUSPENDED:
        names.append("reinstate")
    else:
        names.append("end-sessions")
    if account.second_factor:
        names.append("remove-second-factor")
    if account.status is not AccountStatus.SUSPENDED and not (page.viewer and page.viewer.id == account.id):
        names.append("suspend")
    # Administrators can only be suspended (see `_ERASE_ADMIN`).
    if account.role is not Role.ADMIN:
        names.append("erase")
    return {name: DECISIONS[name] for name in names}


@asynccontextmanager
async def deciding(
    page: Page, transaction: DbTransaction, form: Form, trail: AuditRecorder, user_id: UUID, name: DecisionName
) -> AsyncIterator[AccountRecord]:
    """Yield the account. If the decision is refused, show its page again with what was typed.

    Raises ``not_found`` if the account does not exist.
    """
    account = await accounts.get_account(transaction, user_id)
    try:
        yield account
    except DomainError as error:
        # The doctor has changed the name or the specialty since the page was opened (ADR 0039).
        if error.code == "version_mismatch":
            account = await accounts.get_account(transaction, user_id)
            form = form.renew(account.reviewed_content)
        # Recorded although it is refused: the page shows the account again.
        described = await _describe_decision(transaction, trail.about_account(account), name, page.now)
        raise refuse(page, "admin/decision.html", form, error, shown_by=get_account, **described) from error


def _done(page: Page, user_id: UUID, name: DecisionName) -> Response:
    return page.redirect(f"/office/users/{user_id}#decide", page.gettext(DECISIONS[name].message))


@router.post("/office/users/{user_id:uuid}/approve")
async def approve_doctor(
    page: DecidingPage, user_id: UUID, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit, _: Once
) -> Response:
    """Approve a doctor, so that patients can find and book them."""
    settings = page.resources.settings
    async with deciding(page, transaction, form, trail, user_id, "approve"):
        why = form.read(wire.Decision).reason
        account = await administration.approve_doctor(transaction, settings, user_id, now, versions=form.versions)
        trail.about_account(account, why)
    return _done(page, user_id, "approve")


@router.post("/office/users/{user_id:uuid}/suspend")
async def suspend_user(
    page: DecidingPage, user_id: UUID, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit, _: Once
) -> Response:
    """Suspend an account: end its sessions, and refuse its log-ins."""
    async with deciding(page, transaction, form, trail, user_id, "suspend"):
        why = form.read(wire.Decision).reason
        trail.about_account(await administration.suspend_user(transaction, page.actor, user_id, now), why)
    return _done(page, user_id, "suspend")


@router.post("/office/users/{user_id:uuid}/reinstate")
async def reinstate_user(
    page: DecidingPage, user_id: UUID, form: SentForm, transaction: DbTransaction, trail: Audit, _: Once
) -> Response:
    """Lift the suspension of an account."""
    async with deciding(page, transaction, form, trail, user_id, "reinstate"):
        why = form.read(wire.Decision).reason
        trail.about_account(await administration.reinstate_user(transaction, user_id), why)
    return _done(page, user_id, "reinstate")


@router.post("/office/users/{user_id:uuid}/erase")
async def erase_user(
    page: DecidingPage, user_id: UUID, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit, _: Once
) -> Response:
    """Erase an account."""
    async with deciding(page, transaction, form, trail, user_id, "erase"):
        why = form.read(wire.Decision).reason
        account, cancelled = await administration.erase_user(transaction, page.actor, user_id, now)
        # The visits of a doctor are data of the patients, so each of these patients gets an event.
        if account.role is Role.DOCTOR:
            trail.shows(*cancelled)
        trail.about_account(account, why)
    return _done(page, user_id, "erase")


@router.post("/office/users/{user_id:uuid}/end-sessions")
async def end_sessions_of_user(
    page: DecidingPage, user_id: UUID, form: SentForm, transaction: DbTransaction, trail: Audit
) -> Response:
    """End all sessions of an account, which may be the administrator's own."""
    async with deciding(page, transaction, form, trail, user_id, "end-sessions"):
        trail.about_account(await administration.end_sessions(transaction, user_id))
    return _done(page, user_id, "end-sessions")


@router.post("/office/users/{user_id:uuid}/remove-second-factor")
async def remove_second_factor_of_user(
    page: DecidingPage,
    user_id: UUID,
    form: SentForm,
    resources: AppResources,
    transaction: DbTransaction,
    tasks: BackgroundTasks,
    trail: Audit,
) -> Response:
    """Remove the second factor of a user who has lost it, and notify the user by email."""
    async with deciding(page, transaction, form, trail, user_id, "remove-second-factor"):
        account, removed = await administration.remove_second_factor(transaction, page.actor, user_id)
        trail.about_account(account)
    if removed:
        send_after_response(tasks, resources, second_factor_removed_mail(account.email))
    return _done(page, user_id, "remove-second-factor")
