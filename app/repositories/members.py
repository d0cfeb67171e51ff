"""The members of clinics, their roles and their scopes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, exists, insert, select, update
from uuid_utils.compat import uuid7

from app.core.clinic_permissions import MemberRole
from app.core.errors import DomainError
from app.db.database import Transaction
from app.db.records import read_record
from app.models import Clinic, Member, MemberScope, User


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """A role of a member, with its first and its last day in the time zone of the clinic."""

    role: MemberRole
    valid_from: date | None = None
    valid_until: date | None = None

    def is_valid(self, day: date) -> bool:
        """Return whether the role is valid on a day."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A member of a clinic, with the roles that have not been ended."""

    user_id: UUID
    name: str
    email: str
    roles: tuple[RoleRecord, ...]
    """In the order of ``MemberRole``."""
    doctors: tuple[UUID, ...]
    """The doctors to whom the member is restricted; none: the whole clinic."""

    @property
    def content(self) -> Mapping[str, Any]:
        """The fields that can be changed, of which the version is made."""
        return {"roles": self.roles, "doctors": self.doctors}


_ORDER = {role: number for number, role in enumerate(MemberRole)}


def _sort(roles: Iterable[RoleRecord]) -> list[RoleRecord]:
    return sorted(roles, key=lambda each: _ORDER[each.role])


_ACTIVE = and_(Member.ended_at.is_(None), User.erased_at.is_(None))


async def page_members(
    transaction: Transaction, clinic_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[MemberRecord]:
    """Return a page of the members of a clinic, by the ids of their accounts."""
    has_role = exists().where(Member.clinic_id == clinic_id, Member.user_id == User.id, Member.ended_at.is_(None))
    found = select(User.id).where(has_role, User.erased_at.is_(None))
    if after is not None:
        found = found.where(User.id > after)
    ids = list(await transaction.scalars(found.order_by(User.id).limit(limit)))
    return await _read_members(transaction, clinic_id, ids)


async def get_member(transaction: Transaction, clinic_id: UUID, user_id: UUID) -> MemberRecord:
    """Return a member of a clinic. Raises ``not_found``."""
    found = await _read_members(transaction, clinic_id, [user_id])
    if not found:
        raise DomainError("not_found")
    return found[0]


async def _read_members(transaction: Transaction, clinic_id: UUID, ids: Collection[UUID]) -> list[MemberRecord]:
    """Return those of the accounts that are members, in order of their ids."""
    rows = await transaction.execute(
        select(User.id, User.name, User.email, Member.role, Member.valid_from, Member.valid_until)
        .join(Member, Member.user_id == User.id)
        .where(Member.clinic_id == clinic_id, User.id.in_(ids), _ACTIVE)
    )
    people: dict[UUID, tuple[str, str]] = {}
    roles: dict[UUID, list[RoleRecord]] = {}
    for row in rows:
        people[row.id] = row.name, row.email
        roles.setdefault(row.id, []).append(RoleRecord(row.role, row.valid_from, row.valid_until))
    scopes = await transaction.execute(
        select(MemberScope.user_id, MemberScope.doctor_id)
        .where(MemberScope.clinic_id == clinic_id, MemberScope.user_id.in_(ids))
        .order_by(MemberScope.doctor_id)
    )
    doctors: dict[UUID, list[UUID]] = {}
    for scope in scopes:
        doctors.setdefault(scope.user_id, []).append(scope.doctor_id)
    return [
        MemberRecord(
            user_id,
            *people[user_id],
            tuple(_sort(roles[user_id])),
            tuple(doctors.get(user_id, ())),
        )
        for user_id in sorted(people)
    ]


@dataclass(frozen=True, slots=True)
class HeldRoleRecord:
    """A role that a person has, or had, in a clinic."""

    clinic_id: UUID
    clinic: str
    role: MemberRole
    valid_from: date | None
    valid_until: date | None
    created_at: datetime
    ended_at: datetime | None


async def list_memberships(transaction: Transaction, user_id: UUID) -> Sequence[HeldRoleRecord]:
    """Return all roles of a person in clinics, including those that have been ended."""
    rows = await transaction.execute(
        select(
            Member.clinic_id,
            Clinic.name.label("clinic"),
            Member.role,
            Member.valid_from,
            Member.valid_until,
            Member.created_at,
            Member.ended_at,
        )
        .join(Clinic, Clinic.id == Member.clinic_id)
        .where(Member.user_id == user_id)
        .order_by(Member.clinic_id, Member.role)
    )
    return [read_record(HeldRoleRecord, row) for row in rows]


async def list_roles_of(transaction: Transaction, user_id: UUID) -> dict[UUID, list[RoleRecord]]:
    """Return the roles of a person that have not been ended, by the clinics that are not closed.

    They are in the order of ``MemberRole``.
    """
    rows = await transaction.execute(
        select(Member.clinic_id, Member.role, Member.valid_from, Member.valid_until)
        .join(Clinic, Clinic.id == Member.clinic_id)
        .where(Member.user_id == user_id, Member.ended_at.is_(None), Clinic.closed_at.is_(None))
    )
    found: dict[UUID, list[RoleRecord]] = {}
    for row in rows:
        found.setdefault(row.clinic_id, []).append(RoleRecord(row.role, row.valid_from, row.valid_until))
    return {clinic_id: _sort(roles) for clinic_id, roles in found.items()}


async def save_role(
    transaction: Transaction,
    clinic_id: UUID,
    user_id: UUID,
    role: RoleRecord,
    *,
    now: datetime,
    created_by: UUID | None,
) -> None:
    """Give a role to a person, or set the days of one that they have. A role that was ended begins again."""
    this = Member.clinic_id == clinic_id, Member.user_id == user_id, Member.role == role.role
    days = {"valid_from": role.valid_from, "valid_until": role.valid_until}
    changed = update(Member).where(*this, Member.ended_at.is_(None)).values(days).returning(Member.user_id)
    if await transaction.scalar(changed) is not None:
        return
    given = {"created_at": now, "created_by": created_by, "ended_at": None}
    begun = update(Member).where(*this).values(days | given).returning(Member.user_id)
    if await transaction.scalar(begun) is None:
        await transaction.execute(
            insert(Member).values(clinic_id=clinic_id, user_id=user_id, role=role.role, **days, **given)
        )


async def end_roles(
    transaction: Transaction, clinic_id: UUID, user_id: UUID, now: datetime, *, keep: Iterable[MemberRole] = ()
) -> None:
    """End the roles of a person in a clinic, except for those to keep."""
    ended = update(Member).where(
        Member.clinic_id == clinic_id,
        Member.user_id == user_id,
        Member.ended_at.is_(None),
        Member.role.not_in(list(keep)),
    )
    await transaction.execute(ended.values(ended_at=now))


async def replace_scope(
    transaction: Transaction, clinic_id: UUID, user_id: UUID, doctor_ids: Iterable[UUID], now: datetime
) -> None:
    """Restrict a member to these doctors; none: the whole clinic."""
    await transaction.execute(
        delete(MemberScope).where(MemberScope.clinic_id == clinic_id, MemberScope.user_id == user_id)
    )
    rows = [
        {"id": uuid7(), "clinic_id": clinic_id, "user_id": user_id, "doctor_id": doctor_id, "created_at": now}
        for doctor_id in doctor_ids
    ]
    if rows:
        await transaction.execute(insert(MemberScope).values(rows))


async def list_managers(transaction: Transaction, *clinic_ids: UUID) -> dict[UUID, list[RoleRecord]]:
    """Return the roles of the managers of clinics whose accounts can log in, including those not valid today."""
    rows = await transaction.execute(
        select(Member.clinic_id, Member.role, Member.valid_from, Member.valid_until)
        .join(User, User.id == Member.user_id)
        .where(
            Member.clinic_id.in_(clinic_ids), Member.role == MemberRole.MANAGER, _ACTIVE, User.suspended_at.is_(None)
        )
    )
    found: dict[UUID, list[RoleRecord]] = {clinic_id: [] for clinic_id in clinic_ids}
    for row in rows:
        found[row.clinic_id].append(RoleRecord(row.role, row.valid_from, row.valid_until))
    return found


async def has_members(transaction: Transaction, clinic_id: UUID) -> bool:
    """Return whether somebody has a role in the clinic that has not been ended."""
    found = select(Member.user_id).join(User, User.id == Member.user_id).where(Member.clinic_id == clinic_id, _ACTIVE)
    return await transaction.scalar(found.limit(1)) is not None
