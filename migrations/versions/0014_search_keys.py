"""Rebuild the search keys of names, specialties and visit types."""

import unicodedata
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

from migrations.frozen import batches, search_key

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

USERS = sa.table("users", sa.column("id", sa.Uuid()), sa.column("name"))
DOCTORS = sa.table(
    "doctors", sa.column("id", sa.Uuid()), sa.column("specialty"), sa.column("name_key"), sa.column("specialty_key")
)
VISIT_TYPES = sa.table("visit_types", sa.column("id", sa.Uuid()), sa.column("name"))
OFFERS = sa.table(
    "offers",
    sa.column("id", sa.Uuid()),
    sa.column("doctor_id", sa.Uuid()),
    sa.column("specialty_key"),
    sa.column("visit_key"),
)


def old_key(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).casefold().split())[:200]


def upgrade() -> None:
    rebuild(search_key)


def downgrade() -> None:
    rebuild(old_key)


def rebuild(key: Callable[[str], str]) -> None:
    """Rebuild the keys in batches, so that the memory needed does not grow with the number of rows."""
    connection = op.get_bind()
    doctors = sa.select(DOCTORS.c.id, USERS.c.name, DOCTORS.c.specialty).join(USERS, USERS.c.id == DOCTORS.c.id)
    for rows in batches(doctors, DOCTORS.c.id):
        values = [
            {"row": doctor_id, "new_name": key(name), "new_specialty": specialty and key(specialty)}
            for doctor_id, name, specialty in rows
        ]
        connection.execute(
            sa.update(DOCTORS)
            .where(DOCTORS.c.id == sa.bindparam("row"))
            .values(name_key=sa.bindparam("new_name"), specialty_key=sa.bindparam("new_specialty")),
            values,
        )
        connection.execute(
            sa.update(OFFERS)
            .where(OFFERS.c.doctor_id == sa.bindparam("row"))
            .values(specialty_key=sa.bindparam("new_specialty")),
            [{"row": each["row"], "new_specialty": each["new_specialty"]} for each in values],
        )
    for rows in batches(sa.select(VISIT_TYPES.c.id, VISIT_TYPES.c.name), VISIT_TYPES.c.id):
        # The offer of a visit type has the same id.
        connection.execute(
            sa.update(OFFERS).where(OFFERS.c.id == sa.bindparam("row")).values(visit_key=sa.bindparam("new_visit")),
            [{"row": visit_type_id, "new_visit": key(name)} for visit_type_id, name in rows],
        )
