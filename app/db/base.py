"""The declarative base and the naming convention for constraints."""

from sqlalchemy import MetaData, Table
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Base of all models. Every constraint has a predictable name, for migrations and for matching errors."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )


def table_of(model: type[Base]) -> Table:
    """Return the Core table of ``model``, for prepared statements and for statements that run with many rows."""
    return model.metadata.tables[model.__tablename__]
