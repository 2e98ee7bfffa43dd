"""Sparse tables: CSR, COO or a bitmap."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.served import sparse as of_sparse
from bench.embeddings.served.sparse import Sparse, SparseSettings, largest_entries, largest_nnz
from bench.errors import RequestError, RunFailed

quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def sparse(rows, width, nnz=None):
    return Sparse(Vocabulary("item", rows), width, SparseSettings(nnz))


def described(method):
    return {a.name: (a.shape, a.dtype) for a in method.arrays()}


def reference(table, nnz):
    """The nnz largest magnitudes one after the other, ties by position."""
    order = sorted(range(table.size), key=lambda i: (-abs(table.flat[i]), i))[:nnz]
    out = np.zeros_like(table)
    for i in order:
        out.flat[i] = table.flat[i]
    return out


def test_layouts_by_hand():
    table = np.array([[0, 5, 0], [0, 0, 0], [7, 0, -9]], np.float32)
    coo = sparse(3, 3, 3).stored(table, np.array([1, 6, 8]))  # 24 bytes; 26 as a bitmap, 31 as CSR
    assert {k: v.tolist() for k, v in coo.items()} == {"values": [[5], [7], [-9]], "positions": [1, 6, 8]}
    np.testing.assert_array_equal(sparse(3, 3, 3)(np.arange(3), coo), table)
    bitmap = sparse(3, 3, 6).stored(table, np.array([0, 1, 2, 4, 6, 8]))  # 38 bytes; 46 as CSR, 48 as COO
    assert bitmap["offsets"].tolist() == [0, 3, 4]
    assert bitmap["bits"].tolist() == [
        0b01010111,
        0b1,
    ]  # places 0, 1, 2, 4, 6 of the first eight, and the ninth
    np.testing.assert_array_equal(sparse(3, 3, 6)(np.arange(3), bitmap), table)
    wide = np.zeros((2, 64), np.float32)
    wide[[0, 0, 1, 1, 1], [3, 60, 0, 7, 63]] = 1, 2, 3, 4, 5
    csr = sparse(2, 64, 5).stored(wide, np.flatnonzero(wide))  # 37 bytes; 40 as COO, 44 as a bitmap
    assert csr["offsets"].tolist() == [0, 2, 5] and csr["columns"].tolist() == [3, 60, 0, 7, 63]
    np.testing.assert_array_equal(sparse(2, 64, 5)(np.arange(2), csr), wide)


@pytest.mark.parametrize(
    ("rows", "width", "nnz"), [(300, 64, 1500), (300, 64, 150), (300, 64, 9000), (40, 9, 90)]
)
def test_the_layout_with_the_fewest_bytes_is_taken(rows, width, nnz):
    by_hand = {
        "csr": 4 * nnz + 4 * (rows + 1) + nnz,
        "coo": 8 * nnz,
        "bitmap": -(-rows * width // 8) + 4 * nnz + 4 * rows,
    }
    assert (
        sparse(rows, width, nnz).nbytes == min(by_hand.values()) == by_hand[sparse(rows, width, nnz).layout]
    )


def test_types_by_size():
    assert described(sparse(10, 256, 300)) == {
        "values": ((300, 1), "float32"),
        "offsets": ((11,), "int32"),
        "columns": ((300,), "uint8"),
    }
    assert described(sparse(10, 257, 1000))["bits"] == ((322,), "uint8")  # 2,570 bits
    assert described(sparse(10, 257, 150))["columns"][1] == "uint16"
    assert described(sparse(40_000, 65_537, 10**6))["columns"][1] == "uint32"
    assert described(sparse(2**25, 64, 9))["positions"][1] == "int64"
    assert described(sparse(2**25 - 1, 64, 9))["positions"][1] == "int32"
    assert "bits" in described(sparse(2**24, 1000, 2**31 - 1))
    assert "columns" in described(
        sparse(2**25, 1000, 2**31 - 1)
    )  # a bitmap is smaller, with bytes beyond int32


@given(st.integers(1, 12), st.sampled_from([1, 3, 8, 9, 64]), st.data())
@quick
def test_vectors_are_those_of_the_pruned_table(rows, width, data):
    nnz = data.draw(st.integers(1, rows * width))
    table = np.random.default_rng(nnz).integers(-3, 4, (rows, width)).astype(np.float32)
    method = sparse(rows, width, nnz)
    arrays = method.stored(table, largest_entries(np.abs(table), nnz, "item"))
    assert {k: (v.shape, str(v.dtype)) for k, v in arrays.items()} == described(method)
    np.testing.assert_array_equal(method(np.arange(rows), arrays), reference(table, nnz))
    ids = np.arange(rows)[::-1].reshape(1, rows, 1)
    np.testing.assert_array_equal(method(ids, arrays), reference(table, nnz)[ids])


@pytest.mark.slow
@pytest.mark.parametrize("nnz", [9, 25, 200])
def test_lookups_under_xla(nnz):
    table = np.random.default_rng(0).normal(size=(30, 10)).astype(np.float32)
    method = sparse(30, 10, nnz)
    arrays = method.stored(table, largest_entries(np.abs(table), nnz, "item"))
    tensors = {k: tf.constant(v) for k, v in arrays.items()}
    compiled = tf.function(lambda ids: method(ids, tensors, keras.ops), jit_compile=True)
    np.testing.assert_array_equal(compiled(tf.range(30)), reference(table, nnz))


def test_positions_beyond_int32():
    method = sparse(2**25, 64, 3)
    kept = np.array([5, 2**31 - 1, 2**31 - 64])[[0, 2, 1]]
    arrays = {"values": np.array([[1], [2], [3]], np.float32), "positions": kept}
    out = method(np.array([0, 2**25 - 1]), arrays)
    assert out[0, 5] == 1 and out[1, 0] == 2 and out[1, 63] == 3 and np.count_nonzero(out) == 3


def test_bits_beyond_int32():
    rows, width = 2**23, 1000  # 8.4e9 places
    method = sparse(rows, width, 2**31 - 1)
    wanted = {}

    class Bits:
        """All zero but for two bits of the last rows."""

        def take(self, at, **_):
            wanted["bytes"] = at
            return np.where(at == rows * width // 8 - 1, np.uint8(0b10100000), np.uint8(0))

    maps = {"offsets": np.broadcast_to(np.int32(7), rows), "bits": Bits()}
    found = method.lookups(np.array([0, rows - 2, rows - 1]), maps, np)
    np.testing.assert_array_equal(np.argwhere(found["found"]), [[2, 997], [2, 999]])
    assert found["values"][2, 997] == 7 and found["values"][2, 999] == 8
    assert wanted["bytes"].max() == rows * width // 8 - 1 and wanted["bytes"].min() == 0


@given(st.integers(1, 4000), st.sampled_from([1, 2, 64, 256, 300]), st.floats(0, 1.5))
@quick
def test_the_largest_nnz_is_the_last_that_fits(rows, width, share):
    budget = int(share * 4 * rows * width)
    nnz = largest_nnz(rows, width, budget)
    if budget < 8:
        assert nnz == 1
        return
    assert sparse(rows, width, nnz).nbytes <= budget
    assert nnz == rows * width or sparse(rows, width, nnz + 1).nbytes > budget


@pytest.mark.parametrize("nnz", [1, 17, 60, 119])
def test_large_tables_are_looked_at_in_blocks(nnz, monkeypatch):
    monkeypatch.setattr(of_sparse, "BLOCK", 7)
    table = np.random.default_rng(nnz).integers(-3, 4, (20, 6)).astype(np.float32)
    before = table.copy()
    method = sparse(20, 6, nnz)
    arrays = method.stored(table, largest_entries(table, nnz, "item", np.abs))
    np.testing.assert_array_equal(method(np.arange(20), arrays), reference(table, nnz))
    np.testing.assert_array_equal(table, before)
    signed = largest_entries(table, nnz, "item")
    assert signed.tolist() == sorted(sorted(range(120), key=lambda i: (-table.flat[i], i))[:nnz])


def test_sizes_and_settings_that_cannot_be():
    assert sparse(5, 4).nnz == sparse(5, 4, 21).nnz == 20
    with pytest.raises(RequestError, match="nnz=0: give 1 or more"):
        sparse(5, 4, 0)
    with pytest.raises(OverBudget) as caught:
        Sparse.fit(Vocabulary("item", 5), 4, SparseSettings(), 7)
    assert caught.value.smallest_bytes == 8


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(wrong):
    with pytest.raises(RunFailed, match="field item: 1 of 4 weights are no finite numbers"):
        largest_entries(np.array([1, wrong, 2, 3]), 2, "item")
