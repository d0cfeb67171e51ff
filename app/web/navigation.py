"""Where the pages are, for whom."""

from collections.abc import Mapping

from app.core.permissions import Role
from app.web.languages import N_

HOME: Mapping[Role, str] = {Role.PATIENT: "/", Role.DOCTOR: "/", Role.ADMIN: "/office/users"}
"""Where somebody begins who has signed in."""

NAVIGATION: Mapping[Role | None, tuple[tuple[str, str], ...]] = {
    None: (("/", N_("Find a doctor")),),
    Role.PATIENT: (("/", N_("Find a doctor")),),
    Role.DOCTOR: (("/", N_("Find a doctor")),),
    Role.ADMIN: (("/office/users", N_("Accounts")), ("/office/trail", N_("Audit trail")), ("/", N_("Find a doctor"))),
}
"""The addresses at the top of each page, and what they are called."""
