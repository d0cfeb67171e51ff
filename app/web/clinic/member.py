"""The roles and the scope of a member of a clinic, for its managers."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import Response

from app.core.clinic_permissions import MemberRole
from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.http.audit import Audit
from app.repositories.clinics import get_clinic, list_doctors
from app.repositories.members import MemberRecord, RoleRecord, get_member
from app.schemas import clinics as wire
from app.services import members
from app.web.clinic.people import PEOPLE
from app.web.kit.clinic_auth import ClinicPage, FreshManagerPage, ManagerPage
from app.web.kit.drafts import restore
from app.web.kit.forms import Form, SentForm, read_by, refuse
from app.web.kit.member_roles import MEMBER_ROLES
from app.web.kit.routes import page_router

router = page_router()

MEMBER = PEOPLE + "/{user_id:uuid}"
_ROLE, _UNTIL, _SEES = "role_", "until_", "sees_"
"""The beginnings of the names of fields: a role, its last day, and a doctor of the scope."""


@router.get(MEMBER, name="get_member")
async def show_member(page: ManagerPage, user_id: UUID, transaction: DbTransaction, trail: Audit) -> Response:
    """Show the roles and the scope of a member, to be changed."""
    trail.about(user_id)
    member = await get_member(transaction, page.member.clinic_id, user_id)
    # A draft says which boxes were ticked only if there is one: a box that is not ticked is not sent.
    form = restore(page)
    if not form.values:
        form = Form(_fill_in(member))
    form = form.renew(member.content)
    return page.render("clinic/member.html", form=form, **await _content(page, transaction, member))


@router.post(MEMBER, name="change_member")
async def change(
    page: FreshManagerPage, user_id: UUID, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Change the roles and the scope of a member."""
    trail.about(user_id)
    member = await get_member(transaction, page.member.clinic_id, user_id)
    try:
        typed = read_by(wire.MemberChanges.model_validate, _read(form, member)).changes()
        await members.change_member(
            transaction,
            page.member,
            user_id,
            roles=[RoleRecord(**each) for each in typed["roles"]],
            doctors=typed["doctors"],
            now=now,
            versions=form.versions,
        )
    except DomainError as error:
        if error.code == "version_mismatch":
            form = Form(_fill_in(member)).renew(member.content)
        raise refuse(page, "clinic/member.html", form, error, **await _content(page, transaction, member)) from error
    return page.redirect(f"/clinic/{page.member.clinic_id}/people", page.gettext("The roles have been saved."))


def _fill_in(member: MemberRecord) -> dict[str, str]:
    """Return the values of the fields for what is saved."""
    values = {f"{_SEES}{doctor_id}": "yes" for doctor_id in member.doctors}
    for each in member.roles:
        values |= {f"{_ROLE}{each.role}": "yes", f"{_UNTIL}{each.role}": str(each.valid_until or "")}
    return values


def _read(form: Form, member: MemberRecord) -> Mapping[str, Any]:
    """Return what was typed, in the form of the API. The first days of roles stay as they are."""
    starts = {each.role: each.valid_from for each in member.roles}
    roles = []
    for role in MemberRole:
        if form.value(f"{_ROLE}{role}"):
            days = {"valid_from": str(starts.get(role) or ""), "valid_until": form.value(f"{_UNTIL}{role}")}
            roles.append({"role": role.value, **{name: day for name, day in days.items() if day}})
    doctors = [name.removeprefix(_SEES) for name in form.values if name.startswith(_SEES)]
    return {"roles": roles, "doctors": doctors}


async def _content(page: ClinicPage, transaction: DbTransaction, member: MemberRecord) -> Mapping[str, Any]:
    clinic = await get_clinic(transaction, page.member.clinic_id)
    had = {each.role for each in member.roles}
    doctors = list(await list_doctors(transaction, clinic.id))
    known = {doctor_id for doctor_id, _ in doctors}
    # Doctors who have left stay in the scope until it is changed: without them, it could mean the whole clinic.
    left = page.gettext("A doctor who has left")
    doctors += [(doctor_id, left) for doctor_id in member.doctors if doctor_id not in known]
    return {
        "clinic": clinic,
        "back": f"/clinic/{clinic.id}/people",
        "path": f"/clinic/{clinic.id}/people/{member.user_id}",
        "member": member,
        # Somebody becomes a doctor of the clinic only by an invitation.
        "roles": [
            (role.value, page.gettext(MEMBER_ROLES[role]))
            for role in MemberRole
            if role is not MemberRole.DOCTOR or role in had
        ],
        "doctors": doctors,
    }
