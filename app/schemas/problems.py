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

    candidates: list[dict[str, str | None]] = Field(
        [],
        description="With `maybe_known`: the patients who may be the one to add, each with `id`, `name`, `birth_date` "
        "and `phone`.",
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
