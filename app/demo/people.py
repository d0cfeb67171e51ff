"""The people of the demo: the doctors with everything that they would enter themselves, and the patients' names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.scheduling.hours import DayWindow, WeeklyHours
from app.scheduling.visits import VisitMode

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_VIDEO, _PHONE = VisitMode.VIDEO, VisitMode.PHONE


@dataclass(frozen=True, slots=True)
class DemoVisitType:
    """A visit type, and the reasons that patients give for it."""

    reasons: tuple[str, ...]
    fields: Mapping[str, Any] | None = None
    """The fields of the visit type; ``None`` for the visits of a doctor without visit types."""

    @property
    def mode(self) -> VisitMode:
        """How the doctor and the patient meet."""
        return VisitMode((self.fields or {}).get("mode", VisitMode.IN_PERSON))


@dataclass(frozen=True, slots=True)
class DemoDoctor:
    """A doctor with profile, hours and visit types."""

    name: str
    specialty: str
    time_zone: str
    hours: WeeklyHours
    bio: str
    languages: tuple[str, ...]
    visit_types: tuple[DemoVisitType, ...]
    settings: Mapping[str, int] = field(default_factory=dict)
    """Limits, and the length of the usual visit."""
    saturdays: DayWindow | None = None
    """The hours on every second Saturday."""
    holiday: tuple[int, int] | None = None
    """The first and the last day of a holiday, in days from today."""
    conference: str | None = None
    """The reason for time off that is entered after patients have booked visits in it."""
    shows: str | None = None
    """What a user can see in this doctor's account."""


def _visit(name: str, minutes: int, *reasons: str, **fields: Any) -> DemoVisitType:
    return DemoVisitType(reasons, {"name": name, "duration_minutes": minutes, **fields})


def _on(days: str, *windows: tuple[float, float]) -> dict[int, list[DayWindow]]:
    """Return windows, given in hours after midnight, for the days; 25 means 1:00 on the next day."""
    return {_DAYS.index(day): [_window(*window) for window in windows] for day in days.split()}


def _window(start: float, end: float) -> DayWindow:
    return int(start * 60), int(end * 60)


DOCTORS = (
    DemoDoctor(
        "Dr Ifeoma Adichie",
        "Cardiology",
        "America/New_York",
        _on("mon tue thu fri", (9, 12), (13, 17)) | _on("wed", (9, 13)),
        "Rhythm disorders and everything after a heart attack. Bring your list of medicines.",
        ("en", "ig"),
        (
            _visit(
                "First visit",
                40,
                "Palpitations when climbing stairs",
                "Shortness of breath",
                "Chest pain under stress",
                buffer_after_minutes=10,
                daily_limit=4,
            ),
            _visit(
                "Follow-up",
                20,
                "Follow-up after a stent",
                "Blood pressure check",
                "ECG before an operation",
                buffer_after_minutes=5,
            ),
            _visit("Results by phone", 10, "Results of the long-term ECG", "Review of blood thinners", mode=_PHONE),
        ),
        {"min_notice_minutes": 120, "max_advance_days": 60, "cancel_cutoff_minutes": 24 * 60},
        conference="Cardiology congress in Chicago",
        shows="visit types, limits, visits during a conference: /practice/hours/conflicts",
    ),
    DemoDoctor(
        "Dr Annika Feldmann",
        "General practice",
        "Europe/Berlin",
        _on("mon tue thu", (7.5, 11.5), (12, 15.5)) | _on("wed fri", (7.5, 12.5)),
        "Third-generation family doctor. Vaccinations without an appointment on Friday mornings.",
        ("de", "en"),
        (
            DemoVisitType(
                (
                    "Sore throat and fever",
                    "Repeat prescription",
                    "Flu vaccination",
                    "Blood test results",
                    "Back pain since last week",
                    "Tired all the time",
                )
            ),
        ),
        {"default_visit_minutes": 20},
        shows="no visit types: any length within GET /doctors/{id}/availability can be booked",
    ),
    DemoDoctor(
        "Dr Arjun Mehta",
        "Dermatology",
        "Asia/Kolkata",
        _on("mon tue wed thu fri", (11, 14), (15, 19)),
        "Skin, hair and nails. For a video visit, please send photographs the day before.",
        ("en", "hi", "gu"),
        (
            _visit(
                "Skin check",
                25,
                "A mole that has changed",
                "Yearly skin check",
                "Rash after a new medicine",
                buffer_after_minutes=5,
            ),
            _visit("Video visit", 15, "Acne, second visit", "Eczema on both hands", "Hair loss", mode=_VIDEO),
        ),
        holiday=(16, 20),
    ),
    DemoDoctor(
        "Dr Lucía Ortega",
        "Pediatrics",
        "Europe/Madrid",
        _on("mon tue thu fri", (9, 14), (16, 19)) | _on("wed", (9, 14)),
        "For children from birth to sixteen. Open every second Saturday for parents who work.",
        ("es", "ca", "en"),
        (
            _visit(
                "Check-up",
                30,
                "Two-year check-up",
                "Check-up before school",
                "Growth and weight",
                buffer_before_minutes=5,
                buffer_after_minutes=5,
            ),
            _visit("Ill child", 15, "Ear ache since the weekend", "Cough that does not go away", "Fever and a rash"),
            _visit("Vaccination", 10, "Measles vaccination", "Second dose", max_advance_days=40),
        ),
        {"cancel_cutoff_minutes": 120},
        saturdays=_window(10, 13),
        shows="every second Saturday in addition to the weekly hours: GET /doctors/me/availability",
    ),
    DemoDoctor(
        "Dr Charlotte Nguyen",
        "Psychiatry",
        "Australia/Sydney",
        _on("mon tue thu fri", (9, 12), (13, 17)),
        "Adults only. The first conversation is in my rooms; after that, video is fine.",
        ("en", "vi"),
        (
            _visit(
                "First conversation",
                80,
                "First conversation",
                "Second opinion",
                buffer_after_minutes=10,
                daily_limit=1,
                min_notice_minutes=48 * 60,
            ),
            _visit("Session", 50, "Follow-up", "Panic attacks", "Sleep and low mood", buffer_after_minutes=10),
            _visit("Session by video", 50, "Follow-up", "Review of medication", buffer_after_minutes=10, mode=_VIDEO),
        ),
        {"min_notice_minutes": 24 * 60, "cancel_cutoff_minutes": 48 * 60},
    ),
    DemoDoctor(
        "Dr Kwame Mensah",
        "Orthopedics",
        "Europe/London",
        _on("mon tue wed thu fri", (7.5, 11.5), (12, 15.5)),
        "Knees, shoulders, and plenty of sport. Please bring earlier X-rays.",
        ("en", "fr", "ak"),
        (
            _visit("Consultation", 30, "Knee pain when running", "Shoulder, third visit", "Hip replacement, questions"),
            _visit(
                "Plaster and splints",
                20,
                "Follow-up on a broken wrist",
                "Sprained ankle",
                buffer_before_minutes=10,
                buffer_after_minutes=10,
            ),
        ),
        {"daily_limit": 10},
    ),
    DemoDoctor(
        "Dr Daniel Rosenberg",
        "General practice",
        "America/New_York",
        _on("mon tue wed thu fri", (11, 14), (15, 19)) | _on("sat sun", (10, 16)),
        "Open late, and every day. House calls on request.",
        ("en", "he", "es"),
        (
            DemoVisitType(
                (
                    "Sore throat and fever",
                    "Travel vaccinations",
                    "Blood pressure check",
                    "Stomach ache after meals",
                    "Sick note",
                )
            ),
        ),
        {"default_visit_minutes": 20, "daily_limit": 8, "max_advance_days": 30},
    ),
    DemoDoctor(
        "Dr Elif Demir",
        "Neurology",
        "Europe/Berlin",
        _on("mon tue thu fri", (9, 12), (13, 17)),
        "Headache, epilepsy, multiple sclerosis.",
        ("de", "tr", "en"),
        (
            _visit(
                "Consultation",
                45,
                "Migraine, twice a week",
                "Numbness in the left hand",
                "Dizzy spells",
                buffer_after_minutes=15,
            ),
            _visit("EEG", 60, "EEG after a seizure", "Yearly EEG", buffer_before_minutes=15, buffer_after_minutes=15),
            _visit("Talk by phone", 15, "Follow-up on epilepsy medicine", "Trouble sleeping", mode=_PHONE),
        ),
        holiday=(21, 27),
    ),
    DemoDoctor(
        "Dr Nandini Rao",
        "General practice",
        "Asia/Kolkata",
        _on("tue wed thu fri sat", (9, 12), (13, 17)),
        "Diabetes and high blood pressure, with patience.",
        ("en", "kn", "te", "hi"),
        (
            _visit(
                "Visit", 20, "Tired all the time", "Diabetes check", "Back pain since last week", buffer_after_minutes=5
            ),
            _visit("Phone call", 10, "Repeat prescription", "Blood test results", mode=_PHONE, slot_step_minutes=15),
        ),
        {"min_notice_minutes": 60},
    ),
    DemoDoctor(
        "Dr Javier Iglesias",
        "Orthopedics",
        "Europe/Madrid",
        _on("mon tue wed thu", (9, 14), (16, 19)) | _on("fri", (9, 14)),
        "Hands and wrists. Operations at the Hospital del Mar.",
        ("es", "pt", "en"),
        (
            DemoVisitType(
                (
                    "Trigger finger",
                    "Numb fingers at night",
                    "Follow-up on a broken wrist",
                    "Stitches out",
                    "Tennis elbow",
                )
            ),
        ),
        {"default_visit_minutes": 25, "cancel_cutoff_minutes": 12 * 60},
    ),
    DemoDoctor(
        "Dr Matiu Parata",
        "General practice",
        "Australia/Sydney",
        _on("tue wed thu sat", (7.5, 11.5), (12, 15.5)) | _on("fri", (20, 26)),
        "On Friday nights I am there for those who cannot wait until Monday.",
        ("en", "mi"),
        (
            _visit("Visit", 20, "Sore throat and fever", "Cut that needs stitches", "Asthma", buffer_after_minutes=10),
            _visit("Video visit", 15, "Sick note", "Repeat prescription", mode=_VIDEO, max_advance_days=14),
        ),
    ),
    DemoDoctor(
        "Dr Fiona Gallagher",
        "Dermatology",
        "Europe/London",
        _on("mon tue wed fri", (9, 12), (13, 17)),
        "Skin cancer screening, and psoriasis from the first patch on.",
        ("en", "ga"),
        (
            _visit(
                "Screening",
                30,
                "Yearly skin check",
                "A mole that has changed",
                "Sunburn as a child, and many moles",
                buffer_after_minutes=5,
            ),
            _visit(
                "Small operation",
                45,
                "A mole to be removed",
                "Biopsy",
                buffer_before_minutes=15,
                buffer_after_minutes=15,
                min_notice_minutes=72 * 60,
                daily_limit=2,
            ),
            _visit("Results by video", 10, "Result of the biopsy", "Psoriasis, follow-up", mode=_VIDEO),
        ),
        conference="Dermatology meeting in Dublin",
    ),
    DemoDoctor(
        "Dr Nour El-Sayed",
        "Endocrinology",
        "Africa/Cairo",
        _on("sun mon tue wed", (18, 21), (22, 25)) | _on("sat", (19, 24)),
        "Thyroid and diabetes. Evening clinic, until 1 a.m.",
        ("ar", "en", "fr"),
        (
            _visit("Visit", 30, "Thyroid, first visit", "Diabetes, twice a year", "Weight", buffer_after_minutes=10),
            _visit("Video visit", 20, "Blood sugar diary", "Dose of the thyroid tablets", mode=_VIDEO),
        ),
        {"min_notice_minutes": 180, "daily_limit": 9},
        shows="hours past midnight, a daily limit: GET /doctors/{id}/explain",
    ),
    DemoDoctor(
        "Dr Beatriz Carvalho",
        "Gynecology",
        "America/Sao_Paulo",
        _on("mon tue wed thu", (8, 12), (14, 18)) | _on("fri", (8, 12)),
        "Pregnancies, contraception, menopause.",
        ("pt-BR", "es", "en"),
        (
            _visit(
                "Pregnancy check",
                30,
                "Check in the twelfth week",
                "Check in the thirtieth week",
                "Ultrasound",
                buffer_before_minutes=5,
                buffer_after_minutes=10,
            ),
            _visit("Consultation", 25, "Contraception", "Yearly check", "Hot flushes", buffer_after_minutes=5),
            _visit("Question by phone", 10, "Result of the smear", "Side effects of the pill", mode=_PHONE),
        ),
        {"max_advance_days": 90, "cancel_cutoff_minutes": 6 * 60},
        holiday=(29, 40),
    ),
)
ZONES = tuple(dict.fromkeys(doctor.time_zone for doctor in DOCTORS))

PATIENT_CANCELS = (
    "I am down with a cold",
    "I have to travel for work",
    "It is much better now",
    "I have no one to look after the children",
    None,
)
DOCTOR_CANCELS = (
    "I have been called to an emergency",
    "I am ill myself, please book again",
    "The room is being repaired that day",
)

# Given names and family names of the same origin, so that their combinations are plausible.
NAMES = (
    ("Adaeze Chidi Ngozi Emeka Zainab Tunde", "Okafor Adeyemi Balogun Eze Bello Nwosu"),
    ("Anna Lukas Greta Jonas Marlene Felix", "Hoffmann Schäfer Krüger Vogel Lindner Brandt"),
    ("Carmen Mateo Inés Álvaro Rocío Hugo", "Herrera Navarro Ibáñez Serrano Cortés Molina"),
    ("Priya Rohan Ananya Vikram Meera Kabir", "Sharma Iyer Banerjee Reddy Kulkarni Nair"),
    ("Grace Oliver Hannah Callum Imogen Toby", "Whitfield Ashworth Barlow Prescott Thornton Hale"),
    ("Mei Jun Xiu Wei Lan Hao", "Chen Zhang Liu Huang Zhao Lin"),
    ("Yuki Haruto Sakura Kenta Aiko Ren", "Tanaka Mori Fujita Ishikawa Nakamura Ono"),
    ("Leila Omar Yasmin Karim Samira Tariq", "Haddad Mansour Rahimi Nasser Farouk Aziz"),
    ("Sofia Marek Zuzana Pavel Irena Tomas", "Novak Kowalski Horvath Petrov Kovac Dvorak"),
    ("Maya Marcus Naomi Isaiah Simone Jerome", "Washington Coleman Brooks Sinclair Rivers Hayes"),
)
