"""The declarative base, and the rule by which constraints get their names."""

from sqlalchemy import MetaData, Table
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """What all tables share: every constraint has a name that can be told to migrations and found in errors."""

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
    """The table alone, for statements that are prepared, or run with many rows: the ORM does not look at them."""
    return model.metadata.tables[model.__tablename__]
