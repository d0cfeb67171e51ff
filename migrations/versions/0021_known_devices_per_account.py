"""Devices that keep their cookie are told from those that were seen only once; old ones are found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

DEVICES = sa.table("known_devices", sa.column("keeps_cookie", sa.Boolean()))


def upgrade() -> None:
    op.add_column("known_devices", sa.Column("keeps_cookie", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Which ones do is not known; no browser must be pushed out by programs meanwhile.
    op.execute(sa.update(DEVICES).values(keeps_cookie=True))
    op.create_index("known_devices_last_at_idx", "known_devices", ["last_at"])


def downgrade() -> None:
    op.drop_index("known_devices_last_at_idx", "known_devices")
    op.drop_column("known_devices", "keeps_cookie")
