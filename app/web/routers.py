"""The routers of all pages, in the order in which requests are matched against them."""

from app.web.account import (
    contact_details,
    email_change,
    email_confirmation,
    invitation,
    preferences,
    second_factor,
    settings,
    sign_in,
)
from app.web.admin import (
    accounts,
    audit_trail,
    break_glass,
    clinics,
    invitations,
    profile_reviews,
    suspended_doctors,
)
from app.web.clinic import member, people
from app.web.doctor import (
    clock_changes,
    conflicts,
    day,
    extra_hours,
    hours,
    profile,
    time_off,
    visit,
    visit_types,
    week,
)
from app.web.kit import assets
from app.web.patient import appointments, booking, doctor_page, family, search

PAGE_ROUTERS = [
    module.router
    for module in (
        sign_in,
        search,
        doctor_page,
        booking,
        appointments,
        family,
        settings,
        contact_details,
        email_change,
        email_confirmation,
        second_factor,
        day,
        visit,
        week,
        hours,
        extra_hours,
        time_off,
        clock_changes,
        conflicts,
        profile,
        visit_types,
        preferences,
        accounts,
        invitations,
        clinics,
        people,
        member,
        invitation,
        profile_reviews,
        break_glass,
        suspended_doctors,
        audit_trail,
        assets,
    )
]
