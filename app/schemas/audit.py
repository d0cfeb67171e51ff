"""Queries and responses of the audit trail."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.permissions import Role
from app.schemas.appointments import VISIT
from app.schemas.fields import AMARA, ANN, Instant, PageQuery, ResponseBody, example

Action = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
"""The name of an operation (`operationId`)."""


class AuditEvent(ResponseBody):
    """An action, or a refused attempt, that concerns the data of at most one patient."""

    id: UUID
    occurred_at: datetime
    actor_id: UUID | None
    actor_role: Role | None
    action: str = Field(description="The `operationId` of the operation.")
    outcome: str = Field(description="`ok`, or the error code.")
    patient_id: UUID | None = Field(description="The patient whose data it is; null if it concerns no patient.")
    object_id: UUID | None = Field(
        description="What the action was applied to, for example an appointment, a hold or an account."
    )
    address: str | None
    request_id: str | None = Field(description="The same for all events of one request.")
    reason: str | None
    position: int | None = Field(
        description="The position in the hash chain that seals the trail. Null for about a second, until it is sealed."
    )

    model_config = example(
        id="019abcde-f012-7890-8abc-def012345678",
        occurred_at="2026-12-01T08:00:00Z",
        actor_id=AMARA,
        actor_role="doctor",
        action="get_appointment",
        outcome="ok",
        patient_id=ANN,
        object_id=VISIT,
        address="203.0.113.7",
        request_id="019abcde-f012-7891-8abc-def012345678",
        reason=None,
        position=41,
    )


class AuditQuery(PageQuery):
    """Which events to list. An event must match all filters."""

    patient_id: UUID | None = Field(None, description="Only events that concern this patient.")
    actor_id: UUID | None = Field(None, description="Only events of this account.")
    action: Action | None = Field(
        None,
        description="Only events of the operation with this `operationId`.",
        examples=["list_doctors_appointments"],
    )
    from_: Instant | None = Field(None, alias="from", description="Only events at this time or later.")
    to: Instant | None = Field(None, description="Only events before this time.")
