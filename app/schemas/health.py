"""Responses of the health checks."""

from typing import Literal

from app.schemas.fields import ResponseBody


class Health(ResponseBody):
    """The response if all is well. Otherwise the response is an error."""

    status: Literal["ok"]
