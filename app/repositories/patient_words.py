"""The words by which the members of a clinic find a patient.

The words of the name are folded as for all searches. Other words begin with a character that no name has: the last
digits of the telephone number, reversed, so that its end can be searched as a prefix; the date of birth; and the number
of the file. Every change of one of these calls ``index_patient``.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, or_, select

from app.core.text import search_key
from app.db.database import Transaction
from app.db.guards import insert_or_ignore
from app.models import ClinicPatient, Patient, PatientWord

MAX_PHONE_DIGITS = 8
"""More digits than these may be a country code or a trunk prefix, which people write in different ways."""
_PHONE, _BIRTH_DATE, _FILE_NUMBER = "+", "=", "#"
_END = "\U0010ffff"
"""Sorts after all characters, so a prefix and this is the end of the range of words with the prefix."""


def phone_prefix(digits: str) -> str:
    """Return the prefix of the words of all numbers that end with these digits."""
    return _PHONE + digits[-MAX_PHONE_DIGITS:][::-1]


def birth_date_word(day: date) -> str:
    """Return the word of a date of birth."""
    return f"{_BIRTH_DATE}{day}"


def file_number_word(number: str) -> str:
    """Return the word of the number of a file, without spaces and dashes."""
    return _FILE_NUMBER + search_key(number).replace(" ", "")


async def index_patient(transaction: Transaction, patient_id: UUID) -> None:
    """Write the words of a patient anew, for all clinics that know the patient."""
    rows = await transaction.execute(
        select(ClinicPatient.clinic_id, ClinicPatient.file_number, Patient.name, Patient.phone, Patient.birth_date)
        .join(Patient, Patient.id == ClinicPatient.patient_id)
        .where(ClinicPatient.patient_id == patient_id, Patient.erased_at.is_(None))
    )
    words = [
        {"clinic_id": row.clinic_id, "word": word, "patient_id": patient_id}
        for row in rows
        for word in list_words(row.name, row.phone, row.birth_date, row.file_number)
    ]
    await transaction.execute(delete(PatientWord).where(PatientWord.patient_id == patient_id))
    for word in words:
        # Another transaction may have written the same words while the DELETE waited for it.
        await insert_or_ignore(transaction, PatientWord, word)


def list_words(name: str, phone: str | None, birth_date: date | None, file_number: str | None) -> set[str]:
    """Return the words of a patient."""
    words = set(search_key(name).split())
    if phone:
        words.add(phone_prefix(phone))
    if birth_date:
        words.add(birth_date_word(birth_date))
    if file_number:
        words.add(file_number_word(file_number))
    return words


def has_words(clinic_id: UUID, terms: Iterable[Sequence[str]]) -> ColumnElement[bool]:
    """Match the patients of a clinic who have, for each term, a word that begins with one of its prefixes."""
    return and_(
        *(
            ClinicPatient.patient_id.in_(
                select(PatientWord.patient_id).where(
                    PatientWord.clinic_id == clinic_id,
                    or_(*(and_(PatientWord.word >= each, PatientWord.word < each + _END) for each in prefixes)),
                )
            )
            for prefixes in terms
        )
    )


def has_word(clinic_id: UUID, word: str) -> ColumnElement[bool]:
    """Match the patients of a clinic who have exactly this word."""
    return ClinicPatient.patient_id.in_(
        select(PatientWord.patient_id).where(PatientWord.clinic_id == clinic_id, PatientWord.word == word)
    )
