"""Records of patients."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from app.core.errors import invalid_field
from app.core.permissions import Actor
from app.core.versions import check_version
from app.db.database import Transaction
from app.repositories import patients, users
from app.repositories.patients import PatientRecord

_MAX_OFFSET = timedelta(hours=14)
"""In the zone with the greatest offset, the day begins this long before it does in UTC."""


async def change_own_record(
    transaction: Transaction,
    actor: Actor,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    versions: frozenset[str] | None = None,
) -> PatientRecord:
    """Change the record of the actor, who is a patient; ``changes`` are fields of a ``PatientRecord``.

    The name is also changed in the account. Raises ``version_mismatch`` if ``versions`` (see ``core.versions``) does
    not contain that of the record, and ``invalid_request`` for a birth date in the future.
    """
    if changes.get("birth_date"):
        check_birth_date(changes["birth_date"], now)
    # The account before the record, as a change of the name does. In another order, two changes could deadlock.
    await users.lock_user(transaction, actor.id)
    check_version((await patients.get_patient(transaction, actor.id)).content, versions)
    others = dict(changes)
    if "name" in others:
        await users.update_name(transaction, actor.id, others.pop("name"))
    await patients.update_patient(transaction, actor.id, others)
    return await patients.get_patient(transaction, actor.id)


def check_birth_date(day: date, now: datetime) -> None:
    """Raise ``invalid_request`` for a birth date that is in the future everywhere."""
    if day > (now + _MAX_OFFSET).date():
        raise invalid_field("birth_date", "in_the_future")
