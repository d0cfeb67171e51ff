"""Errors on the wire (RFC 9457)."""

from pydantic import BaseModel, Field


class ProblemField(BaseModel):
    """What is wrong with one field."""

    field: str = Field(examples=["start_time"])
    message: str = Field(examples=["must be after now"])


class Problem(BaseModel):
    """An error, as `application/problem+json`."""

    type: str = Field(description="Always `about:blank`: the `code` says more.", examples=["about:blank"])
    title: str = Field(description="The HTTP status in words.", examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str = Field(description="One sentence for a person.")
    code: str = Field(description="Stable; for programs.", examples=["slot_taken"])
    errors: list[ProblemField] | None = Field(None, description="With 422: the fields at fault.")
