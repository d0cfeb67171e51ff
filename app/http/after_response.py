"""Work that is done after the response has been sent."""

import logging
from collections.abc import Sequence

from fastapi import BackgroundTasks

from app.adapters.mail import Mail
from app.core.dependencies import Resources
from app.core.errors import DomainError
from app.db.database import Database
from app.repositories.search_bounds import BoundUpdate
from app.services.confirmation import count_message
from app.services.search import save_bound_updates

log = logging.getLogger(__name__)


def send_after_response(tasks: BackgroundTasks, resources: Resources, mail: Mail) -> None:
    """Send a message, unless too many of its kind were sent to this address within the hour."""
    tasks.add_task(_send, resources, mail)


async def _send(resources: Resources, mail: Mail) -> None:
    try:
        async with resources.database.write() as transaction:
            counted = await count_message(transaction, resources.settings, mail.kind, mail.to, resources.clock())
    except DomainError:
        log.warning("a message was not counted: the database is busy")
    else:
        if not counted:
            log.warning("a message was not sent: its address had too many within the hour: %s", mail.kind)
            return
    await resources.mailer(mail)


def save_bounds_after_response(tasks: BackgroundTasks, database: Database, updates: Sequence[BoundUpdate]) -> None:
    """Save the lower bounds that a search has found. If the database is busy, they are dropped."""
    if updates:
        tasks.add_task(_save_bounds, database, updates)


async def _save_bounds(database: Database, updates: Sequence[BoundUpdate]) -> None:
    try:
        await save_bound_updates(database, updates)
    except DomainError:
        log.warning("lower bounds of a search were not saved: the database is busy")  # the next search finds them again
