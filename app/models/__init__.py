from app.models.appointment import Appointment, AppointmentVersion
from app.models.audit import AuditArchive, AuditEvent
from app.models.clinic import Clinic, ClinicDoctor, ClinicPatient, Member, MemberScope, PatientWord
from app.models.doctor import Availability, Doctor, ProfileChange, TimeOff, VisitType
from app.models.idempotency import IdempotencyKey
from app.models.login import KnownDevice, LoginAttempt, LoginSession, RecoveryCode, RefreshToken, SecondFactor
from app.models.patient import Guardian, Patient
from app.models.search_offer import DoctorLanguage, Offer
from app.models.time_zones import TimeZoneRelease
from app.models.user import EmailChange, EmailConfirmation, Invitation, MailCount, PasswordReset, User

__all__ = [
    "Appointment",
    "AppointmentVersion",
    "AuditArchive",
    "AuditEvent",
    "Availability",
    "Clinic",
    "ClinicDoctor",
    "ClinicPatient",
    "Doctor",
    "DoctorLanguage",
    "EmailChange",
    "EmailConfirmation",
    "Guardian",
    "IdempotencyKey",
    "Invitation",
    "KnownDevice",
    "LoginAttempt",
    "LoginSession",
    "MailCount",
    "Member",
    "MemberScope",
    "Offer",
    "PasswordReset",
    "Patient",
    "PatientWord",
    "ProfileChange",
    "RecoveryCode",
    "RefreshToken",
    "SecondFactor",
    "TimeOff",
    "TimeZoneRelease",
    "User",
    "VisitType",
]
