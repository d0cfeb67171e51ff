"""Make the names of a doctor's visit types unique. If a name exists twice already, the later one gets no key."""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations.frozen import batches, look_alike_key

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

DOCTORS = sa.table("doctors", sa.column("id", sa.Uuid()))
OFFERED = sa.text("withdrawn_at IS NULL")
VISIT_TYPES = sa.table(
    "visit_types",
    sa.column("id", sa.Uuid()),
    sa.column("doctor_id", sa.Uuid()),
    sa.column("name", sa.String(100)),
    sa.column("name_key", sa.String(200)),
    sa.column("withdrawn_at"),
)


def upgrade() -> None:
    op.add_column("visit_types", sa.Column("name_key", sa.String(200), nullable=True))
    columns = VISIT_TYPES.columns
    keyed = sa.update(VISIT_TYPES).where(columns.id == sa.bindparam("of")).values(name_key=sa.bindparam("key"))
    for doctors in batches(sa.select(DOCTORS.c.id), DOCTORS.c.id):
        found = sa.select(columns.id, columns.doctor_id, columns.name, columns.withdrawn_at.is_(None))
        of_these = found.where(columns.doctor_id.in_([doctor.id for doctor in doctors])).order_by(columns.id)
        if keys := list(_keys(op.get_bind().execute(of_these))):
            op.get_bind().execute(keyed, keys)
    op.create_index(
        "visit_types_name_key",
        "visit_types",
        ["doctor_id", "name_key"],
        unique=True,
        postgresql_where=OFFERED,
        sqlite_where=OFFERED,
    )


def downgrade() -> None:
    op.drop_index("visit_types_name_key", "visit_types")
    op.drop_column("visit_types", "name_key")


def _keys(rows: Iterable[Any]) -> Iterator[dict[str, object]]:
    taken = set()
    for id_, doctor_id, name, is_offered in rows:
        key = look_alike_key(name)
        if is_offered and (doctor_id, key) in taken:
            continue
        taken |= {(doctor_id, key)} if is_offered else set()
        yield {"of": id_, "key": key}
