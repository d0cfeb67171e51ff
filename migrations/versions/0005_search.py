"""Create the search index: offers with a lower bound of their next slot, and the languages of doctors."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime
from migrations.frozen import batches, search_key

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
OFFERS = sa.table(
    "offers",
    sa.column("id", sa.Uuid()),
    sa.column("doctor_id", sa.Uuid()),
    sa.column("visit_type_id", sa.Uuid()),
    sa.column("specialty_key"),
    sa.column("visit_key"),
    sa.column("mode"),
    sa.column("minutes"),
    sa.column("place"),
    sa.column("not_before", UtcDateTime()),
    sa.column("turn"),
    sa.column("known_until", UtcDateTime()),
    sa.column("revision", sa.Uuid()),
)
LANGUAGES = sa.table("doctor_languages", sa.column("language"), sa.column("doctor_id", sa.Uuid()))


def upgrade() -> None:
    op.create_table(
        "offers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("doctor_id", sa.Uuid(), nullable=False),
        sa.Column("visit_type_id", sa.Uuid(), nullable=True),
        sa.Column("specialty_key", sa.String(200), nullable=True),
        sa.Column("visit_key", sa.String(200), nullable=True),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("known_until", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["doctor_id"], ["doctors.id"], name="offers_doctor_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["visit_type_id"], ["visit_types.id"], name="offers_visit_type_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="offers_pkey"),
    )
    op.create_table(
        "doctor_languages",
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("doctor_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["doctor_id"], ["doctors.id"], name="doctor_languages_doctor_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("language", "doctor_id", name="doctor_languages_pkey"),
    )
    fill()
    for walk in (["not_before", "turn", "id"], ["place", "id"]):
        for found_by in ([], ["specialty_key"], ["visit_key"]):
            columns = [*found_by, *walk]
            op.create_index(f"offers_{'_'.join(columns)}_idx", "offers", columns)
    for column in ("doctor_id", "known_until"):
        op.create_index(f"offers_{column}_idx", "offers", [column])
    op.create_index("doctor_languages_doctor_id_idx", "doctor_languages", ["doctor_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.create_index(
            "doctors_name_key_trgm_idx",
            "doctors",
            ["name_key"],
            postgresql_using="gin",
            postgresql_ops={"name_key": "gin_trgm_ops"},
        )


def fill() -> None:
    """Insert the offers and languages of the existing doctors. Their bounds are unknown, so they are computed later."""
    connection = op.get_bind()
    doctors = sa.table(
        "doctors",
        sa.column("id", sa.Uuid()),
        sa.column("specialty_key"),
        sa.column("languages", sa.JSON()),
        sa.column("default_visit_minutes"),
    )
    visit_types = sa.table(
        "visit_types",
        sa.column("id", sa.Uuid()),
        sa.column("doctor_id", sa.Uuid()),
        sa.column("name"),
        sa.column("mode"),
        sa.column("duration_minutes"),
        sa.column("withdrawn_at"),
    )
    offered = sa.and_(visit_types.c.doctor_id == doctors.c.id, visit_types.c.withdrawn_at.is_(None))
    kinds = sa.select(doctors, visit_types).outerjoin(visit_types, offered)
    for rows in batches(sa.select(doctors.c.id, doctors.c.languages), doctors.c.id):
        of_these = kinds.where(doctors.c.id.in_([row.id for row in rows]))
        connection.execute(sa.insert(OFFERS), [offer(row) for row in connection.execute(of_these)])
        if languages := list(spoken(rows)):
            connection.execute(sa.insert(LANGUAGES), languages)


def offer(row: Any) -> dict[str, Any]:
    doctor_id, specialty_key, _, usual_minutes, visit_type_id, _, name, mode, minutes, _ = row
    return {
        "id": visit_type_id or doctor_id,
        "doctor_id": doctor_id,
        "visit_type_id": visit_type_id,
        "specialty_key": specialty_key,
        "visit_key": name and search_key(name),
        "mode": mode or "in_person",
        "minutes": minutes or usual_minutes,
        "place": place_of(visit_type_id or doctor_id),
        "not_before": LONG_AGO,
        "turn": 0,
        "known_until": LONG_AGO,
        "revision": visit_type_id or doctor_id,
    }


def place_of(id_: UUID) -> int:
    return int.from_bytes(blake2b(id_.bytes, digest_size=8).digest()) % (2**31 - 1)


def spoken(rows: Any) -> Iterator[dict[str, Any]]:
    for doctor_id, tags in rows:
        for language in sorted({each for tag in tags for each in varieties(tag)}):
            yield {"language": language, "doctor_id": doctor_id}


def varieties(tag: str) -> Iterator[str]:
    subtags = tag.casefold().split("-")
    for length in range(1, len(subtags) + 1):
        yield "-".join(subtags[:length])


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # Keep the extension, like btree_gist, because other applications may use it.
        op.drop_index("doctors_name_key_trgm_idx", "doctors")
    op.drop_table("doctor_languages")
    op.drop_table("offers")
