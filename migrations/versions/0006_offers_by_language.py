"""Store each offer once per language of its doctor, so that searches by language can use an index."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = (
    "id, doctor_id, visit_type_id, specialty_key, visit_key, mode, minutes, place, not_before, turn, known_until, "
    "revision"
)
INDEXES = [
    ["not_before", "turn", "id"],
    ["specialty_key", "not_before", "turn", "id"],
    ["visit_key", "not_before", "turn", "id"],
    ["place", "id"],
    ["specialty_key", "place", "id"],
    ["visit_key", "place", "id"],
    ["known_until"],
]


def upgrade() -> None:
    rebuild(
        [sa.Column("language", sa.String(35), nullable=False)],
        f"INSERT INTO offers ({COLUMNS}, language) "
        f"SELECT {COLUMNS}, '' FROM earlier_offers "
        f"UNION ALL SELECT {COLUMNS}, language FROM earlier_offers JOIN doctor_languages USING (doctor_id)",
        [["language", *columns] for columns in INDEXES],
    )


def downgrade() -> None:
    rebuild(
        [],
        f"INSERT INTO offers ({COLUMNS}) SELECT {COLUMNS} FROM earlier_offers WHERE language = ''",
        INDEXES,
    )


def rebuild(added: Sequence[sa.Column[str]], fill: str, indexes: Sequence[Sequence[str]]) -> None:
    """Rebuild the table with other columns in its key, and keep its rows."""
    op.execute("CREATE TABLE earlier_offers AS SELECT * FROM offers")
    op.drop_table("offers")
    op.create_table(
        "offers",
        sa.Column("id", sa.Uuid(), nullable=False),
        *added,
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
        sa.PrimaryKeyConstraint("id", *(column.name for column in added), name="offers_pkey"),
    )
    op.execute(fill)
    op.drop_table("earlier_offers")
    for columns in (*indexes, ["doctor_id"]):
        op.create_index(f"offers_{'_'.join(columns)}_idx", "offers", list(columns))
