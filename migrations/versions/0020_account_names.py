"""Accounts are found by parts of their names and addresses."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.core.text import search_key

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BATCH = 1000
USERS = sa.table("users", sa.column("id", sa.Uuid()), sa.column("name"), sa.column("name_key"))
TRIGRAMS = {f"users_{column}_trgm_idx": column for column in ("name_key", "email_canonical")}


def upgrade() -> None:
    op.add_column("users", sa.Column("name_key", sa.String(200), nullable=False, server_default=""))
    for rows in batches():
        op.get_bind().execute(
            sa.update(USERS).where(USERS.c.id == sa.bindparam("row")).values(name_key=sa.bindparam("key")),
            [{"row": id_, "key": search_key(name)} for id_, name in rows],
        )
    if op.get_bind().dialect.name == "postgresql":
        for name, column in TRIGRAMS.items():
            op.create_index(name, "users", [column], postgresql_using="gin", postgresql_ops={column: "gin_trgm_ops"})


def batches() -> Iterator[Sequence[Any]]:
    """Names by the thousand, so that the memory it takes does not grow with the clinic."""
    after = None
    while True:
        page = sa.select(USERS.c.id, USERS.c.name).order_by(USERS.c.id).limit(BATCH)
        rows = op.get_bind().execute(page if after is None else page.where(USERS.c.id > after)).all()
        if not rows:
            return
        yield rows
        after = rows[-1].id


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in TRIGRAMS:
            op.drop_index(name, "users")
    op.drop_column("users", "name_key")
