"""Store with a response which patients and object it concerns, so that the audit trail need not guess it."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("concerns", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency_keys", "concerns")
