import numpy as np
import pytest

from bench.embeddings import find
from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.hashing import PRIME
from bench.embeddings.methods.ce import CE, CESettings
from bench.errors import RequestError


def ce(size=6040, dim=64, **settings):
    return CE(Vocabulary("user", size), dim, CESettings(**settings))


def place(i, coefficients, rows):
    return sum(int(c) * i**power for power, c in enumerate(coefficients)) % PRIME * rows // 2**31


@pytest.mark.parametrize(("dim", "chunks"), [(8, 4), (6, 3), (5, 2), (5, 1)])
def test_vectors_by_the_formula(dim, chunks):
    method = ce(40, dim, num_rows=7, num_chunks=chunks)
    maps, width = method.build_maps(), -(-dim // chunks)
    table = np.random.default_rng(0).normal(size=(chunks * 7, width)).astype(np.float32)
    found = method(np.arange(40), {"table": table, **maps})
    for i in range(40):
        pieces = [table[7 * c + place(i, maps["hash"][c], 7)] for c in range(chunks)]
        np.testing.assert_array_equal(found[i], np.concatenate(pieces)[:dim])


@pytest.mark.parametrize(
    ("dim", "given", "chunks", "width"),
    [(64, 4, 4, 16), (50, 4, 4, 13), (5, 4, 3, 2), (3, 4, 3, 1), (1, 4, 1, 1)],
)
def test_chunks_of_widths_that_do_not_divide(dim, given, chunks, width):
    method = ce(100, dim, num_chunks=given)
    assert method.settings.num_chunks == chunks
    assert method.tables()[0].shape == (chunks * 10, width)
    assert ce(100, dim, **vars(method.settings)).settings == method.settings


def test_chunks_are_hashed_apart():
    method = ce()
    places = method.lookups(np.arange(6040), method.build_maps(), np)["table"] - 604 * np.arange(4)
    assert places.min() >= 0 and places.max() < 604
    assert np.mean(places[:, 0] == places[:, 1]) < 0.01
    assert len(np.unique(places, axis=0)) == 6040


def test_one_table_is_read_whole_by_every_chunk():
    method = ce(40, 6, num_rows=7, num_chunks=3, one_table=True)
    maps = method.build_maps()
    table = np.random.default_rng(0).normal(size=(21, 2)).astype(np.float32)
    found = method(np.arange(40), {"table": table, **maps})
    for i in range(40):
        pieces = [table[place(i, maps["hash"][c], 21)] for c in range(3)]
        np.testing.assert_array_equal(found[i], np.concatenate(pieces))
    assert method.nbytes == ce(40, 6, num_rows=7, num_chunks=3).nbytes == 21 * 2 * 4 + 3 * 32
    hashed, alone = find("hash")(Vocabulary("user", 40), 6), ce(40, 6, num_chunks=1, one_table=True)
    np.testing.assert_array_equal(
        alone.lookups(np.arange(40), alone.build_maps(), np)["table"][:, 0],
        hashed.lookups(np.arange(40), hashed.build_maps(), np)["table"],
    )


def test_bytes_by_hand():
    assert ce(num_rows=100).nbytes == 100 * 64 * 4 + 4 * 32
    assert ce(dim=50, num_rows=100).nbytes == 100 * 52 * 4 + 4 * 32


def test_fit_takes_the_last_row_that_fits():
    field, rows = Vocabulary("user", 6040), 300 * 256 + 128
    assert CE.fit(field, 64, CESettings(), rows).num_rows == 300
    assert CE.fit(field, 64, CESettings(), rows - 1).num_rows == 299
    assert CE.fit(field, 64, CESettings(num_rows=7), 10**9).num_rows == 7
    assert CE.fit(field, 64, CESettings(), 10**9).num_rows == 6040
    with pytest.raises(OverBudget) as caught:
        CE.fit(field, 64, CESettings(), 383)
    assert caught.value.smallest_bytes == 384


def test_row_numbers_of_the_largest_vocabulary_are_int32():
    method = ce(2**31 - 1, 4, num_rows=2**31 - 1)
    rows = method.lookups(np.array([0, 5, 2**31 - 2]), method.build_maps(), np)["table"]
    assert method.num_rows == (2**31 - 1) // 4
    assert rows.min() >= 0 and np.array_equal(rows // method.num_rows, [[0, 1, 2, 3]] * 3)


@pytest.mark.parametrize("setting", ["num_rows", "num_chunks"])
def test_sizes_of_nothing_are_refused(setting):
    with pytest.raises(RequestError, match=f"{setting}=0: give 1 or more"):
        ce(**{setting: 0})
