"""Settings for how PostgreSQL plans statements."""

from sqlalchemy import func, literal, select

from app.db.database import Transaction
from app.db.prepared import Prepared

_FORCE_GENERIC_PLAN = Prepared(select(func.set_config("plan_cache_mode", "force_generic_plan", literal(True))))


async def use_generic_plans(transaction: Transaction) -> None:
    """Use generic plans in this transaction: each statement is planned once, and not again for new values.

    This is for statements with one good plan for all values, such as a walk along an index: planning it takes several
    times as long as running it. Such a statement must show the planner how few rows it needs, for example with a
    literal LIMIT. On SQLite this does nothing.
    """
    if transaction.dialect.name == "postgresql":
        await transaction.fetch(_FORCE_GENERIC_PLAN, {})
