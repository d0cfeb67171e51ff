"""Health on the wire."""

from typing import Literal

from app.schemas.fields import Answer


class Health(Answer):
    """All is well; anything else is an error."""

    status: Literal["ok"]
