"""The page on which patients edit their contact details."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.http.audit import Audit
from app.repositories import patients
from app.repositories.patients import PatientRecord
from app.schemas.patients import PatientChanges
from app.services.patients import change_own_record as change
from app.web.kit.auth import OwnRecordPage
from app.web.kit.drafts import restore
from app.web.kit.forms import Form, SentForm, list_changes, read_by, refuse
from app.web.kit.languages import LANGUAGES, N_
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router
from app.web.kit.time_zone_names import list_time_zones

router = page_router()

_PATH, _TEMPLATE = "/my/account/details", "account/contact_details.html"
LABELS: Mapping[str, str] = {
    "phone": N_("Telephone"),
    "birth_date": N_("Date of birth"),
    "locale": N_("Language of messages"),
    "time_zone": N_("Time zone of messages"),
}


@router.get(_PATH)
async def get_own_record(page: OwnRecordPage, transaction: DbTransaction, _: Audit) -> Response:
    """Show the form with the contact details."""
    record = await patients.get_patient(transaction, page.actor.id)
    form = restore(page, Form(_values(page, record)).renew(record.content).values)
    return page.render(_TEMPLATE, form=form, **_content(page, form))


@router.post(_PATH)
async def change_own_record(
    page: OwnRecordPage, form: SentForm, transaction: DbTransaction, now: Now, _: Audit
) -> Response:
    """Change the contact details. A field that is left empty is cleared."""
    filled = {name: form.value(name) for name in LABELS if form.value(name)}
    try:
        changes = dict.fromkeys(LABELS) | read_by(PatientChanges.model_validate_strings, filled).changes()
        await change(transaction, page.actor, changes, now, versions=form.versions)
    except DomainError as error:
        saved: list[tuple[str, str]] = []
        if error.code == "version_mismatch":
            record = await patients.get_patient(transaction, page.actor.id)
            saved = list_changes(page.formatter, record.content, form, LABELS, _values(page, record))
            form = form.renew(record.content)
        raise refuse(page, _TEMPLATE, form, error, saved=saved, **_content(page, form)) from error
    return page.redirect("/my/account", page.gettext("Your contact details have been saved."))


def _content(page: SignedInPage, form: Form) -> dict[str, Any]:
    no_choice = ("", page.gettext("No choice"))
    chosen = form.value("locale")
    # A language that was chosen with the API stays selected, so that saving other fields does not change it.
    other = [] if chosen in {"", *LANGUAGES} else [(chosen, page.formatter.languages([chosen]))]
    return {
        "languages": [no_choice, *LANGUAGES.items(), *other],
        "places": list_time_zones(page.formatter, form.value("time_zone"), no_choice),
    }


def _values(page: SignedInPage, record: PatientRecord) -> dict[str, str]:
    values = {name: str(record.content[name] or "") for name in LABELS}
    if record.phone:
        values["phone"] = page.formatter.phone(record.phone)
    return values
