"""Lookups from an exported folder, by row, by integer id and by text id; predictions with raw columns."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
import uuid
from decimal import Decimal
from pathlib import Path

import exports_made as made
import numpy as np
import pytest
from commands import unmeasured

from bench.data.transforms import hashed, ln2_bucket
from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.exporting import ids as of_ids
from bench.serving import ServingError, UnknownId, load
from bench.serving.manifest import Dense

DIM = 8
LONG = "x" * 100


def full(size, name="user", dim=DIM):
    return find("full")(Vocabulary(name, size), dim)


def one(folder, values, **more):
    """An export of one full table, and the table."""
    size = len(values) + values.first
    arrays = made.write(folder, {"user": full(size)}, {"user": values}, **more)
    return load(folder), arrays["fields/user/table"]


def test_nothing_but_numpy_is_imported(tmp_path):
    one(tmp_path / "shop", made.integers([7, 3]))
    heavy = [
        "keras",
        "tensorflow",
        "omegaconf",
        "hydra",
        "pyarrow",
        "safetensors",
        "yaml",
        "mlflow",
        "pandas",
        "bench.embeddings.families.hot",  # of other methods than the one that is served
        "bench.config.schema",  # of runs
        "traceback",  # of errors
    ]
    code = (
        f"import sys; from bench.serving import load; t = load({str(tmp_path / 'shop')!r}); t.lookup('user', [7, '3']);"
        f"t.warm(); print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=unmeasured()
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    "values",
    [[5, 6, 7, 8], [40, -3, 7, 2**62], [7, 5, 6, 8], [-(2**63), 2**63 - 1]],
    ids=["range", "any", "range in another order", "both ends"],
)
def test_integers_are_found_by_number_and_by_text(tmp_path, values):
    tables, table = one(tmp_path / "shop", made.integers(values))
    for ids in (values, np.array(values), [str(v) for v in values], np.array(values, object)):
        np.testing.assert_array_equal(tables.lookup("user", ids), table)
    near = [v + 1 for v in values if v + 1 not in values and v < 2**63 - 1]
    strange = [
        *near,
        "07",
        "+7",
        "7.0",
        " 7",
        "seven",
        "",
        None,
        float("nan"),
        7.5,
        2**70,
        -(2**70),
        "9" * 5000,
    ]
    assert not tables.known("user", strange).any()
    assert tables.known("user", np.array([values], np.int64)).tolist() == [[True] * len(values)]


def test_whole_floats_and_other_types_are_what_preparing_takes_them_for(tmp_path):
    tables, _ = one(tmp_path / "shop", made.integers([42, 7]))
    assert tables.known("user", [42.0, np.float32(7), 42.5, np.int8(7)]).tolist() == [True, True, False, True]
    assert tables.known("user", np.array([42, np.nan, 7.5, 1e300])).tolist() == [True, False, False, False]
    assert tables.known("user", np.array([42, 2**64 - 1], np.uint64)).tolist() == [True, False]
    assert tables.known("user", [Decimal("42"), Decimal("7.5"), b"7", b"\xff", True]).tolist() == [
        True, False, True, False, False,
    ]  # fmt: skip
    with pytest.raises(ServingError, match="an id of type dict"):
        tables.known("user", [{}])


@pytest.mark.parametrize(
    "values",
    [
        ["b", "a", "é", "zz", "日本語"],
        ["b", "", LONG, "a" * 64],
        ["a\0", "a", "b\0c"],
        ["1", "02", "3x"],
        ["a" * 64, "b"],
    ],
    ids=["short", "long", "with zeros", "like integers", "as wide as can be"],
)
def test_texts_are_found(tmp_path, values):
    tables, table = one(tmp_path / "shop", made.texts(values))
    for ids in (values, np.array(values, object), tuple(values)):
        np.testing.assert_array_equal(tables.lookup("user", ids), table)
    strange = [v + "!" for v in values] + ["a" * 65, "x" * 101, None, "\0", "é\0", 4.5, "y" * 100_000]
    assert not tables.known("user", strange).any()
    assert [bool(tables.known("user", [v])[0]) for v in values] == [True] * len(values)


def test_text_that_is_whole_numbers_alone_is_stored_as_integers(tmp_path):
    kept, arrays = of_ids.stored(made.texts(["30", "-4", "7"]))
    assert (kept.kind, arrays["keys"].tolist(), arrays["rows"].tolist()) == (
        "integers",
        [-4, 7, 30],
        [1, 2, 0],
    )
    for other in (["30", "07"], ["30", "+7"], ["30", "-0"], ["30", " 7"], ["30", "9" * 19], ["30", "7.0"]):
        assert of_ids.stored(made.texts(other))[0].kind == "text"
    tables, table = one(tmp_path / "shop", made.texts(["a", "7"]))
    np.testing.assert_array_equal(tables.lookup("user", [7]), table[1:])
    name = uuid.UUID(int=5)
    tables, table = one(tmp_path / "other", made.texts([str(name), "7"]))
    np.testing.assert_array_equal(tables.lookup("user", [name, 7.0]), table)


def test_unknown_ids_are_said_or_get_what_was_asked_for(tmp_path):
    tables, table = one(tmp_path / "shop", made.integers([40, 30], first=1))
    with pytest.raises(KeyError, match="no id '31' and 1 more") as caught:
        tables.lookup("user", [40, "31", 32])
    assert isinstance(caught.value, UnknownId) and not str(caught.value).startswith("'")
    np.testing.assert_array_equal(tables.lookup("user", [31, 30], unknown="oov"), table[[0, 2]])
    found = tables.lookup("user", [31, 30], unknown="nan")
    assert np.isnan(found[0]).all() and np.array_equal(found[1], table[2])
    with pytest.raises(ServingError, match="give 'error', 'oov' or 'nan'"):
        tables.lookup("user", [30], unknown="zero")
    none, _ = one(tmp_path / "none", made.integers([40, 30]))
    with pytest.raises(ValueError, match="no row for unknown ids"):
        none.lookup("user", [31], unknown="oov")
    with pytest.raises(ServingError, match="'film': not in the export"):
        none.lookup("film", [1])


def test_rows_are_checked_and_any_shape_is_taken(tmp_path):
    tables, table = one(tmp_path / "shop", made.integers(range(10)))
    np.testing.assert_array_equal(tables.vectors("user", [[0, 9], [3, 3]]), table[[[0, 9], [3, 3]]])
    assert tables.vectors("user", []).shape == (0, DIM) == tables.lookup("user", []).shape
    assert tables.lookup("user", 3).shape == (DIM,) == tables.vectors("user", 3).shape
    for wrong in ([10], [-1], [0.5], ["0"]):
        with pytest.raises(ValueError, match="user"):
            tables.vectors("user", wrong)


@pytest.mark.parametrize(
    "kind", [made.integers, lambda values: made.texts([f"é{value}" for value in values])]
)
def test_many_ids_at_once(tmp_path, kind):
    rng = np.random.default_rng(0)
    numbers = rng.permutation(5000)
    values = kind(numbers[:3000].tolist())
    tables, table = one(tmp_path / "shop", values)
    rows = rng.integers(0, 3000, 2000)
    np.testing.assert_array_equal(tables.lookup("user", [values[row] for row in rows]), table[rows])
    other = kind(numbers.tolist())
    picked = rng.integers(0, 5000, 2000)
    assert tables.known("user", [other[place] for place in picked]).tolist() == (picked < 3000).tolist()


@pytest.mark.parametrize("values", [made.integers([5, 9]), made.texts(["b", "a"]), made.texts([LONG, "a"])])
def test_one_id_alone_is_an_id(tmp_path, values):
    tables, table = one(tmp_path / "shop", values)
    assert tables.known("user", 77).shape == tables.known("user", "no").shape == ()
    assert not tables.known("user", 77) and not tables.known("user", "no") and not tables.known("user", None)
    np.testing.assert_array_equal(tables.lookup("user", values[1]), table[1])
    assert np.isnan(tables.lookup("user", "no", unknown="nan")).all()
    np.testing.assert_array_equal(
        tables.known("user", np.array([[values[1]], ["no"]], object)), [[True], [False]]
    )
    with pytest.raises(KeyError, match="no id 'no'"):
        tables.lookup("user", "no")


def test_a_field_without_ids_answers_by_rows_alone(tmp_path):
    made.write(tmp_path / "shop", {"user": full(5)}, {"user": None})
    tables = load(tmp_path / "shop")
    assert tables.vectors("user", [4]).shape == (1, DIM)
    with pytest.raises(ServingError, match="were not kept"):
        tables.lookup("user", [4])


def test_no_id_may_be_known(tmp_path):
    for number, values in enumerate((made.integers([], first=1), made.texts([], first=1))):
        tables, table = one(tmp_path / str(number), values)
        assert tables.known("user", [1, "a"]).tolist() == [False, False]
        np.testing.assert_array_equal(tables.lookup("user", ["a"], unknown="oov"), table)


def test_missing_ids_are_an_id_of_their_own_where_the_data_kept_them(tmp_path):
    tables, table = one(tmp_path / "shop", made.texts(["5", "", "b"]), keeps_missing=True)
    missing = [None, float("nan"), "", "  ", 5, "5", 5.0]
    np.testing.assert_array_equal(tables.lookup("user", missing), table[[1, 1, 1, 1, 0, 0, 0]])
    assert tables.known("user", np.array([np.nan, 5.0, 6.0])).tolist() == [True, True, False]
    refusing, _ = one(tmp_path / "other", made.texts(["5", "b"]))
    assert refusing.known("user", [None, "", "b"]).tolist() == [False, False, True]


def test_transforms_are_applied_to_raw_ids(tmp_path):
    buckets = sorted({hashed(name, 50) for name in ("x", "7", "")})
    tables, table = one(tmp_path / "hash", made.integers(buckets), transform="hash:50", from_text=True)
    rows = [buckets.index(hashed(name, 50)) for name in ("x", "7", "7", "", "")]
    np.testing.assert_array_equal(tables.lookup("user", ["x", "7", 7, None, float("nan")]), table[rows])
    logs, table = one(tmp_path / "ln", made.integers([1, ln2_bucket(100.0)]), transform="ln2_bucket")
    np.testing.assert_array_equal(logs.lookup("user", ["100", 1.9, 100]), table[[1, 0, 1]])
    assert logs.known("user", ["no number", None]).tolist() == [False, False]
    hour, _ = one(
        tmp_path / "hour", made.integers([0, 5]), transform="hour_parts", part="_weekday", column="hour"
    )
    assert hour.known("user", ["14102100", "14102500", "14102623"]).tolist() == [False, True, False]


def test_predictions_take_raw_columns(tmp_path):
    methods = {"user": full(3, dim=1), "item": full(2, "item", 1)}
    ids = {"user": made.texts(["a", "b", "c"]), "item": made.integers([9, 8])}
    dense = (Dense("price", is_log=True), Dense("age", keeps_missing=True))
    arrays = made.write(tmp_path / "shop", methods, ids, ("lr", {}), dense)
    tables = load(tmp_path / "shop")
    columns = {
        "user": ["c", "a"],
        "item": ["9", 8],
        "price": ["1.5", -3],
        "age": [None, True],
        "more": [0, 0],
    }
    numbers = np.array([[np.log1p(1.5), 0], [0, 1]], np.float32)
    score = (
        arrays["fields/user/table"][[2, 0], 0] + arrays["fields/item/table"][[0, 1], 0]
        + numbers @ arrays["head/linear_columns/kernel"][:, 0] + arrays["head/bias/bias"]
    )  # fmt: skip
    np.testing.assert_allclose(tables.predict(columns), 5 / (1 + np.exp(-score)), rtol=1e-6)
    with pytest.raises(ServingError, match="no column 'price'"):
        tables.predict({"user": ["a"], "item": [9]})
    with pytest.raises(ServingError, match="unequal length"):
        tables.predict({**columns, "item": [9]})
    with pytest.raises(ServingError, match="'price': row 1 is missing or no finite number"):
        tables.predict({**columns, "price": [1, None]})
    with pytest.raises(KeyError, match="'z'"):
        tables.predict({**columns, "user": ["a", "z"]})
    assert np.isnan(tables.predict({**columns, "user": ["a", "z"]}, unknown="nan")).tolist() == [False, True]


def test_no_model_no_predictions(tmp_path):
    tables, _ = one(tmp_path / "shop", made.integers([1, 2]))
    with pytest.raises(ServingError, match="no predictions"):
        tables.predict({"user": [1]})


def test_arrays_are_views_of_the_file(tmp_path):
    made.write(tmp_path / "shop", {"user": full(100_000)}, {"user": made.integers(range(100_000, 0, -1))})
    load(tmp_path / "shop")
    tracemalloc.start()
    try:
        tables = load(tmp_path / "shop")
        tables.lookup("user", [5, 77])
        assert tracemalloc.get_traced_memory()[1] < 1_500_000  # of 4.4 MB; keys are checked in blocks
    finally:
        tracemalloc.stop()
    for array in tables._arrays.values():
        assert type(array) is np.ndarray and not array.flags.writeable and not array.flags.owndata
        assert array.ctypes.data % 64 == 0
    assert tables.warm() == sum(array.nbytes for array in tables._arrays.values())


def test_threads_share_the_mapping(tmp_path):
    tables, table = one(tmp_path / "shop", made.texts([f"id{n}" for n in range(1000)]))
    wrong = []

    def ask(seed):
        rng = np.random.default_rng(seed)
        for _ in range(50):
            rows = rng.integers(0, 1000, 64)
            if not np.array_equal(tables.lookup("user", [f"id{n}" for n in rows]), table[rows]):
                wrong.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_file_is_what_other_readers_of_the_format_read(tmp_path):
    from safetensors.numpy import load_file

    arrays = made.write(tmp_path / "shop", {"user": full(7)}, {"user": made.texts(list("gfedcba"))})
    found = load_file(Path(tmp_path / "shop" / "arrays.safetensors"))
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
