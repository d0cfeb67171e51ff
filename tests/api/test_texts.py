"""Line breaks and bidirectional characters in texts."""

from tests.conftest import Register
from tests.people import Person, assert_problem, next_page

START = "2099-12-08T10:00:00Z"


async def test_all_line_breaks_become_line_feeds(doctor: Person, patient: Person) -> None:
    await doctor.publish("2099-12-08T09:00:00Z", "2099-12-08T12:00:00Z")
    for line_break in ("\r\n", "\r", "\u2028", "\u2029", "\x85"):
        booked = await patient.book(doctor, START, reason=f"Cough{line_break}since Monday")
        assert booked["reason"] == "Cough\nsince Monday"
        body = {"reason": f"Better{line_break}now"}
        cancelled = await patient.post(f"/appointments/{booked['id']}/cancel", body)
        assert cancelled.json()["cancel_reason"] == "Better\nnow"
        changed = await doctor.update_profile(bio=f"One{line_break}{line_break}two")
        assert changed["bio"] == "One\n\ntwo"


async def test_line_break_of_two_characters_counts_once(doctor: Person) -> None:
    text = "x\r\n" * 999 + "xx"
    assert (await doctor.patch("/doctors/me", {"bio": text})).json()["bio"] == text.replace("\r", "")


async def test_direction_marks_are_kept(doctor: Person, patient: Person) -> None:
    name = "د. سارة \u200f(العيون)\u200e\u061c"
    assert (await doctor.patch("/doctors/me", {"name": name, "specialty": name})).json()["name"] == name
    await doctor.publish("2099-12-08T09:00:00Z", "2099-12-08T12:00:00Z")
    booking = {"doctor_id": doctor.id, "start_time": START, "reason": "\u200fכאב 3\u200e"}
    assert (await patient.post("/appointments", booking)).json()["reason"] == "\u200fכאב 3\u200e"


async def test_list_continues_after_a_name_with_direction_marks(register: Register) -> None:
    doctors = [await register("doctor", name=f"\u200f\u05d3\u05e0\u05d4 {number}\u200e") for number in range(2)]
    first = await doctors[0].get("/doctors?limit=1")
    following = next_page(first)
    assert following
    second = await doctors[0].get(following)
    assert second.status_code == 200
    assert {each["id"] for each in first.json() + second.json()} == {each.id for each in doctors}


async def test_bidirectional_overrides_are_refused(doctor: Person) -> None:
    for control in ("\u202a", "\u202e", "\u202c", "\u2066", "\u2068", "\u2069"):
        for field in ("name", "specialty", "bio"):
            response = await doctor.patch("/doctors/me", {field: f"Ann{control}Lee"})
            assert_problem(response, 422, "invalid_request")
