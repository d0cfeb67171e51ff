"""Lists of values in statements."""

from collections.abc import Collection


def padded[Value](values: Collection[Value]) -> list[Value]:
    """The values for an ``IN``, the last one repeated until there are 1, 2, 4, 8 …: few lengths, few statements.

    Each length is a statement of its own, which the database has to parse and to plan.
    """
    filled = list(values)
    if filled:
        filled += filled[-1:] * ((1 << (len(filled) - 1).bit_length()) - len(filled))
    return filled
