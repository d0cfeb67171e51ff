"""Rename two columns of the search index, and the indexes that contain them, to the names that the code uses."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

OLD = {"position": "place", "tie_break": "turn"}
NEW = {"position": "ring_position", "tie_break": "tie_break"}


def upgrade() -> None:
    rename(OLD, NEW)


def downgrade() -> None:
    rename(NEW, OLD)


def rename(before: dict[str, str], after: dict[str, str]) -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for old, new in ((before[column], after[column]) for column in before):
        op.execute(f"ALTER TABLE offers RENAME COLUMN {old} TO {new}")
        if is_postgresql:
            # From PostgreSQL 18 on, NOT NULL is a constraint with a name, which contains that of the column.
            op.alter_column("offers", new, nullable=True)
            op.alter_column("offers", new, nullable=False)
    for old_columns, new_columns in zip(indexes(**before), indexes(**after), strict=True):
        old, new = (f"offers_{'_'.join(columns)}_idx" for columns in (old_columns, new_columns))
        if is_postgresql:
            op.execute(f"ALTER INDEX {old} RENAME TO {new}")
        else:
            # SQLite cannot rename an index.
            op.drop_index(old, "offers")
            op.create_index(new, "offers", new_columns)


def indexes(position: str, tie_break: str) -> list[list[str]]:
    return [
        ["language", *filters, *order]
        for filters in ([], ["specialty_key"], ["visit_key"])
        for order in (["not_before", tie_break, "id"], [position, "id"])
    ]
