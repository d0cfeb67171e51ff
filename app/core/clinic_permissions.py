"""The roles of the members of a clinic, and who may book there."""

from enum import StrEnum


class MemberRole(StrEnum):
    """What a person is in a clinic. The role of the account (``Role``) is the same everywhere."""

    MANAGER = "manager"
    RECEPTIONIST = "receptionist"
    NURSE = "nurse"
    DOCTOR = "doctor"
    AUDITOR = "auditor"


class OnlineBooking(StrEnum):
    """Who may book online at a clinic."""

    EVERYBODY = "everybody"
    KNOWN = "known"
    """Patients whom the clinic knows already."""
    STAFF = "staff"
    """Nobody: only members of the clinic book."""
