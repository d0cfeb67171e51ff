"""Responses of the health checks."""

from typing import Literal

from app.schemas.fields import Answer


class Health(Answer):
    """The answer if all is well. Otherwise the answer is an error."""

    status: Literal["ok"]
