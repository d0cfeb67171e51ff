"""Who acts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core.errors import DomainError


class Role(StrEnum):
    """What an account may do. Administrators are made on the command line alone."""

    PATIENT = "patient"
    DOCTOR = "doctor"
    ADMIN = "admin"


class AccountStatus(StrEnum):
    """What an account may do at present."""

    ACTIVE = "active"
    UNAPPROVED = "unapproved"
    """A doctor whom patients do not see yet."""
    SUSPENDED = "suspended"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Login:
    """The session that somebody acts in."""

    session_id: UUID
    at: datetime
    second_factor: bool


@dataclass(frozen=True, slots=True)
class Actor:
    """The authenticated caller of a use case."""

    id: UUID
    role: Role
    name: str
    login: Login | None = None
    """None for who does not come over HTTP."""
    email_confirmed: bool = False
    waits_for_approval: bool = False
    """Whether this is a doctor whom patients do not see yet; known on pages alone."""

    def get_login(self) -> Login:
        """The session; ``not_authenticated`` without one."""
        if self.login is None:
            raise DomainError("not_authenticated")
        return self.login
