"""The doctor's profile, and the limits for bookings."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import Response

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.core.time_zones import find_zone
from app.http.audit import Audit
from app.repositories.doctors import DoctorRecord
from app.repositories.profile_changes import ProfileReview, get_profile_review
from app.schemas import doctors as wire
from app.services import doctor_profile
from app.web.doctor.calendar import rename_fields
from app.web.doctor.hours import flash_affected
from app.web.kit.auth import ProfilePage
from app.web.kit.drafts import restore
from app.web.kit.forms import Form, SentForm, list_changes, read_by, refuse
from app.web.kit.languages import N_
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router
from app.web.kit.spoken_languages import list_languages
from app.web.kit.time_zone_names import list_time_zones

router = page_router()

UTC = ("UTC", "UTC")
"""The time zone of a doctor who has not chosen one."""

LABELS: Mapping[str, str] = {
    "name": N_("Name"),
    "specialty": N_("Specialty"),
    "languages": N_("Languages"),
    "bio": N_("About you"),
    "time_zone": N_("Time zone"),
    "default_visit_minutes": N_("Default length (minutes)"),
    "min_notice_minutes": N_("Minimum notice (minutes)"),
    "max_advance_days": N_("Bookable up to (days in advance)"),
    "daily_limit": N_("Maximum visits per day"),
    "cancel_cutoff_minutes": N_("Cancellation deadline (minutes before the visit)"),
}
# Each checkbox has a name of its own, because a form with the same field twice is refused (ADR 0006).
_SPEAKS = "speaks_"
"""The prefix of the names of the language checkboxes; a BCP 47 tag follows."""
_LISTED = "listed"
"""The hidden field with the languages that were ticked when the form was shown. Browsers do not send cleared boxes."""
_FIELDS = tuple(wire.DoctorChanges.model_fields)
_MAY_BE_EMPTY = ("specialty", "bio", "max_advance_days", "daily_limit")


@router.get("/practice/profile")
async def get_own_practice(page: ProfilePage, transaction: DbTransaction) -> Response:
    """Show the form for the profile. A name or specialty under review is shown as the doctor has requested it."""
    doctor, review = await doctor_profile.get_profile(transaction, page.actor.id)
    doctor = doctor_profile.apply_pending_change(doctor, review)
    form = restore(page, Form(_values(doctor)).renew(asdict(doctor)).values)
    return page.render("doctor/profile.html", form=form, **_content(page, form, review))


@router.post("/practice/profile")
async def change_practice(
    page: ProfilePage, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Change the profile. In a new time zone the hours keep their wall times, and booked visits keep their instants."""
    before = await get_profile_review(transaction, page.actor.id)
    try:
        _, review, affected = await doctor_profile.change_profile(
            transaction,
            page.actor.id,
            _read(form),
            now,
            reviewed=page.resources.settings.requires_doctor_approval,
            versions=form.versions,
        )
    except DomainError as error:
        saved: list[tuple[str, str]] = []
        if error.code == "version_mismatch":
            doctor = doctor_profile.apply_pending_change(*await doctor_profile.get_profile(transaction, page.actor.id))
            values = _values(doctor) | {"languages": page.formatter.languages(doctor.languages)}
            if zone := find_zone(doctor.time_zone):
                values["time_zone"] = page.formatter.place(zone)
            saved = list_changes(page.formatter, asdict(doctor), form, LABELS, values)
            form = form.renew(asdict(doctor))
        content = _content(page, form, before)
        raise refuse(page, "doctor/profile.html", form, error, saved=saved, **content) from error
    trail.shows(*affected.appointments)
    message = page.gettext("Your profile has been saved.")
    if review.change and review.change != before.change:
        message = page.gettext("Saved. An administrator will review your new name or specialty before patients see it.")
    return flash_affected(page, affected, "/practice/profile", message)


def _content(page: SignedInPage, form: Form, review: ProfileReview) -> dict[str, Any]:
    time_zone = form.value("time_zone")
    # A zone that this installation does not know stays selected, so that saving other fields does not change it.
    unknown = [] if find_zone(time_zone) else [(time_zone, time_zone)]
    boxes = _read_boxes(form)
    return {
        "places": list_time_zones(page.formatter, time_zone, *unknown, UTC),
        "review": review,
        "boxes": boxes,
        "languages": list_languages(page.formatter, boxes),
        "spoken": page.formatter.languages(tag for tag, ticked in boxes.items() if ticked),
    }


def _read_boxes(form: Form) -> dict[str, bool]:
    """Return whether each language that the form names is ticked, by its tag."""
    ticked = [name.removeprefix(_SPEAKS) for name, value in form.values.items() if name.startswith(_SPEAKS) and value]
    if _LISTED not in form.values:
        # The form has not been sent yet, so the stored languages are ticked.
        ticked += form.value("languages").split()
    # A form lists no more languages than a profile can have. Each one is looked up and shown again.
    listed = form.value(_LISTED).split()[: wire.MAX_LANGUAGES]
    return dict.fromkeys(listed, False) | dict.fromkeys(ticked, True)


def _values(doctor: DoctorRecord) -> dict[str, str]:
    values = {name: getattr(doctor, name) for name in _FIELDS if name != "languages"}
    values["languages"] = " ".join(doctor.languages)
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _read(form: Form) -> dict[str, Any]:
    """Return the changes from the form. An empty optional field clears its value. Raises ``invalid_request``."""
    typed = {name: form.value(name) for name in _FIELDS if name != "languages"}
    filled = {name: value for name, value in typed.items() if value or name not in _MAY_BE_EMPTY}
    tags = [tag for tag, ticked in _read_boxes(form).items() if ticked]
    changes = read_by(wire.DoctorChanges.model_validate_strings, filled).changes()
    try:
        changes |= read_by(wire.DoctorChanges.model_validate, {"languages": tags}).changes()
    except DomainError as error:
        raise rename_fields(error, {f"languages.{number}": "languages" for number in range(len(tags))}) from error
    # A field that was emptied must be named as null, or it would stay as it is (RFC 7396).
    return dict.fromkeys(_MAY_BE_EMPTY) | changes
