"""Rebuild what names, specialties and kinds of visits are searched by."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BATCH = 1000
USERS = sa.table("users", sa.column("id", sa.Uuid()), sa.column("name"))
DOCTORS = sa.table(
    "doctors", sa.column("id", sa.Uuid()), sa.column("specialty"), sa.column("name_key"), sa.column("specialty_key")
)
VISIT_TYPES = sa.table("visit_types", sa.column("id", sa.Uuid()), sa.column("name"))
OFFERS = sa.table(
    "offers",
    sa.column("id", sa.Uuid()),
    sa.column("doctor_id", sa.Uuid()),
    sa.column("specialty_key"),
    sa.column("visit_key"),
)

# As app.core.text.search_key was when this was written: a migration must not change with the application.
PLAIN_LETTERS = {
    "\u0142": "l",
    "\u00f8": "o",
    "\u0111": "d",
    "\u00f0": "d",
    "\u00fe": "th",
    "\u00df": "ss",
    "\u00e6": "ae",
    "\u0153": "oe",
    "\u0131": "i",
    "\u0127": "h",
    "\u0167": "t",
    "\u014b": "n",
    "\u0138": "k",
    "\u0259": "e",
    "\u0253": "b",
    "\u0257": "d",
    "\u0199": "k",
    "\u01b4": "y",
}
JOINERS = (
    "'`\u00b4\u00b7\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb"
    "\u2018\u2019\u201a\u201b\u2032\u2035\ua78c\uff07"
)
INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
FOLDED: dict[int, str] = (
    str.maketrans(PLAIN_LETTERS)
    | dict.fromkeys(map(ord, JOINERS + INVISIBLE), "")
    | dict.fromkeys([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)], "")
)


def new_key(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(FOLDED))
    folded = "".join(map(fold_mark, decomposed)).casefold().translate(FOLDED)
    return " ".join(folded.split())[:200].rstrip()


def fold_mark(character: str) -> str:
    category = unicodedata.category(character)
    if unicodedata.combining(character) or category == "Cf":
        return ""
    return " " if category == "Pd" or character in ",." else character


def old_key(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).casefold().split())[:200]


def upgrade() -> None:
    rebuild(new_key)


def downgrade() -> None:
    rebuild(old_key)


def rebuild(key: Callable[[str], str]) -> None:
    """In batches, so that the memory it takes does not grow with the clinic."""
    connection = op.get_bind()
    doctors = sa.select(DOCTORS.c.id, USERS.c.name, DOCTORS.c.specialty).join(USERS, USERS.c.id == DOCTORS.c.id)
    for rows in batches(doctors, DOCTORS.c.id):
        values = [
            {"row": doctor_id, "new_name": key(name), "new_specialty": specialty and key(specialty)}
            for doctor_id, name, specialty in rows
        ]
        connection.execute(
            sa.update(DOCTORS)
            .where(DOCTORS.c.id == sa.bindparam("row"))
            .values(name_key=sa.bindparam("new_name"), specialty_key=sa.bindparam("new_specialty")),
            values,
        )
        connection.execute(
            sa.update(OFFERS)
            .where(OFFERS.c.doctor_id == sa.bindparam("row"))
            .values(specialty_key=sa.bindparam("new_specialty")),
            [{"row": each["row"], "new_specialty": each["new_specialty"]} for each in values],
        )
    for rows in batches(sa.select(VISIT_TYPES.c.id, VISIT_TYPES.c.name), VISIT_TYPES.c.id):
        # The offer of a visit type has the same id.
        connection.execute(
            sa.update(OFFERS).where(OFFERS.c.id == sa.bindparam("row")).values(visit_key=sa.bindparam("new_visit")),
            [{"row": visit_type_id, "new_visit": key(name)} for visit_type_id, name in rows],
        )


def batches(query: sa.Select[Any], key: sa.ColumnElement[Any]) -> Iterator[Sequence[Any]]:
    after = None
    while True:
        page = query.order_by(key).limit(BATCH)
        rows = op.get_bind().execute(page if after is None else page.where(key > after)).all()
        if not rows:
            return
        yield rows
        after = rows[-1].id
