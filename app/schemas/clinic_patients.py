"""Requests and responses for the patients of a clinic."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from app.schemas.fields import (
    ANN,
    Body,
    Changes,
    Email,
    Language,
    LocalDate,
    Name,
    Note,
    Query,
    ResponseBody,
    SearchText,
    TimeZone,
    WrittenPhone,
    absent,
    example,
)
from app.schemas.patients import Patient

FileNumber = Annotated[Name, Field(max_length=40), AfterValidator(str)]
"""The number of a patient's file."""
_PHONE = "A number without a country code is one of the clinic's country."


class PatientsQuery(Query):
    """Whom to find."""

    q: SearchText = Field(
        description="Parts of the name in any order, a date of birth, the last digits of the telephone number, or the "
        "file number. At least three letters or four digits.",
        examples=["lee ann"],
    )


class ClinicPatient(ResponseBody):
    """A patient whom the clinic knows."""

    patient: Patient
    has_account: bool = Field(description="Whether the patient has an account, and edits the record themselves.")
    file_number: str | None = Field(description="The clinic's own number of the patient's file.")
    note: str | None = Field(description="For the members of the clinic only.")
    next_visit: datetime | None = Field(description="The start of the next visit to a doctor whom you may see.")
    last_visit: datetime | None = Field(description="The start of the last visit that took place.")

    model_config = example(
        patient={
            "id": ANN,
            "name": "Ann Lee",
            "birth_date": "1990-05-17",
            "phone": "+442071838750",
            "email": None,
            "locale": None,
            "time_zone": None,
            "created_at": "2026-11-30T08:00:00Z",
        },
        has_account=False,
        file_number="A-4711",
        note=None,
        next_visit="2026-12-08T15:30:00Z",
        last_visit=None,
    )


class NewPatient(Body):
    """A patient without an account."""

    name: Name
    birth_date: LocalDate | None = Field(None, examples=["1990-05-17"])
    phone: WrittenPhone | None = Field(None, description=_PHONE, examples=["020 7183 8750"])
    email: Email | None = Field(None, description="It need not be unique: a family may share an address.")
    locale: Language | None = None
    time_zone: TimeZone | None = None
    file_number: FileNumber | None = None
    note: Note | None = None
    new: bool = Field(False, description="True if the patient is none of the `candidates` of `maybe_known`.")

    model_config = example(name="Ann Lee", birth_date="1990-05-17", phone="020 7183 8750")


class ClinicPatientChanges(Changes):
    """Changes of a patient of the clinic. Fields that are left out stay as they are; null clears them."""

    name: Name = absent()
    birth_date: LocalDate | None = Field(None, examples=["1990-05-17"])
    phone: WrittenPhone | None = Field(None, description=_PHONE, examples=["020 7183 8750"])
    email: Email | None = None
    locale: Language | None = None
    time_zone: TimeZone | None = None
    file_number: FileNumber | None = None
    note: Note | None = None

    model_config = example(file_number="A-4711")
