import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.methods.qr import QR, QRSettings
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


@pytest.mark.parametrize("k", [2, 3, 4])
def test_digits_of_any_number_of_partitions(k):
    method = qr(1000, 4, num_buckets=32 if k == 2 else 11, num_partitions=k)
    base = method.num_buckets
    rows = method.lookups(np.arange(1000), {}, np)
    names = ["quotient", "remainder"] if k == 2 else [f"partition_{j}" for j in range(k)]
    assert [name for name, _ in shapes(method)] == names
    for j, name in enumerate(names):
        np.testing.assert_array_equal(rows[name], [i // base ** (k - 1 - j) % base for i in range(1000)])
    assert len({tuple(int(rows[name][i]) for name in names) for i in range(1000)}) == 1000


def test_three_rows_combined_by_hand():
    tables = {
        "partition_0": np.array([[1, 2, 3], [4, 5, 6]], np.float32),
        "partition_1": np.array([[10, 20, 30], [40, 50, 60]], np.float32),
        "partition_2": np.array([[2, 2, 2], [3, 3, 3]], np.float32),
    }  # id 6 is 110 in base 2
    for combine, expected in (("product", [320, 500, 720]), ("sum", [46, 57, 68])):
        method = qr(8, 3, num_buckets=2, num_partitions=3, combine=combine)
        np.testing.assert_array_equal(method([6], tables), [expected])
    method = qr(8, 3, num_buckets=2, num_partitions=3, combine="concat")
    np.testing.assert_array_equal(method([6], {k: v[:, :1] for k, v in tables.items()}), [[4, 40, 2]])


def test_tables_of_three_partitions():
    assert shapes(qr(num_buckets=20, num_partitions=3)) == [(f"partition_{j}", (20, 64)) for j in range(3)]
    needed = qr(num_buckets=20, num_partitions=3, quotient_rows="needed")
    assert shapes(needed)[0] == ("partition_0", (16, 64))  # 6040 / 400 = 15.1
    concat = qr(num_buckets=20, num_partitions=3, combine="concat")
    assert [shape[1] for _, shape in shapes(concat)] == [21, 21, 22]
    assert concat.nbytes == 20 * 64 * 4


def test_products_of_three_begin_as_spread_as_a_full_table():
    first, *others = qr(num_partitions=3).tables()
    assert first.initializer == "uniform"
    assert all(t.initializer["config"] == {"minval": 0.5, "maxval": 1.5} for t in others)
    assert all(t.initializer == "uniform" for t in qr(num_partitions=3, combine="sum").tables())


@pytest.mark.parametrize(
    ("size", "k", "smallest"), [(1000, 3, 10), (1001, 3, 11), (6040, 4, 9), (1, 3, 1), (2, 9, 2)]
)
def test_smallest_buckets_of_more_partitions(size, k, smallest):
    assert qr(size, num_partitions=k, num_buckets=smallest).num_buckets == smallest
    if smallest > 1:
        with pytest.raises(
            RequestError, match=rf"num_buckets={smallest - 1}: .*; the smallest that works is {smallest}$"
        ):
            qr(size, num_partitions=k, num_buckets=smallest - 1)


def test_partitions_that_cannot_be_are_refused():
    with pytest.raises(RequestError, match="num_partitions=1: give 2 or more"):
        qr(num_partitions=1)
    with pytest.raises(RequestError, match="num_partitions=0: give 2 or more"):
        QR.fit(qr().vocabulary, 8, QRSettings(num_partitions=0), 4000)
    with pytest.raises(RequestError, match=r"num_partitions=5: .* embedding_dim=4 .*; give 4 or fewer"):
        qr(dim=4, num_partitions=5, combine="concat")
    assert qr(dim=5, num_partitions=5, combine="concat").tables()[0].shape[1] == 1


@pytest.mark.parametrize("quotient_rows", ["recipe", "needed"])
@pytest.mark.parametrize("combine", ["product", "concat"])
@pytest.mark.parametrize("k", [3, 4])
def test_more_buckets_of_more_partitions_take_no_fewer_bytes(k, combine, quotient_rows):
    chosen = {"num_partitions": k, "combine": combine, "quotient_rows": quotient_rows}
    field, smallest = Vocabulary("user", 700), qr(700, num_partitions=k, num_buckets=None).num_buckets
    sizes = [qr(700, 7, num_buckets=b, **chosen).nbytes for b in range(smallest, 200)]
    assert sizes == sorted(sizes)
    fitted = QR.fit(field, 7, QRSettings(**chosen), 700 * 7)
    assert qr(700, 7, **vars(fitted)).nbytes <= 700 * 7
    assert qr(700, 7, **{**vars(fitted), "num_buckets": fitted.num_buckets + 1}).nbytes > 700 * 7
