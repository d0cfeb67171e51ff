"""Errors on the wire (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """An error, as `application/problem+json`."""

    type: str = Field(description="Always `about:blank`: the `code` says more.")
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="One sentence for a person.")
    code: str = Field(description="Stable; for programs.")
    errors: list[dict[str, str]] = Field([], description="With 422: the fields at fault, each with `field`, `message`.")

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
