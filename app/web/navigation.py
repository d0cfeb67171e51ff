"""Where the pages are, for whom."""

from collections.abc import Mapping

from app.core.permissions import Role
from app.web.languages import N_

HOME: Mapping[Role, str] = {Role.PATIENT: "/", Role.DOCTOR: "/practice/day", Role.ADMIN: "/"}
"""Where somebody begins who has signed in."""

NAVIGATION: Mapping[Role | None, tuple[tuple[str, str], ...]] = {
    None: (("/", N_("Find a doctor")),),
    Role.PATIENT: (("/", N_("Find a doctor")),),
    Role.DOCTOR: (
        ("/practice/day", N_("Day")),
        ("/practice/week", N_("Week")),
    ),
    Role.ADMIN: (("/", N_("Find a doctor")),),
}
"""The addresses at the top of each page, and what they are called."""
