"""The table of permissions says what somebody may do. Roles are compared only to tell kinds of accounts apart."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.clinic_permissions import CLINIC_PERMISSIONS, ClinicPermission, MemberRole
from app.core.permissions import PERMISSIONS, Permission, Role, may

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"

KINDS_OF_ACCOUNTS = {
    "the tables themselves": {
        "core/clinic_permissions.py: permission in CLINIC_PERMISSIONS[role]",
        "core/permissions.py: permission in PERMISSIONS[role]",
    },
    "roles that are left out of a change": {"services/members.py: roles is not None"},
    "which accounts need a second factor": {"core/dependencies.py: caller.role in required"},
    "whose data an event of the audit trail is about": {
        "http/audit.py: account.role is Role.PATIENT",
        "http/audit.py: self._template.actor_role is Role.PATIENT",
    },
    "which accounts are listed, and which of them wait for approval": {
        "repositories/accounts.py: User.role == Role.DOCTOR",
        "repositories/accounts.py: User.role == role",
        "repositories/accounts.py: role is not None",
        "repositories/accounts.py: self.role is Role.DOCTOR",
    },
    "only doctors have a profile and a calendar": {
        "routers/admin.py: account.role is Role.DOCTOR",
        "schemas/accounts.py: self.role != 'doctor'",
        "services/accounts.py: actor.role is Role.DOCTOR",
        "services/accounts.py: actor.role is not Role.DOCTOR",
        "services/accounts.py: user.role is Role.DOCTOR",
        "services/email_change.py: actor.role is Role.DOCTOR",
        "services/confirmation.py: actor.role is Role.DOCTOR",
        "services/privacy.py: account.role is Role.DOCTOR",
        "services/privacy.py: role is Role.DOCTOR",
        "services/profile_review.py: user.role is not Role.DOCTOR",
        "services/suspended_doctors.py: account.role is not Role.DOCTOR",
        "web/admin/accounts.py: account.role is Role.DOCTOR",
    },
    "only patients have visits of their own": {
        "services/accounts.py: user.role is Role.PATIENT",
        "services/administration.py: account.role is not Role.PATIENT",
        "services/privacy.py: account.role is Role.PATIENT",
    },
    "accounts of administrators are never erased": {
        "services/privacy.py: role is Role.ADMIN",
        "web/admin/accounts.py: account.role is not Role.ADMIN",
    },
    "the trail shows the names of all accounts but those of patients": {
        "web/admin/audit_trail.py: role is not Role.PATIENT"
    },
    "the visitor has joined as a doctor already": {"web/account/invitation.py: page.viewer.role is Role.DOCTOR"},
    "the account of an invited doctor needs a profile": {
        "services/invitations.py: invitation.role is Role.DOCTOR",
        "web/account/invitation.py: invitation.role is Role.DOCTOR",
    },
    "only doctors join and leave a clinic with a calendar": {
        "services/clinics.py: role is MemberRole.DOCTOR",
        "services/invitations.py: invitation.member_role is MemberRole.DOCTOR",
        "services/members.py: role.role is MemberRole.DOCTOR",
        "web/clinic/member.py: role is not MemberRole.DOCTOR",
        "web/clinic/member.py: role in had",
    },
    "a clinic keeps a manager, whose invitations end with the role": {
        "repositories/members.py: Member.role == MemberRole.MANAGER",
    },
    "a role that is saved": {"repositories/members.py: Member.role == role.role"},
}
"""The comparisons of roles that remain, by the reason."""

IN_TEMPLATES = {
    'account/data.html: role == "admin"',
    'account/data.html: role == "patient"',
    'account/data.html: role == "staff"',
    'admin/account.html: role.value == "patient"',
}
"""Texts and links about one kind of account."""


def find_comparisons(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(map(_names_a_role, (node.left, *node.comparators))):
            yield ast.unparse(node)
        elif isinstance(node, ast.Match) and (
            _names_a_role(node.subject) or any(_names_a_role(case.pattern) for case in node.cases)
        ):
            yield f"match {ast.unparse(node.subject)}"


def _names_a_role(node: ast.AST) -> bool:
    names = (
        each.attr if isinstance(each, ast.Attribute) else each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute | ast.Name)
    )
    return any(re.search(r"(^|_)roles?$", name, re.IGNORECASE) for name in names)


@pytest.mark.parametrize(
    "comparison",
    [
        "actor.role is Role.PATIENT",
        "Role.DOCTOR == actor.role",
        "actor.role != 'doctor'",
        "page.viewer.role in (Role.DOCTOR, Role.ADMIN)",
        "kind not in {Role.ADMIN}",
        "actor_role is None",
    ],
)
def test_comparison_of_a_role_is_found(comparison: str) -> None:
    assert list(find_comparisons(f"if {comparison}: pass")) == [comparison]


def test_match_of_a_role_is_found() -> None:
    assert list(find_comparisons("match actor.role:\n case _: pass")) == ["match actor.role"]
    assert list(find_comparisons("match kind:\n case Role.ADMIN: pass")) == ["match kind"]


def test_question_for_a_permission_is_not_a_comparison_of_a_role() -> None:
    assert not list(find_comparisons("if actor.may(Permission.BOOK_ONLINE) and visit.status is BOOKED: pass"))


def test_roles_are_compared_only_to_tell_kinds_of_accounts_apart() -> None:
    found = {
        f"{path.relative_to(APP)}: {comparison}"
        for path in APP.rglob("*.py")
        for comparison in find_comparisons(path.read_text())
    }
    assert found == set.union(*KINDS_OF_ACCOUNTS.values())


def test_templates_compare_roles_only_for_texts() -> None:
    found = {
        f"{path.relative_to(APP / 'web/templates')}: {comparison}"
        for path in (APP / "web/templates").rglob("*.html")
        for comparison in re.findall(r"\brole(?:\.value)? (?:==|!=|in|is|not in) [^ %}]+", path.read_text())
    }
    assert found == IN_TEMPLATES


def test_every_permission_is_asked_for_and_somebody_has_it() -> None:
    code = "".join(path.read_text() for path in APP.rglob("*.py") if path.name != "permissions.py")
    code += (APP / "core/permissions.py").read_text().partition("def scope_of")[2]
    assert not [each.name for each in Permission if not re.search(rf"\bPermission\.{each.name}\b", code)]
    assert frozenset().union(*PERMISSIONS.values()) == frozenset(Permission)


def test_one_of_several_roles_is_enough() -> None:
    assert may([Role.PATIENT, Role.DOCTOR], Permission.BOOK_ONLINE)
    assert may([Role.PATIENT, Role.DOCTOR], Permission.SET_OWN_HOURS)
    assert not may([Role.PATIENT, Role.DOCTOR], Permission.READ_AUDIT_TRAIL)
    assert not may([], Permission.BOOK_ONLINE)


def read_documented_table(*roles: str) -> dict[tuple[str, str], str]:
    """Return the cells of the table with these columns in docs/security.md."""
    document = (ROOT / "docs/security.md").read_text()
    _, found, table = document.partition(f"| Permission | {' | '.join(roles)} |")
    assert found
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.partition("\n\n")[0].splitlines()[2:]
    ]
    return {(row[0], role): cell for row in rows for role, cell in zip(roles, row[1:], strict=True)}


def test_documented_table_of_permissions_is_that_of_the_code() -> None:
    columns = {"patient": Role.PATIENT, "doctor": Role.DOCTOR, "staff": Role.STAFF, "administrator": Role.ADMIN}
    assert set(columns.values()) == set(Role)
    assert read_documented_table(*columns) == {
        (permission.value, column): "yes" if may([role], permission) else "–"
        for permission in Permission
        for column, role in columns.items()
    }


def test_documented_table_of_members_is_that_of_the_code() -> None:
    assert CLINIC_PERMISSIONS.keys() == set(MemberRole)
    assert read_documented_table(*MemberRole) == {
        (permission.value, role.value): CLINIC_PERMISSIONS[role].get(permission, "–")
        for permission in ClinicPermission
        for role in MemberRole
    }
