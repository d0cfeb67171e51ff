"""The navigation and the home page of each role."""

from collections.abc import Mapping

from app.core.permissions import Role
from app.web.kit.languages import N_

HOME: Mapping[Role, str] = {
    Role.PATIENT: "/my/appointments",
    Role.DOCTOR: "/practice/day",
    Role.STAFF: "/clinic",
    Role.ADMIN: "/office/users",
}
"""The page that each role sees first after signing in."""

_FIND, _ACCOUNT = ("/", N_("Find a doctor")), ("/my/account", N_("Account"))
NAVIGATION: Mapping[Role | None, tuple[tuple[str, str], ...]] = {
    None: (_FIND,),
    Role.PATIENT: (_FIND, ("/my/appointments", N_("My appointments")), _ACCOUNT),
    Role.DOCTOR: (
        ("/practice/day", N_("Day")),
        ("/practice/week", N_("Week")),
        ("/practice/hours", N_("Hours")),
        ("/practice/profile", N_("Practice")),
        _ACCOUNT,
    ),
    Role.STAFF: (("/clinic", N_("Clinics")), _FIND, _ACCOUNT),
    Role.ADMIN: (
        ("/office/users", N_("Accounts")),
        ("/office/clinics", N_("Clinics")),
        ("/office/trail", N_("Audit trail")),
        _FIND,
        _ACCOUNT,
    ),
}
"""The links at the top of each page, by role; ``None`` is for visitors who are not signed in."""
