"""Store the first day of weekly hours, because the doctor may be closed on that day itself."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("availabilities", sa.Column("plan_begins", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("availabilities", "plan_begins")
