"""Messages that are sent after the answer."""

import logging

from fastapi import BackgroundTasks

from app.adapters.mail import Mail
from app.core.dependencies import Resources
from app.core.errors import DomainError
from app.services.confirmation import count_message

log = logging.getLogger(__name__)


def send_after_answer(tasks: BackgroundTasks, resources: Resources, mail: Mail) -> None:
    """Sends a message once the answer is out, unless its address has had too many of this kind within the hour."""
    tasks.add_task(_send, resources, mail)


async def _send(resources: Resources, mail: Mail) -> None:
    try:
        async with resources.database.write() as transaction:
            counted = await count_message(transaction, resources.settings, mail.kind, mail.to, resources.clock())
    except DomainError:
        log.warning("a message was not counted: the database is busy")
    else:
        if not counted:
            log.warning("a message was left out, as its address had too many within the hour: %s", mail.kind)
            return
    await resources.mailer(mail)
