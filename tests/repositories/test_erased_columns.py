"""Every column with text is erased with its account, kept for a reason in docs/audit.md, or not personal."""

from pathlib import Path

from sqlalchemy import JSON, Enum, String

from app.models import User

DOCUMENT = Path(__file__).parents[2] / "docs/audit.md"

ERASED = {
    "appointments.cancel_reason",
    "appointments.reason",
    "availabilities.recurrence",
    "doctor_languages.language",
    "doctors.bio",
    "doctors.languages",
    "doctors.name_key",
    "doctors.specialty",
    "doctors.specialty_key",
    "email_changes.email",
    "email_changes.token_hash",
    "email_confirmations.token_hash",
    "idempotency_keys.body",
    "idempotency_keys.concerns",
    "idempotency_keys.etag",
    "idempotency_keys.key",
    "idempotency_keys.request_hash",
    "known_devices.device_hash",
    "login_sessions.client_address",
    "login_sessions.user_agent",
    "offers.language",
    "offers.specialty_key",
    "offers.visit_key",
    "password_resets.token_hash",
    "patient_words.word",
    "patients.email",
    "patients.locale",
    "patients.name",
    "patients.name_key",
    "patients.phone",
    "patients.time_zone",
    "profile_changes.name",
    "profile_changes.specialty",
    "recovery_codes.code_hash",
    "refresh_tokens.token_hash",
    "refresh_tokens.used_by",
    "second_factors.secret",
    "users.email",
    "users.email_canonical",
    "users.name",
    "users.name_key",
    "users.password_hash",
}
"""Erased with the account that they belong to. Texts of an appointment are erased with its patient."""

KEPT = {
    "clinic_patients.file_number",
    "clinic_patients.note",
    "appointments.cancel_reason",
    "appointments.reason",
    "audit_events.address",
    "audit_events.reason",
    "audit_events.request_id",
    "invitations.email",
    "invitations.email_canonical",
    "invitations.name",
    "invitations.specialty",
    "invitations.token_hash",
    "login_attempts.group_hash",
    "login_attempts.key_hash",
    "mail_counts.key_hash",
    "time_off.reason",
    "visit_types.name",
    "visit_types.name_key",
}
"""Kept when the account of one of the people concerned is erased; docs/audit.md says when and why."""

NOT_PERSONAL = {
    "appointments.agreed_time_zone",
    "audit_archives.file_sha256",
    "audit_archives.last_hash",
    "audit_archives.signature",
    "audit_events.action",
    "audit_events.hash",
    "audit_events.outcome",
    "clinics.country",
    "clinics.locale",
    "clinics.name",
    "clinics.public_name",
    "clinics.time_zone",
    "doctors.time_zone",
    "invitations.time_zone",
    "time_zone_releases.version",
}


def test_every_column_with_text_is_classified() -> None:
    columns = {
        f"{table.name}.{column.name}"
        for table in User.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, String | JSON) and not isinstance(column.type, Enum)
    }
    assert columns == ERASED | KEPT | NOT_PERSONAL
    assert not NOT_PERSONAL & (ERASED | KEPT)


def test_every_kept_column_is_documented() -> None:
    document = DOCUMENT.read_text()
    assert not [column for column in KEPT if f"`{column}`" not in document]
