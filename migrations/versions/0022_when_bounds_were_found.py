"""Store when the bound of an offer was computed, so that one from a clock that was ahead can be discarded."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("offers", sa.Column("found_at", UtcDateTime(), nullable=True))
    op.create_index("offers_language_found_at_idx", "offers", ["language", "found_at"])


def downgrade() -> None:
    op.drop_index("offers_language_found_at_idx", "offers")
    op.drop_column("offers", "found_at")
