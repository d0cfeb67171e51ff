"""When PostgreSQL plans a statement."""

from sqlalchemy import func, literal, select

from app.db.database import Transaction
from app.db.prepared import Prepared

_PLAN_ONCE = Prepared(select(func.set_config("plan_cache_mode", "force_generic_plan", literal(True))))


async def use_generic_plans(transaction: Transaction) -> None:
    """Has the statements of this transaction planned once for all values; PostgreSQL would plan most anew for each.

    For those with one good plan whatever is asked for, like a walk along an index: to plan it takes several times as
    long as to take it. Such a statement must not hide from the planner how few rows it wants.
    """
    if transaction.dialect.name == "postgresql":
        await transaction.fetch(_PLAN_ONCE, {})
