"""To which calendars the roles of a member extend."""

from datetime import date
from uuid import UUID

import pytest

from app.core.clinic_permissions import ClinicActor, ClinicPermission, MemberRole, Reach, reaches_of
from app.core.permissions import Actor, Role

SELF, OTHER, THIRD = (UUID(int=number) for number in (1, 2, 3))
P = ClinicPermission


def make_member(
    *roles: MemberRole, scope: set[UUID] | None = None, allowing: frozenset[UUID] = frozenset()
) -> ClinicActor:
    actor = Actor(SELF, Role.DOCTOR, "Dr A")
    return ClinicActor(
        actor, UUID(int=9), date(2026, 12, 1), frozenset(roles), frozenset(scope) if scope else None, allowing
    )


@pytest.mark.parametrize(
    ("roles", "permission", "scope", "expected"),
    [
        ([MemberRole.MANAGER], P.SEE_CALENDARS, None, None),
        ([MemberRole.MANAGER], P.SEE_CALENDARS, {OTHER}, None),
        ([MemberRole.RECEPTIONIST], P.SEE_CALENDARS, None, None),
        ([MemberRole.RECEPTIONIST], P.SEE_CALENDARS, {OTHER}, {OTHER}),
        ([MemberRole.RECEPTIONIST], P.COMPLETE_VISITS, None, set()),
        ([MemberRole.DOCTOR], P.COMPLETE_VISITS, None, {SELF}),
        ([MemberRole.DOCTOR], P.COMPLETE_VISITS, {OTHER}, {SELF}),
        ([MemberRole.DOCTOR], P.SEE_CALENDARS, {OTHER}, {SELF, OTHER}),
        ([MemberRole.DOCTOR], P.SEE_CALENDARS, None, None),
        ([MemberRole.DOCTOR, MemberRole.NURSE], P.COMPLETE_VISITS, {OTHER}, {SELF, OTHER}),
        ([MemberRole.AUDITOR], P.SEE_CALENDARS, None, set()),
        ([], P.SEE_CALENDARS, None, set()),
    ],
)
def test_permission_extends_to_the_calendars_of_the_role(
    roles: list[MemberRole], permission: ClinicPermission, scope: set[UUID] | None, expected: set[UUID] | None
) -> None:
    member = make_member(*roles, scope=scope)
    assert member.clinic_scope(permission) == expected
    assert member.may(permission) == (expected != set())


def test_receptionist_sets_hours_only_of_doctors_who_allow_it() -> None:
    desk = MemberRole.RECEPTIONIST
    assert make_member(desk, allowing=frozenset({OTHER, THIRD})).clinic_scope(P.SET_HOURS) == frozenset({OTHER, THIRD})
    assert make_member(desk, scope={OTHER}, allowing=frozenset({THIRD})).clinic_scope(P.SET_HOURS) == frozenset()
    assert make_member(desk, scope={OTHER}, allowing=frozenset({OTHER})).clinic_scope(P.SET_HOURS) == frozenset({OTHER})


def test_several_roles_have_the_reach_of_each() -> None:
    both = [MemberRole.DOCTOR, MemberRole.NURSE]
    assert reaches_of(both, P.COMPLETE_VISITS) == {Reach.OWN, Reach.SCOPE}
    assert reaches_of([], P.COMPLETE_VISITS) == frozenset()
