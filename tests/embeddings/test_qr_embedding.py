import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.qr import QR, QRSettings
from bench.errors import RequestError


def qr(size=6040, dim=64, **settings):
    return QR(Vocabulary("user", size), dim, QRSettings(**settings))


def shapes(method):
    return [(a.name, a.shape) for a in method.tables()]


def test_digits_by_hand():
    rows = qr(10, 2, num_buckets=4).lookups(np.arange(10), {}, np)
    np.testing.assert_array_equal(rows["quotient"], [0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    np.testing.assert_array_equal(rows["remainder"], [0, 1, 2, 3, 0, 1, 2, 3, 0, 1])


def test_the_largest_ids_have_exact_digits():
    size = 2**31 - 1
    method = qr(size, 2, num_buckets=50_000)
    ids = np.array([size - 1, 2**24 + 1, 2**30 + 7])
    rows = method.lookups(ids, {}, np)
    assert [*zip(rows["quotient"].tolist(), rows["remainder"].tolist(), strict=True)] == [
        divmod(int(i), 50_000) for i in ids
    ]


@pytest.mark.parametrize(
    ("combine", "expected"), [("product", [[30, 80]]), ("sum", [[13, 24]]), ("concat", [[3, 4, 10, 20]])]
)
def test_combinations_by_hand(combine, expected):
    method = qr(4, len(expected[0]), num_buckets=2, combine=combine)
    arrays = {
        "quotient": np.array([[1, 2], [3, 4]], np.float32),
        "remainder": np.array([[10, 20], [100, 200]], np.float32),
    }
    np.testing.assert_array_equal(method([2], arrays), expected)


def test_tables_of_the_recipe():
    assert shapes(qr(num_buckets=120)) == [("quotient", (120, 64)), ("remainder", (120, 64))]
    assert qr(num_buckets=120).nbytes == 15_360 * 4
    assert shapes(qr()) == shapes(qr(num_buckets=120))


def test_only_the_rows_needed():
    assert shapes(qr(num_buckets=120, quotient_rows="needed")) == [
        ("quotient", (51, 64)),
        ("remainder", (120, 64)),
    ]


def test_concat_splits_the_width():
    assert shapes(qr(num_buckets=120, combine="concat")) == [
        ("quotient", (120, 32)),
        ("remainder", (120, 32)),
    ]
    with pytest.raises(RequestError, match="embedding_dim=7"):
        qr(dim=7, combine="concat")


@pytest.mark.parametrize(
    ("size", "buckets"),
    [(6040, 120), (3706, 74), (2500, 50), (1000, 32), (5, 3), (4, 2), (3, 2), (2, 2), (1, 1)],
)
def test_default_buckets(size, buckets):
    assert qr(size).settings.num_buckets == buckets


def test_too_few_buckets_name_the_smallest_that_works():
    with pytest.raises(RequestError, match=r"num_buckets=77: .* 6040 ids of user; .* 78$"):
        qr(num_buckets=77)
    rows = qr(num_buckets=78).lookups(np.arange(6040), {}, np)
    assert len(set(zip(rows["quotient"], rows["remainder"], strict=True))) == 6040
    assert rows["quotient"].max() < 78


def test_buckets_beyond_the_vocabulary_are_not_made():
    assert qr(50, num_buckets=120).settings.num_buckets == 50


def test_unknown_words_are_refused():
    with pytest.raises(RequestError, match="combine=mean: give product, sum or concat"):
        qr(combine="mean")
    with pytest.raises(RequestError, match="quotient_rows=all: give recipe or needed"):
        qr(quotient_rows="all")


def test_fit_takes_the_last_bucket_that_fits():
    field, row = Vocabulary("user", 6040), 64 * 4
    assert QR.fit(field, 64, QRSettings(), 2 * 300 * row).num_buckets == 300
    assert QR.fit(field, 64, QRSettings(), 2 * 301 * row - 1).num_buckets == 300
    needed = QR.fit(field, 64, QRSettings(quotient_rows="needed"), 320 * row)
    assert needed.num_buckets == 299  # ceil(6040 / 299) = ceil(6040 / 300) = 21
    with pytest.raises(OverBudget, match="field user") as caught:
        QR.fit(field, 64, QRSettings(), 2 * 78 * row - 1)
    assert caught.value.smallest_bytes == 2 * 78 * row


def test_fit_keeps_a_given_size_or_refuses_it():
    field, row = Vocabulary("user", 6040), 64 * 4
    assert QR.fit(field, 64, QRSettings(num_buckets=120), 10**9).num_buckets == 120
    with pytest.raises(OverBudget) as caught:
        QR.fit(field, 64, QRSettings(num_buckets=120), 239 * row)
    assert caught.value.smallest_bytes == 240 * row
