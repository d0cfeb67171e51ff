import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import httpx2

from tests.conftest import SetClock
from tests.people import Person, assert_problem, get_windows, next_page

NINE, TEN = "2026-12-08T14:00:00Z", "2026-12-08T15:00:00Z"
"""A Tuesday in New York, from 09:00 to 10:00."""


async def list_open_days(client: httpx2.AsyncClient, doctor: Person, first: str, days: int) -> list[str]:
    """The days in UTC on which free windows of the doctor start."""
    found: list[str] = []
    for offset in range(0, days, 62):
        moments = (datetime.fromisoformat(first) + timedelta(days=each) for each in (offset, min(offset + 62, days)))
        span = dict(zip(("from", "to"), (f"{moment:%FT%TZ}" for moment in moments), strict=True))
        found += [start[:10] for start, _ in await get_windows(client, doctor, **span)]
    return found


async def test_rule_recurs_on_the_expected_days(client: httpx2.AsyncClient, doctor: Person) -> None:
    month, quarter = 31, 90
    every_day = " ".join(f"2026-12-{day:02}" for day in range(8, 32))
    for recurrence, days, expected in (
        ("FREQ=DAILY", month, every_day),
        ("FREQ=DAILY;UNTIL=29991231", month, every_day),
        ("FREQ=DAILY;INTERVAL=9", month, "2026-12-08 2026-12-17 2026-12-26"),
        ("FREQ=DAILY;BYDAY=TU,WE;COUNT=3", month, "2026-12-08 2026-12-09 2026-12-15"),
        ("FREQ=DAILY;COUNT=1", month, "2026-12-08"),
        ("FREQ=DAILY;COUNT=3", month, "2026-12-08 2026-12-09 2026-12-10"),
        ("FREQ=DAILY;UNTIL=20261208", month, "2026-12-08"),
        ("FREQ=DAILY;UNTIL=20261210", month, "2026-12-08 2026-12-09 2026-12-10"),
        ("FREQ=DAILY;UNTIL=20261210T090000", month, "2026-12-08 2026-12-09 2026-12-10"),
        ("FREQ=DAILY;UNTIL=20261210T085959", month, "2026-12-08 2026-12-09"),
        ("FREQ=DAILY;UNTIL=20261210T140000Z", month, "2026-12-08 2026-12-09 2026-12-10"),
        ("FREQ=DAILY;UNTIL=20261210T135959Z", month, "2026-12-08 2026-12-09"),
        ("FREQ=DAILY;BYMONTH=12;BYDAY=TU,WE;UNTIL=20261215", quarter, "2026-12-08 2026-12-09 2026-12-15"),
        ("FREQ=WEEKLY", month, "2026-12-08 2026-12-15 2026-12-22 2026-12-29"),
        ("FREQ=WEEKLY;BYMONTH=12", quarter, "2026-12-08 2026-12-15 2026-12-22 2026-12-29"),
        ("FREQ=WEEKLY;BYDAY=FR,TU", 17, "2026-12-08 2026-12-11 2026-12-15"),
        ("FREQ=WEEKLY;BYDAY=TU,TH;COUNT=3", month, "2026-12-08 2026-12-10 2026-12-15"),
        ("FREQ=WEEKLY;INTERVAL=4;BYDAY=TU", quarter, "2026-12-08 2027-01-05 2027-02-02"),
        # Weeks begin on Monday or on Sunday: RFC 5545's own example of what WKST does.
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", month, "2026-12-08 2026-12-13 2026-12-22 2026-12-27"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=TU,SU;WKST=SU", month, "2026-12-08 2026-12-20 2026-12-22"),
        ("FREQ=MONTHLY", quarter, "2026-12-08 2027-01-08 2027-02-08"),
        ("FREQ=MONTHLY;COUNT=2", quarter, "2026-12-08 2027-01-08"),
        ("FREQ=MONTHLY;UNTIL=20270107", quarter, "2026-12-08"),
        ("FREQ=MONTHLY;BYDAY=2TU", quarter, "2026-12-08 2027-01-12 2027-02-09"),
        ("FREQ=MONTHLY;BYDAY=+2TU,-1FR;COUNT=4", quarter, "2026-12-08 2026-12-25 2027-01-12 2027-01-29"),
        ("FREQ=MONTHLY;BYMONTHDAY=8,-1;COUNT=4", quarter, "2026-12-08 2026-12-31 2027-01-08 2027-01-31"),
        ("FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=8", quarter, "2026-12-08 2027-02-08"),
        ("FREQ=MONTHLY;BYMONTHDAY=8;BYMONTH=12,2", quarter, "2026-12-08 2027-02-08"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=6,-1;COUNT=4", 60, "2026-12-08 2026-12-31 2027-01-08 2027-01-29"),
    ):
        published = await doctor.publish(NINE, TEN, recurrence)
        assert published["recurrence"] == recurrence
        assert await list_open_days(client, doctor, "2026-12-01", days) == expected.split(), recurrence
        await doctor.delete(f"/doctors/availability/{published['id']}")


async def test_monthly_rule_skips_months_without_the_day(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish("2026-12-31T14:00:00Z", "2026-12-31T15:00:00Z", "FREQ=MONTHLY")
    found = await list_open_days(client, doctor, "2026-12-01", 310)
    assert found == ["2026-12-31", "2027-01-31", "2027-03-31", "2027-05-31", "2027-07-31", "2027-08-31"]


async def test_rule_is_returned_in_its_canonical_spelling(doctor: Person) -> None:
    for sent, returned in (
        ("rrule:freq=weekly;byday=tu,fr;interval=2", "FREQ=WEEKLY;BYDAY=TU,FR;INTERVAL=2"),
        (" BYDAY=TU;FREQ=WEEKLY\n", "FREQ=WEEKLY;BYDAY=TU"),
        ("FREQ=DAILY;UNTIL=20270101t000000z", "FREQ=DAILY;UNTIL=20270101T000000Z"),
        (None, None),
    ):
        body = {"start_time": NINE, "end_time": TEN, "recurrence": sent}
        published = (await doctor.post("/doctors/availability", body)).json()
        assert (published["recurrence"], published["start_time"], published["end_time"]) == (returned, NINE, TEN)
        assert (await doctor.get("/doctors/me/availability")).json() == [published]
        await doctor.delete(f"/doctors/availability/{published['id']}")


async def test_recurring_availabilities_must_not_overlap_within_a_year(doctor: Person) -> None:
    async def try_to_publish(start: str, end: str, recurrence: str | None) -> httpx2.Response:
        body = {"start_time": start, "end_time": end, "recurrence": recurrence}
        return await doctor.post("/doctors/availability", body)

    for existing, new, overlaps in (
        # The existing availability recurs, and the new one is single.
        ((NINE, TEN, "FREQ=WEEKLY"), ("2027-11-30T14:30:00Z", "2027-11-30T16:00:00Z", None), True),
        ((NINE, TEN, "FREQ=WEEKLY"), ("2027-11-30T15:00:00Z", "2027-11-30T16:00:00Z", None), False),
        ((NINE, TEN, "FREQ=WEEKLY;UNTIL=20271129"), ("2027-11-30T14:30:00Z", "2027-11-30T16:00:00Z", None), False),
        # The same ten years later.
        ((NINE, TEN, "FREQ=WEEKLY"), ("2036-12-02T14:30:00Z", "2036-12-02T15:30:00Z", None), True),
        # The existing availability is single, and the new rule reaches it within a year, or later.
        (("2027-11-30T14:30:00Z", "2027-11-30T16:00:00Z", None), (NINE, TEN, "FREQ=WEEKLY"), True),
        (("2027-12-21T14:30:00Z", "2027-12-21T16:00:00Z", None), (NINE, TEN, "FREQ=WEEKLY"), False),
        (("2027-11-30T14:30:00Z", "2027-11-30T16:00:00Z", None), (NINE, TEN, "FREQ=WEEKLY;COUNT=51"), False),
        (("2027-11-30T14:30:00Z", "2027-11-30T16:00:00Z", None), (NINE, TEN, "FREQ=WEEKLY;COUNT=52"), True),
        # Both recur: every second Tuesday and the Tuesdays between them, or on the second Tuesday of a month.
        (
            (NINE, TEN, "FREQ=WEEKLY;INTERVAL=2"),
            ("2026-12-15T14:00:00Z", "2026-12-15T15:00:00Z", "FREQ=WEEKLY;INTERVAL=2"),
            False,
        ),
        (
            (NINE, TEN, "FREQ=WEEKLY;INTERVAL=2"),
            ("2026-12-15T14:00:00Z", "2026-12-15T15:00:00Z", "FREQ=WEEKLY;INTERVAL=3"),
            True,
        ),
        (
            (NINE, TEN, "FREQ=MONTHLY;BYDAY=2TU"),
            ("2026-12-15T14:00:00Z", "2026-12-15T15:00:00Z", "FREQ=MONTHLY;BYDAY=3TU"),
            False,
        ),
        (
            (NINE, TEN, "FREQ=MONTHLY;BYDAY=2TU"),
            ("2026-12-15T14:00:00Z", "2026-12-15T15:00:00Z", "FREQ=MONTHLY;BYMONTHDAY=15,8"),
            True,
        ),
    ):
        published = await doctor.publish(*existing)
        response = await try_to_publish(*new)
        if overlaps:
            assert_problem(response, 409, "availability_overlaps")
            assert (await doctor.get("/doctors/me/availability")).json() == [published], (existing, new)
        else:
            assert response.status_code == 201, (existing, new, response.text)
            await doctor.delete(f"/doctors/availability/{response.json()['id']}")
        await doctor.delete(f"/doctors/availability/{published['id']}")
    await doctor.set_hours(friday=[["09:00", "10:00"]])
    assert_problem(await try_to_publish(NINE, TEN, "FREQ=DAILY"), 409, "availability_overlaps")
    assert (await try_to_publish(NINE, TEN, "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH")).status_code == 201


async def test_invalid_rule_is_refused(doctor: Person) -> None:
    async def check_refusal(change: Mapping[str, object], field: str) -> None:
        content = json.dumps({"start_time": NINE, "end_time": TEN} | dict(change))
        headers = doctor.headers | {"Content-Type": "application/json"}
        response = await doctor.client.post("/doctors/availability", content=content, headers=headers)
        assert [error["field"] for error in assert_problem(response, 422, "invalid_request")["errors"]] == [field], (
            change
        )

    for recurrence in (
        "",
        "WEEKLY",
        "FREQ=",
        "FREQ=YEARLY",
        "FREQ=HOURLY",
        "FREQ=MINUTELY",
        "FREQ=SECONDLY",
        "BYDAY=TU",
        "FREQ=WEEKLY;",
        ";FREQ=WEEKLY",
        "FREQ=WEEKLY;;COUNT=2",
        "FREQ=WEEKLY;FREQ=DAILY",
        "FREQ=WEEKLY;COUNT=2;COUNT=3",
        "FREQ=WEEKLY;X-PART=1",
        "FREQ=WEEKLY,DAILY",
        "FREQ = WEEKLY",
        "RRULE:RRULE:FREQ=WEEKLY",
        "FREQ=DAILY\nEXDATE:20261209T090000",
        "DTSTART:20261208T090000\nRRULE:FREQ=DAILY",
        "FREQ=DAILY;BYHOUR=9",
        "FREQ=DAILY;BYMINUTE=0",
        "FREQ=DAILY;BYSECOND=0",
        "FREQ=DAILY;BYEASTER=0",
        "FREQ=DAILY;BYMONTHDAY=8",
        "FREQ=WEEKLY;BYWEEKNO=50",
        "FREQ=MONTHLY;BYYEARDAY=342",
        "FREQ=WEEKLY;BYDAY=2TU",
        "FREQ=WEEKLY;BYDAY=",
        "FREQ=WEEKLY;BYDAY=TU,",
        "FREQ=WEEKLY;BYDAY=TUE",
        "FREQ=WEEKLY;BYDAY=2",
        "FREQ=MONTHLY;BYDAY=0TU",
        "FREQ=MONTHLY;BYDAY=6TU",
        "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=MONTHLY;BYMONTH=0",
        "FREQ=MONTHLY;BYMONTH=13",
        "FREQ=MONTHLY;BYMONTH=-1",
        "FREQ=MONTHLY;BYSETPOS=1",
        "FREQ=MONTHLY;BYDAY=TU;BYSETPOS=0",
        "FREQ=MONTHLY;BYDAY=TU;BYSETPOS=367",
        "FREQ=WEEKLY;WKST=XX",
        "FREQ=WEEKLY;WKST=MO,TU",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=-1",
        "FREQ=DAILY;COUNT=1001",
        "FREQ=DAILY;COUNT=99999999999999999999",
        "FREQ=DAILY;COUNT=1.5",
        "FREQ=DAILY;COUNT=１",
        "FREQ=DAILY;COUNT=2;UNTIL=20271231",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=32",
        "FREQ=WEEKLY;INTERVAL=53",
        "FREQ=MONTHLY;INTERVAL=25",
        "FREQ=DAILY;UNTIL=",
        "FREQ=DAILY;UNTIL=2027-01-01",
        "FREQ=DAILY;UNTIL=20270230",
        "FREQ=DAILY;UNTIL=20271301",
        "FREQ=DAILY;UNTIL=20270101T250000",
        "FREQ=DAILY;UNTIL=20270101T0900",
        "FREQ=DAILY;UNTIL=20270101Z",
        "FREQ=DAILY;UNTIL=20270101T090000+0100",
        "FREQ=DAILY;UNTIL=99991231",
        "FREQ=DAILY;UNTIL=00010101",
        # The rule ends before its first occurrence.
        "FREQ=DAILY;UNTIL=20261207",
        "FREQ=DAILY;UNTIL=20261208T085959",
        "FREQ=DAILY;UNTIL=20261208T135959Z",
        "FREQ=DAILY;UNTIL=19000101T000000Z",
        # The first occurrence is not on the given day, or there is none.
        "FREQ=WEEKLY;BYDAY=MO",
        "FREQ=WEEKLY;BYDAY=MO,WE,FR",
        "FREQ=MONTHLY;BYDAY=1TU",
        "FREQ=MONTHLY;BYMONTHDAY=9",
        "FREQ=MONTHLY;BYMONTH=1",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYDAY=TU;BYSETPOS=3",
        "FREQ=DAILY;COUNT=2" + " " * 200 + ";",
        "FREQ=WEEKLY;BYDAY=" + ",".join(["TU"] * 80),
        "FREQ=DAILY\x00",
        "FREQ=DAILY\ud800",
        5,
        True,
        ["FREQ=DAILY"],
        {"freq": "DAILY"},
    ):
        await check_refusal({"recurrence": recurrence}, "recurrence")
    for change, field in (
        # Occurrences overlap.
        ({"end_time": "2026-12-09T14:00:00.000001Z", "recurrence": "FREQ=DAILY"}, "recurrence"),
        ({"end_time": "2026-12-10T14:00:00Z", "recurrence": "FREQ=WEEKLY;BYDAY=TU,WE"}, "recurrence"),
        ({"end_time": "2026-12-09T14:00:01Z", "recurrence": "FREQ=MONTHLY;BYMONTHDAY=8,-24"}, "recurrence"),
        ({"start_time": "2026-12-08T14:00:00.5Z", "recurrence": "FREQ=DAILY"}, "recurrence"),
        # 29 February, if it is a Tuesday.
        (
            {
                "start_time": "2028-02-29T14:00:00Z",
                "end_time": "2028-02-29T15:00:00Z",
                "recurrence": "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=TU",
            },
            "recurrence",
        ),
        # The second 01:30 of the night on which clocks go back, which no rule produces.
        (
            {
                "start_time": "2027-11-07T06:30:00Z",
                "end_time": "2027-11-07T09:00:00Z",
                "recurrence": "FREQ=WEEKLY",
            },
            "recurrence",
        ),
        (
            {
                "start_time": "2027-11-07T05:30:00Z",
                "end_time": "2027-11-07T06:15:00Z",
                "recurrence": "FREQ=WEEKLY",
            },
            "end_time",
        ),
        (
            {
                "start_time": "2027-11-07T02:00:00Z",
                "end_time": "2027-11-07T06:30:00Z",
                "recurrence": "FREQ=WEEKLY",
            },
            "end_time",
        ),
        ({"recurrence": "FREQ=DAILY", "exdates": []}, "exdates"),
        ({"recurrence": "FREQ=DAILY", "weekly_hours": True}, "weekly_hours"),
        ({"end_time": "2026-12-15T14:00:01Z", "recurrence": "FREQ=MONTHLY"}, "end_time"),
    ):
        await check_refusal(change, field)
    assert (await doctor.get("/doctors/me/availability")).json() == []


async def test_rule_without_gaps_is_one_window(client: httpx2.AsyncClient, doctor: Person) -> None:
    published = await doctor.publish(NINE, "2026-12-09T14:00:00Z", "FREQ=DAILY")
    span = {"from": "2027-03-01T00:00:00Z", "to": "2027-04-01T00:00:00Z"}
    assert await get_windows(client, doctor, **span) == [("2027-03-01T00:00:00Z", "2027-04-01T00:00:00Z")]
    await doctor.delete(f"/doctors/availability/{published['id']}")
    await doctor.publish(NINE, "2026-12-15T14:00:00Z", "FREQ=WEEKLY")
    assert await get_windows(client, doctor, **span) == [("2027-03-01T00:00:00Z", "2027-04-01T00:00:00Z")]


async def test_endless_rule_recurs_until_the_last_supported_year(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.publish(NINE, TEN, "FREQ=WEEKLY;INTERVAL=2")
    span = {"from": "2999-11-01T00:00:00Z", "to": "2999-12-01T00:00:00Z"}
    first, second = await get_windows(client, doctor, **span)
    assert datetime.fromisoformat(second[0]) - datetime.fromisoformat(first[0]) == timedelta(days=14)
    assert (datetime.fromisoformat(first[0]) - datetime.fromisoformat(NINE)).days % 14 == 0
    await patient.book(doctor, first[0])


async def test_withdrawn_rule_closes_every_occurrence_and_keeps_appointments(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    published = await doctor.publish(NINE, TEN, "FREQ=WEEKLY")
    booked = [await patient.book(doctor, start) for start in (NINE, "2027-07-06T13:00:00Z")]
    response = await doctor.delete(f"/doctors/availability/{published['id']}")
    assert response.status_code == 204
    assert response.links["related"]["url"] == "/doctors/me/appointments?conflicting=true"
    assert await list_open_days(client, doctor, "2026-12-01", 124) == []
    assert_problem(await patient.try_to_book(doctor, "2026-12-15T14:00:00Z"), 409, "outside_availability")
    assert (await patient.get("/appointments")).json() == booked
    assert (await doctor.get(response.links["related"]["url"])).json() == booked


async def test_recurring_availabilities_are_paged(doctor: Person, clock: SetClock) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"], ["13:00", "17:00"]], friday=[["09:00", "12:00"]])
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T15:00:00Z", "FREQ=WEEKLY")
    await doctor.publish("2026-12-04T22:30:00Z", "2026-12-04T23:00:00Z")
    clock.advance(minutes=20)
    whole = (await doctor.get("/doctors/me/availability")).json()
    assert [each["start_time"] for each in whole] == sorted(each["start_time"] for each in whole)
    assert len(whole) == 4
    for limit in (1, 2, 3, 4):
        paged: list[object] = []
        path: str | None = f"/doctors/me/availability?limit={limit}"
        while path:
            response = await doctor.get(path)
            paged += response.json()
            path = next_page(response)
        assert paged == whole
