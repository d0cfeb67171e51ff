"""Patients of a clinic: how its members find, add and edit them."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.errors import DomainError, invalid_field
from app.core.phone_numbers import read_phone
from app.core.text import search_key
from app.core.versions import check_version
from app.db.database import Transaction
from app.repositories import clinic_patients, patients
from app.repositories.clinic_patients import ClinicPatientRecord
from app.repositories.patient_words import birth_date_word, file_number_word, phone_prefix
from app.repositories.patients import PatientRecord
from app.services.patients import check_birth_date

MAX_FOUND = 10
"""Patients in the answer to one search, so that nobody can list a clinic."""
MIN_LETTERS, MIN_DIGITS = 3, 4
_MAX_TERMS = 8
_ISO_DATE = re.compile(r"(\d{4})-(\d\d?)-(\d\d?)")
_WRITTEN_DATE = re.compile(r"(\d\d?)[./](\d\d?)[./](\d{4})")
_DIGITS = re.compile(r"\+?[\d()/.-]*\d[\d()/.-]*")


async def search_patients(
    transaction: Transaction, clinic_id: UUID, q: str, *, doctor_ids: Collection[UUID] | None, now: datetime
) -> Sequence[ClinicPatientRecord]:
    """Return at most ten patients of a clinic who match all parts of ``q``, in any order.

    A part is the beginning of a part of the name, a date of birth (``1990-05-17``, ``17.05.1990``, ``17/05/1990``, or
    with the month first), the last digits of the telephone number, at least four, or the beginning of the file number.
    ``doctor_ids`` are the doctors whose visits the caller may see; ``None``: all of the clinic. Raises
    ``invalid_request`` for a search with fewer than three letters and four digits.
    """
    terms = read_terms(q)
    return await clinic_patients.search_patients(
        transaction, clinic_id, terms, doctor_ids=doctor_ids, now=now, limit=MAX_FOUND
    )


def read_terms(q: str) -> list[list[str]]:
    """Return the parts of a search: for each part, the prefixes of the words with which it matches.

    Raises ``invalid_request`` if the search is too short.
    """
    terms: list[list[str]] = []
    digits = ""
    is_enough = False
    for part in q.split()[:_MAX_TERMS]:
        if days := _read_days(part):
            terms.append([birth_date_word(day) for day in days])
            is_enough = True
        elif _DIGITS.fullmatch(part):
            # A telephone number may be written in groups.
            digits += "".join(filter(str.isdecimal, part))
        elif words := search_key(part).split():
            terms += [[word, file_number_word(part)] for word in words]
            has_digits = sum(map(str.isdecimal, part)) >= MIN_DIGITS
            is_enough = is_enough or has_digits or any(sum(map(str.isalnum, word)) >= MIN_LETTERS for word in words)
    if digits:
        terms.append([phone_prefix(digits), file_number_word(digits)])
        is_enough = is_enough or len(digits) >= MIN_DIGITS
    if not is_enough:
        raise invalid_field("q", "search_too_short")
    return terms


def _read_days(part: str) -> list[date]:
    if written := _ISO_DATE.fullmatch(part):
        year, month, day = map(int, written.groups())
        orders = [(year, month, day)]
    elif written := _WRITTEN_DATE.fullmatch(part):
        first, second, year = map(int, written.groups())
        orders = [(year, second, first), (year, first, second)]
    else:
        return []
    days = []
    for order in dict.fromkeys(orders):
        try:
            days.append(date(*order))
        except ValueError:
            continue
    return days


async def add_patient(
    transaction: Transaction,
    clinic_id: UUID,
    country: str,
    fields: Mapping[str, Any],
    *,
    is_new: bool,
    by: UUID,
    now: datetime,
) -> ClinicPatientRecord:
    """Create the record of a patient without an account, whom the clinic knows from now on.

    ``fields`` are those of a ``ClinicPatientRecord`` and its ``patient``. A telephone number without a country code is
    one of ``country``. Raises ``maybe_known`` with the candidates, unless ``is_new``, if the clinic knows a patient who
    may be the same person; ``file_number_taken``; and ``invalid_request``.
    """
    own, record = _read_fields(fields, country, now)
    if not is_new:
        alike = await clinic_patients.find_alike(
            transaction,
            clinic_id,
            name=record["name"],
            birth_date=record.get("birth_date"),
            phone=record.get("phone"),
            limit=MAX_FOUND,
        )
        if alike:
            raise DomainError("maybe_known", candidates=tuple(map(_candidate, alike)))
    patient = PatientRecord(uuid7(), None, created_at=now, **record)
    await patients.insert_patient(transaction, patient)
    await clinic_patients.insert_clinic_patient(
        transaction,
        clinic_id,
        patient.id,
        file_number=own.get("file_number"),
        note=own.get("note"),
        by=by,
        now=now,
    )
    return await clinic_patients.get_clinic_patient(transaction, clinic_id, patient.id, doctor_ids=None, now=now)


async def change_patient(
    transaction: Transaction,
    clinic_id: UUID,
    country: str,
    patient_id: UUID,
    changes: Mapping[str, Any],
    *,
    doctor_ids: Collection[UUID] | None,
    versions: frozenset[str] | None,
    now: datetime,
) -> ClinicPatientRecord:
    """Change the record of a patient of a clinic.

    The contact data of a patient with an account can be changed by the patient only. Raises ``not_found``,
    ``has_account``, ``file_number_taken``, ``version_mismatch`` and ``invalid_request``.
    """
    own, record = _read_fields(changes, country, now)
    await patients.lock_patient(transaction, patient_id)
    seen = await clinic_patients.get_clinic_patient(transaction, clinic_id, patient_id, doctor_ids=doctor_ids, now=now)
    check_version(seen.content, versions)
    if record and seen.patient.user_id:
        raise DomainError("has_account")
    await patients.update_patient(transaction, patient_id, record)
    await clinic_patients.update_clinic_patient(transaction, clinic_id, patient_id, own)
    return await clinic_patients.get_clinic_patient(transaction, clinic_id, patient_id, doctor_ids=doctor_ids, now=now)


def _read_fields(fields: Mapping[str, Any], country: str, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of the clinic and those of the patient's record, which are checked."""
    own = {name: value for name, value in fields.items() if name in {"file_number", "note"}}
    record = {name: value for name, value in fields.items() if name not in own}
    if record.get("birth_date"):
        check_birth_date(record["birth_date"], now)
    if record.get("phone"):
        record["phone"] = read_phone(record["phone"], country)
        if record["phone"] is None:
            raise invalid_field("phone", "phone_format")
    return own, record


def _candidate(patient: PatientRecord) -> dict[str, str | None]:
    return {
        "id": str(patient.id),
        "name": patient.name,
        "birth_date": patient.birth_date.isoformat() if patient.birth_date else None,
        "phone": patient.phone,
    }
