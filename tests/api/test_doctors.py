import base64

import httpx2

from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_windows, next_page

NINE, FIVE = "2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z"


async def test_published_availability_is_listed(client: httpx2.AsyncClient, doctor: Person) -> None:
    published = await doctor.publish("2026-12-08T09:00:00-05:00", "2026-12-08T17:00:00-05:00")
    assert published == {
        "id": published["id"],
        "doctor_id": doctor.id,
        "start_time": NINE,
        "end_time": FIVE,
        "time_zone": "America/New_York",
        "recurrence": None,
        "weekly_hours": False,
    }
    assert (await doctor.get("/doctors/me/availability")).json() == [published]
    assert await get_windows(client, doctor) == [(NINE, FIVE)]


async def test_overlapping_availability_is_refused(doctor: Person, register: Register) -> None:
    published = await doctor.publish(NINE, FIVE)
    for start, end in (
        (NINE, FIVE),
        ("2026-12-08T13:00:00Z", "2026-12-08T14:00:01Z"),
        ("2026-12-08T21:59:59Z", "2026-12-09T00:00:00Z"),
        ("2026-12-08T15:00:00Z", "2026-12-08T16:00:00Z"),
        ("2026-12-05T00:00:00Z", "2026-12-12T00:00:00Z"),
    ):
        response = await doctor.post("/doctors/availability", {"start_time": start, "end_time": end})
        assert_problem(response, 409, "availability_overlaps")
        await (await register("doctor")).publish(start, end)
    assert (await doctor.get("/doctors/me/availability")).json() == [published]


async def test_adjacent_availabilities_form_one_window(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.publish(NINE, "2026-12-08T18:00:00Z")
    await doctor.publish("2026-12-08T18:00:00Z", FIVE)
    assert await get_windows(client, doctor) == [(NINE, FIVE)]
    await patient.book(doctor, "2026-12-08T17:45:00Z", "2026-12-08T18:15:00Z")


async def test_invalid_availability_is_refused(doctor: Person) -> None:
    failures = []
    cases: list[tuple[object, object, str]] = [
        ("2026-12-01T07:59:59Z", "2026-12-01T09:00:00Z", "start_time"),
        ("2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z", "start_time"),
        (NINE, NINE, "end_time"),
        (FIVE, NINE, "end_time"),
        (NINE, "2026-12-15T14:00:00.000001Z", "end_time"),
        ("2026-12-08T09:00:00", FIVE, "start_time"),
        (NINE, "2026-12-08", "end_time"),
        (1796724000, FIVE, "start_time"),
        ("1796724000.0", FIVE, "start_time"),
        (NINE, "9999-12-31T23:59:59Z", "end_time"),
        ("0001-01-01T00:00:00+14:00", FIVE, "start_time"),
        ("2026-12-08T09:00:00+23:59", FIVE, "start_time"),
        ("2026-02-30T09:00:00Z", FIVE, "start_time"),
        ("2026-12-08T25:00:00Z", FIVE, "start_time"),
        ("2026-12-08T09:00:60Z", FIVE, "start_time"),
        ("２０２６-12-08T09:00:00Z", FIVE, "start_time"),
        (None, FIVE, "start_time"),
        ({"$gt": ""}, FIVE, "start_time"),
        (True, FIVE, "start_time"),
    ]
    for start, end, field in cases:
        response = await doctor.post("/doctors/availability", {"start_time": start, "end_time": end})
        named = [error["field"] for error in response.json().get("errors", [])]
        if (response.status_code, named) != (422, [field]):
            failures.append((start, end, response.text))
    assert not failures
    assert (await doctor.get("/doctors/me/availability")).json() == []


async def test_availability_may_last_a_week(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish(NINE, "2026-12-15T14:00:00Z")
    assert await get_windows(client, doctor, to="2026-12-31T00:00:00Z") == [(NINE, "2026-12-15T14:00:00Z")]


async def test_availability_on_the_days_when_clocks_change_keeps_its_instants(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    for start, end in (
        ("2027-11-07T05:30:00Z", "2027-11-07T06:30:00Z"),  # 01:30 to 01:30, an hour later
        ("2027-11-07T06:30:00Z", "2027-11-07T07:00:00Z"),  # the second 01:30
        ("2027-11-07T05:00:00Z", "2027-11-07T08:00:00Z"),
        ("2027-03-14T06:00:00Z", "2027-03-14T08:00:00Z"),  # 01:00 to 04:00
    ):
        published = await doctor.publish(start, end)
        assert (published["start_time"], published["end_time"]) == (start, end)
        assert await get_windows(client, doctor, **{"from": start, "to": end}) == [(start, end)]
        booked = await patient.book(doctor, start)
        assert booked["start_time"] == start
        await doctor.delete(f"/appointments/{booked['id']}")
        await doctor.delete(f"/doctors/availability/{published['id']}")


async def test_withdrawn_availability_leaves_appointments(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    published = await doctor.publish(NINE, FIVE)
    booked = await patient.book(doctor, NINE)
    response = await doctor.delete(f"/doctors/availability/{published['id']}")
    assert response.status_code == 204
    assert response.content == b""
    assert await get_windows(client, doctor) == []
    assert (await patient.get(f"/appointments/{booked['id']}")).json() == booked
    assert_problem(await patient.try_to_book(doctor, "2026-12-08T16:00:00Z"), 409, "outside_availability")
    assert_problem(await doctor.delete(f"/doctors/availability/{published['id']}"), 404, "not_found")


async def test_availability_of_another_doctor_is_not_found(doctor: Person, register: Register) -> None:
    published = await doctor.publish(NINE, FIVE)
    other = await register("doctor")
    assert_problem(await other.delete(f"/doctors/availability/{published['id']}"), 404, "not_found")
    assert (await doctor.get("/doctors/me/availability")).json() == [published]


async def test_free_windows_are_clipped_to_the_requested_span(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.publish(NINE, FIVE)
    await patient.book(doctor, "2026-12-08T16:00:00Z", "2026-12-08T17:00:00Z")
    requested = {"from": "2026-12-08T16:30:00Z", "to": "2026-12-08T18:00:00Z"}
    assert await get_windows(client, doctor, **requested) == [("2026-12-08T17:00:00Z", "2026-12-08T18:00:00Z")]
    assert await get_windows(client, doctor, **requested | {"to": "2026-12-08T17:00:00Z"}) == []


async def test_free_windows_default_to_two_weeks(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish("2026-12-14T08:00:00Z", "2026-12-16T08:00:00Z")
    assert await get_windows(client, doctor) == [("2026-12-14T08:00:00Z", "2026-12-15T08:00:00Z")]
    later = {"from": "2026-12-15T08:00:00Z"}
    assert await get_windows(client, doctor, **later) == [("2026-12-15T08:00:00Z", "2026-12-16T08:00:00Z")]


async def test_past_time_is_not_free(client: httpx2.AsyncClient, doctor: Person, clock: SetClock) -> None:
    await doctor.publish("2026-12-01T08:00:00Z", "2026-12-01T10:00:00Z")
    clock.advance(hours=1)
    requested = {"from": "2026-12-01T00:00:00Z", "to": "2026-12-02T00:00:00Z"}
    assert await get_windows(client, doctor, **requested) == [("2026-12-01T09:00:00Z", "2026-12-01T10:00:00Z")]


async def test_requested_span_is_bounded(client: httpx2.AsyncClient, doctor: Person) -> None:
    failures = []
    for query, status in (
        ({"from": NINE, "to": NINE}, 422),
        ({"from": FIVE, "to": NINE}, 422),
        ({"from": "2026-12-08T00:00:00Z", "to": "2027-02-08T00:00:00Z"}, 200),
        ({"from": "2026-12-08T00:00:00Z", "to": "2027-02-08T00:00:00.000001Z"}, 422),
        ({"from": "2999-12-31T00:00:00Z"}, 200),
        ({"to": "2999-12-31T00:00:00Z"}, 422),
        ({"from": "2026-12-08T00:00:00"}, 422),
        ({"zone": "UTC"}, 422),
    ):
        response = await client.get(f"/doctors/{doctor.id}/availability", params=query)
        if response.status_code != status:
            failures.append((query, response.status_code, response.text))
    assert not failures


async def test_unescaped_plus_of_an_offset_is_explained(client: httpx2.AsyncClient, doctor: Person) -> None:
    response = await client.get(f"/doctors/{doctor.id}/availability?from=2026-12-08T10:00:00+01:00")
    assert "%2B" in assert_problem(response, 422, "invalid_request")["errors"][0]["message"]


async def test_patient_or_unknown_id_is_not_found_as_a_doctor(client: httpx2.AsyncClient, patient: Person) -> None:
    for doctor_id in ("019abcde-f012-7345-8678-9abcdef01234", patient.id):
        for path in ("", "/availability"):
            assert_problem(await client.get(f"/doctors/{doctor_id}{path}"), 404, "not_found")


async def names(client: httpx2.AsyncClient, **query: str) -> list[str]:
    response = await client.get("/doctors", params=query)
    assert response.status_code == 200, response.text
    return [doctor["name"] for doctor in response.json()]


async def test_doctors_are_found_by_name_and_specialty(client: httpx2.AsyncClient, register: Register) -> None:
    await register("doctor", name="Dr José Ångström", specialty="Cardiology")
    await register("doctor", name="Dr Amara Okafor", specialty="Dermatology")
    await register("doctor", name="dr beatriz 100% Lima_", specialty="dermatology")
    await register("doctor", name="Dr 安娜 李")
    await register("patient", name="Dr Who")
    everybody = ["Dr Amara Okafor", "dr beatriz 100% Lima_", "Dr José Ångström", "Dr 安娜 李"]
    assert await names(client) == everybody
    assert await names(client, specialty="DERMATOLOGY") == everybody[:2]
    assert await names(client, q="angstrom") == ["Dr José Ångström"]
    assert await names(client, q="JOSÉ ån") == ["Dr José Ångström"]
    assert await names(client, q="安娜") == ["Dr 安娜 李"]
    assert await names(client, q="okafor", specialty="Dermatology") == ["Dr Amara Okafor"]
    assert await names(client, q="okafor", specialty="Cardiology") == []
    assert await names(client, specialty="Derm") == []


async def test_wildcards_in_a_search_are_plain_text(client: httpx2.AsyncClient, register: Register) -> None:
    for name in ("Amara Okafor", "Beatriz 100% Lima_", "Carl Olsen"):
        await register("doctor", name=name)
    patterns = {"%": 1, "_": 1, "100%": 1, "'; DROP TABLE users; --": 0, "\\": 0, "/": 0, "": 3, "a%o": 0}
    assert {q: len(await names(client, q=q)) for q in patterns} == patterns


async def test_doctors_are_paged(client: httpx2.AsyncClient, register: Register) -> None:
    for name in ("Same Name", "Same Name", "Ångström", "Zoë", "Okafor & Sons <rel>"):
        await register("doctor", name=name, specialty="A & B")
    whole = (await client.get("/doctors")).json()
    assert len(whole) == 5
    for limit in (1, 2, 3):
        paged: list[object] = []
        path: str | None = f"/doctors?limit={limit}&specialty=a%20%26%20b"
        while path:
            response = await client.get(path)
            paged += response.json()
            path = next_page(response)
        assert paged == whole, limit


async def test_availabilities_are_paged(doctor: Person) -> None:
    published = [
        await doctor.publish(f"2026-12-{day:02}T09:00:00Z", f"2026-12-{day:02}T10:00:00Z") for day in range(8, 13)
    ]
    paged: list[object] = []
    path: str | None = "/doctors/me/availability?limit=2"
    while path:
        response = await doctor.get(path)
        paged += response.json()
        path = next_page(response)
    assert paged == published


async def test_names_with_long_keys_do_not_end_the_list(client: httpx2.AsyncClient, register: Register) -> None:
    long_names = ("ß" * 100, "Dr " + "ﬃ" * 60, "ﷺ" * 99 + "a", "\U0001112e" * 99 + "a")
    registered = [(await register("doctor", name=name)).id for name in ("Amara", *long_names, *long_names, "Zoë")]
    listed: list[str] = []
    path: str | None = "/doctors?limit=1"
    while path:
        response = await client.get(path)
        assert response.status_code == 200, response.text
        listed += [doctor["id"] for doctor in response.json()]
        path = next_page(response)
    assert sorted(listed) == sorted(registered)


async def test_invalid_query_of_doctors_is_refused(client: httpx2.AsyncClient) -> None:
    for query in (
        "limit=0",
        "limit=1&limit=2",
        "q=a&q=b",
        "limit=-1",
        "cursor=x",
        "sort=name",
        "q=%00",
        "q=" + "x" * 101,
        "q=%E2%80%AE",
    ):
        assert_problem(await client.get(f"/doctors?{query}"), 422, "invalid_request")


async def test_forged_cursor_of_doctors_is_refused(client: httpx2.AsyncClient) -> None:
    for name in ("\\u0000", "\\ud800", "x" * 300, "\\u202e"):
        key = f'["{name}","019abcde-f012-7345-8678-9abcdef01234"]'
        cursor = base64.urlsafe_b64encode(key.encode()).decode()
        assert_problem(await client.get(f"/doctors?cursor={cursor}"), 422, "invalid_request")


async def test_invalid_id_in_a_path_is_refused(client: httpx2.AsyncClient, patient: Person) -> None:
    for id_ in ("2147483648", "9223372036854775808", "1" * 23, "null", "%2e%2e", "%00", "x" * 5000):
        for response in (
            await client.get(f"/doctors/{id_}"),
            await patient.get(f"/appointments/{id_}"),
            await patient.delete(f"/appointments/{id_}"),
        ):
            assert response.status_code in {404, 405, 422}, id_
            assert response.headers["content-type"] == "application/problem+json"


async def test_doctor_is_found_by_common_spellings_of_the_name(client: httpx2.AsyncClient, register: Register) -> None:
    obrien, jablonski, groesse = (
        "Sin\u00e9ad O\u2019Brien",
        "\u0141ukasz Jab\u0142o\u0144ski",
        "Anne-Marie Gr\u00f6\u00dfe",
    )
    for name in (obrien, jablonski, groesse):
        await register("doctor", name=name, specialty="Ear-nose-throat")
    expected = {
        "O'Brien": [obrien],
        "O\u2018Brien": [obrien],
        "obrien": [obrien],
        "o brien": [obrien],
        "brien sinead": [obrien],
        "lukasz": [jablonski],
        "JABLONSKI, LUKASZ": [jablonski],
        "anne marie": [groesse],
        "anne\u2011marie": [groesse],
        "Gr\u00f6sse Anne": [groesse],
        "an ne": [groesse],
        "anne brien": [],
        "50%": [],
    }
    assert {q: await names(client, q=q) for q in expected} == expected
    assert len(await names(client, specialty="EAR NOSE THROAT")) == 3
