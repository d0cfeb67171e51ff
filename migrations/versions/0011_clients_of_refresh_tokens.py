"""Record which client used a refresh token, so that an immediate repetition by it can be answered (ADR 0037)."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("refresh_tokens", sa.Column("used_by", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("refresh_tokens", "used_by")
