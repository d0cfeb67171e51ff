"""Distinguish devices that keep their cookie from those that were seen once, and index known devices by age."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

DEVICES = sa.table("known_devices", sa.column("keeps_cookie", sa.Boolean()))


def upgrade() -> None:
    op.add_column("known_devices", sa.Column("keeps_cookie", sa.Boolean(), nullable=False, server_default=sa.false()))
    # It is unknown which existing devices keep their cookie. Assume that all do, so that clients without cookies cannot
    # displace browsers.
    op.execute(sa.update(DEVICES).values(keeps_cookie=True))
    op.create_index("known_devices_last_at_idx", "known_devices", ["last_at"])


def downgrade() -> None:
    op.drop_index("known_devices_last_at_idx", "known_devices")
    op.drop_column("known_devices", "keeps_cookie")
