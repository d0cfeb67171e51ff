"""Requests and responses for the records of patients."""

from datetime import date, datetime
from uuid import UUID

from pydantic import Field

from app.core.permissions import Relation
from app.schemas.fields import (
    ANN,
    Body,
    Changes,
    Language,
    LocalDate,
    Name,
    Phone,
    ResponseBody,
    TimeZone,
    absent,
    example,
)


class Patient(ResponseBody):
    """The record of a patient."""

    id: UUID
    name: str
    birth_date: date | None
    phone: str | None = Field(description="In the format E.164.")
    email: str | None = Field(description="The address of the account, if the patient has one.")
    locale: str | None = Field(description="The language in which to write to the patient, as a BCP 47 tag.")
    time_zone: str | None = Field(description="The zone in which to tell the patient times, as an IANA name.")
    created_at: datetime

    model_config = example(
        id=ANN,
        name="Ann Lee",
        birth_date="1990-05-17",
        phone="+442071838750",
        email="ann@example.com",
        locale="en-GB",
        time_zone="Europe/London",
        created_at="2026-11-30T08:00:00Z",
    )


class PatientChanges(Changes):
    """Changes of a record. Fields that are left out stay as they are; null clears them."""

    name: Name = absent()
    birth_date: LocalDate | None = Field(None, examples=["1990-05-17"])
    phone: Phone | None = None
    locale: Language | None = None
    time_zone: TimeZone | None = None

    model_config = example(phone="+44 20 7183 8750", birth_date="1990-05-17")


class NewChild(Body):
    """A child for whom you book."""

    name: Name
    birth_date: LocalDate = Field(examples=["2020-03-09"])
    relation: Relation = Field(Relation.PARENT, description="What you are to the child.")

    model_config = example(name="Mia Lee", birth_date="2020-03-09")


class Dependant(ResponseBody):
    """A patient for whom you act."""

    patient: Patient
    relation: Relation = Field(description="What you are to them.")
    may_book: bool = Field(description="Whether you may book, move and cancel visits.")
    may_see: bool = Field(description="Whether you may see their visits.")
    valid_until: date | None = Field(description="The last day of your rights, in UTC. Null if no end is known.")

    model_config = example(
        patient={
            "id": ANN,
            "name": "Mia Lee",
            "birth_date": "2020-03-09",
            "phone": None,
            "email": None,
            "locale": None,
            "time_zone": None,
            "created_at": "2026-11-30T08:00:00Z",
        },
        relation="parent",
        may_book=True,
        may_see=True,
        valid_until="2038-03-08",
    )


class DependantChanges(Changes):
    """Changes of the record of a dependant. Fields that are left out stay as they are."""

    name: Name = absent()
    birth_date: LocalDate = absent(examples=["2020-03-09"])
    phone: Phone | None = None
    locale: Language | None = None
    time_zone: TimeZone | None = None

    model_config = example(name="Mia Lee-Cohen")
