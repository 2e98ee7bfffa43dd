from itertools import pairwise

import numpy as np
import pytest

from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.methods.float8 import Float8, Float8Settings, power_of_two
from bench.embeddings.served.eight_bits import numbers, spacing, stochastic
from bench.errors import RunFailed

KINDS = ("fp8", "nfp8")


def serve(table, **settings):
    table = np.asarray(table, np.float32)
    method = Float8(Vocabulary("user", len(table)), table.shape[1], Float8Settings(**settings))
    return method.served(), method.serve({"table": table}, np.random.default_rng(0))


def vectors(table, **settings):
    form, arrays = serve(table, **settings)
    return form(np.arange(len(table)), arrays)


def of_code(code, kind):
    """The number of a code by the definition; None if the kind does not use the code."""
    sign, exponent, mantissa = code >> 7, code >> 3 & 15, code & 7
    if exponent == 15 and (kind == "fp8" or mantissa == 7):
        return None
    size = mantissa / 8 * 2.0**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)
    return -size if sign else size


def test_numbers_by_hand():
    table = [[0.7, 300, -300, 2.0**-10, 1e9]]
    np.testing.assert_array_equal(vectors(table, kind="fp8", scaled=False), [[0.6875, 240, -240, 0, 240]])
    np.testing.assert_array_equal(vectors(table, kind="nfp8", scaled=False), [[0.6875, 288, -288, 0, 448]])


@pytest.mark.parametrize("kind", KINDS)
def test_all_codes(kind):
    """Each code's number stays. Between two neighbours, the nearer one is taken; midway, that of an even code."""
    found = numbers(kind)
    used = [code for code in range(256) if of_code(code, kind) is not None]
    assert len(used) == {"fp8": 240, "nfp8": 254}[kind]
    table = np.array([[of_code(code, kind) for code in used]], np.float32)
    np.testing.assert_array_equal(found[used], table[0])
    assert np.isfinite(found).all() and np.abs(found).max() == {"fp8": 240, "nfp8": 448}[kind]
    _, arrays = serve(table, kind=kind, scaled=False)
    np.testing.assert_array_equal(arrays["codes"], [used])
    positive = [code for code in used if code < 128]
    for low, high in pairwise(positive):
        a, b = of_code(low, kind), of_code(high, kind)
        middle, step = (a + b) / 2, b - a
        row = np.array([[a + 0.49 * step, middle, a + 0.51 * step]], np.float32)
        even = low if low % 2 == 0 else high
        for sign in (1, -1):
            _, arrays = serve(sign * row, kind=kind, scaled=False)
            np.testing.assert_array_equal(arrays["codes"], np.array([[low, even, high]]) + 128 * (sign < 0))
        assert spacing(np.float32(middle), kind, np) == step


@pytest.mark.parametrize("kind", KINDS)
def test_a_power_of_two_brings_a_table_into_range(kind):
    table = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    for scale in (1e-6, 0.03, 1, 1e5, 1e37):
        own = (table * scale).astype(np.float32)
        found = vectors(own, kind=kind)
        noise = np.square((found - own).astype(float)).mean() / np.square(own.astype(float)).mean()
        assert -10 * np.log10(noise) == pytest.approx(31.5, abs=0.3)
    assert -10 * np.log10(np.square(vectors(table * 0.003, scaled=False) / 0.003 - table).mean()) < 25
    np.testing.assert_array_equal(vectors(np.zeros((2, 3))), np.zeros((2, 3)))


def test_powers_of_two():
    assert [power_of_two(x) for x in (1, 1.01, 2, 0.5, 0.3, 0)] == [1, 2, 2, 0.5, 0.5, 1]


def test_stochastic_rounding_takes_the_neighbours_and_keeps_the_expectation():
    values = np.array([0.7, -0.7, 0.013, 17.3, 2.0**-10, 239, 1.96875], np.float32)
    noise = np.random.default_rng(1).random((20_000, 7), np.float32)
    out = stochastic(np.tile(values, (20_000, 1)), noise, "fp8", np)
    assert [sorted(set(column.tolist())) for column in out.T][:2] == [[0.6875, 0.75], [-0.75, -0.6875]]
    step = spacing(values, "fp8", np)
    np.testing.assert_allclose(out.mean(axis=0, dtype=float), values, atol=float(step.max()) * 0.02)
    assert np.all(np.abs(out.mean(axis=0, dtype=float) - values) <= step * 0.02)
    assert set(out[:, 6]) == {1.875, 2.0}  # the neighbour above has another exponent


def test_bytes_and_no_other_size():
    field, size = Vocabulary("user", 6040), 6040 * 64 + 1024
    assert Float8(field, 64).serving_bytes() == {Kind.CODES: 6040 * 64, Kind.OTHER: 1024}
    assert Float8.fit(field, 64, Float8Settings(), size) == Float8Settings()
    with pytest.raises(OverBudget, match=f"float8 takes {size} bytes"):
        Float8.fit(field, 64, Float8Settings(), size - 1)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(wrong):
    with pytest.raises(RunFailed, match="field user: a weight is no finite number"):
        serve([[1, wrong]])
