"""Index accounts for searches by parts of their names and addresses."""

import sqlalchemy as sa
from alembic import op

from migrations.frozen import batches, search_key

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

USERS = sa.table("users", sa.column("id", sa.Uuid()), sa.column("name"), sa.column("name_key"))
TRIGRAMS = {f"users_{column}_trgm_idx": column for column in ("name_key", "email_canonical")}


def upgrade() -> None:
    op.add_column("users", sa.Column("name_key", sa.String(200), nullable=False, server_default=""))
    for rows in batches(sa.select(USERS.c.id, USERS.c.name), USERS.c.id):
        op.get_bind().execute(
            sa.update(USERS).where(USERS.c.id == sa.bindparam("row")).values(name_key=sa.bindparam("key")),
            [{"row": id_, "key": search_key(name)} for id_, name in rows],
        )
    if op.get_bind().dialect.name == "postgresql":
        for name, column in TRIGRAMS.items():
            op.create_index(name, "users", [column], postgresql_using="gin", postgresql_ops={column: "gin_trgm_ops"})


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in TRIGRAMS:
            op.drop_index(name, "users")
    op.drop_column("users", "name_key")
