"""Numbers as people read them."""

import pytest

from bench.measure import units


@pytest.mark.parametrize(
    ("call", "number", "text"),
    [
        (units.count, 117_968, "117,968"),
        (units.size, 1, "1 byte"),
        (units.size, 1_000, "1,000 bytes"),
        (units.size, 483_072, "483,072 bytes (472 KiB)"),
        (units.size, 2_494_976, "2,494,976 bytes (2.38 MiB)"),
        (units.short_size, 0, "0 bytes"),
        (units.short_size, 7 * 2**40 * 1000, "7,000 TiB"),
        (units.duration, 0.00041, "0.000410 s"),
        (units.duration, 12.345, "12.3 s"),
        (units.duration, 99.96, "1 min 40 s"),
        (units.duration, 3599.7, "1 h 00 min"),
    ],
)
def test_numbers_for_people(call, number, text):
    assert call(number) == text
