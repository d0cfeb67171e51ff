"""Errors (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """An error, as `application/problem+json`."""

    type: str = Field(description="Always `about:blank`; use `code` to tell errors apart.")
    title: str = Field(description="The HTTP status phrase.")
    status: int
    detail: str = Field(description="A text for people.")
    code: str = Field(description="A stable code for programs.")
    errors: list[dict[str, str]] = Field(
        [], description="With 422: the invalid fields, each with `field` and `message`."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "The request is not valid; see the fields named in errors.",
                    "code": "invalid_request",
                    "errors": [{"field": "start_time", "message": "must not be in the past"}],
                }
            ]
        }
    )
