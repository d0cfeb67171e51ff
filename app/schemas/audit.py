"""The audit trail on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.permissions import Role
from app.schemas.appointments import VISIT
from app.schemas.fields import AMARA, ANN, Answer, Instant, PageQuery, example

Action = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
"""The name of an operation."""


class AuditEvent(Answer):
    """Something that somebody did, or was refused, with the data of one patient."""

    id: UUID
    occurred_at: datetime
    actor_id: UUID | None
    actor_role: Role | None
    action: str = Field(description="The `operationId` of what was asked for.")
    outcome: str = Field(description="`ok`, or the code of the error.")
    patient_id: UUID | None = Field(description="Whose data; null where it is nobody's.")
    object_id: UUID | None = Field(description="The appointment or the hold, where it is one.")
    address: str | None
    request_id: str | None = Field(description="Shared by the events of one request.")
    reason: str | None
    position: int | None = Field(description="The place in the chain that seals the trail; null for about a second.")

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
    """Which events to list; all that is given must hold."""

    patient_id: UUID | None = Field(None, description="Whose data.")
    actor_id: UUID | None = Field(None, description="Who did it.")
    action: Action | None = Field(
        None, description="What was done, by its `operationId`.", examples=["list_doctors_appointments"]
    )
    from_: Instant | None = Field(None, alias="from", description="From this time on.")
    to: Instant | None = Field(None, description="Before this time.")
