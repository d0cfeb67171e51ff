"""Days and hours of a week, and strategies that draw them."""

from datetime import date

from hypothesis import strategies as st

MONDAY, TUESDAY, WEDNESDAY, SATURDAY, SUNDAY = 0, 1, 2, 5, 6
HOUR, WEEK = 60, 7 * 24 * 60
NINE_TO_FIVE = (9 * HOUR, 17 * HOUR)

quarters = st.tuples(st.integers(0, 95), st.integers(1, 96)).map(lambda each: (each[0] * 15, sum(each) * 15))
weekly_hours = st.dictionaries(st.integers(0, 6), st.lists(quarters, max_size=3))
days = st.dates(date(2026, 1, 1), date(2026, 12, 31))
