"""Telephone numbers in the format E.164."""

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat


def read_phone(text: str, country: str | None = None) -> str | None:
    """Return the number in the format E.164; ``None`` if it is none.

    Without a country code, it is a number of ``country``, an ISO 3166-1 code.
    """
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException:
        return None
    # Not `is_valid_number`: it would refuse numbers of ranges that are newer than the installed library.
    if number.extension or not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def format_phone(number: str) -> str:
    """Return an E.164 number as people write it, with its country code."""
    return phonenumbers.format_number(phonenumbers.parse(number), PhoneNumberFormat.INTERNATIONAL)
