import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings.base import Kind, Progress, Vocabulary
from bench.embeddings.methods.autosrh import AutoSrh, AutoSrhSettings
from bench.errors import RequestError, RunFailed


def autosrh(size=6, dim=4, counts=None, **settings):
    counts = None if counts is None else np.array(counts)
    return AutoSrh(Vocabulary("user", size, counts), dim, AutoSrhSettings(**settings))


def arrays_of(method, searched=0):
    rng = np.random.default_rng(0)
    made = {a.name: np.zeros(a.shape, a.dtype) for a in method.arrays()}
    made["table"] = rng.normal(size=made["table"].shape).astype(np.float32)
    made["gates"] = rng.random(made["gates"].shape).astype(np.float32)
    return {**made, **method.build_maps(), "searched": np.array([searched], np.int32)}


def at(step, previous, steps=100):
    return Progress(step, steps, epoch=0, epochs=1, epoch_ended=step == steps, previous=previous)


def test_groups_have_equally_many_ids_and_equal_counts_are_together():
    counts = [50, 1, 7, 1, 20, 1]  # rising: three of 1, then 7, 20, 50
    assert autosrh(counts=counts, num_groups=3).build_maps()["group"].tolist() == [2, 0, 1, 0, 2, 0]
    assert autosrh(counts=counts, num_groups=6).build_maps()["group"].tolist() == [5, 0, 3, 0, 4, 0]
    assert autosrh(num_groups=3).build_maps()["group"].tolist() == [2, 2, 1, 1, 0, 0]  # by falling frequency
    many = autosrh(1200, counts=np.random.default_rng(0).permutation(1200)).build_maps()["group"]
    assert np.bincount(many).tolist() == [200] * 6


def test_a_row_by_hand():
    method = autosrh(1, 2, nnz=1)
    arrays = arrays_of(method) | {
        "table": np.array([[1, -2]], np.float32), "gates": np.tile(np.float32([0.5, 0.1]), (6, 1))
    }  # fmt: skip
    np.testing.assert_allclose(method([0], arrays), [[0.5, -0.2]])
    change = method.change(at(50, 40), arrays, None)
    assert not change.reset_moments
    after = {**arrays, **change.arrays}
    np.testing.assert_array_equal(method([0], after), [[0.5, 0]])
    served = method.serve(after, None)
    np.testing.assert_array_equal(method.served()([0], served), [[0.5, 0]])
    np.testing.assert_array_equal(method.served()([0], method.serve(arrays, None)), [[0.5, 0]])


def test_with_all_weights_and_gates_of_1_it_is_full():
    method = autosrh(6, 4, nnz=24, gate_l1=0.0)
    arrays = arrays_of(method) | {"gates": np.ones((6, 4), np.float32)}
    np.testing.assert_array_equal(method(np.arange(6), arrays), arrays["table"])
    after = {**arrays, **method.change(at(50, 40), arrays, None).arrays}
    np.testing.assert_array_equal(after["table"], arrays["table"])
    np.testing.assert_array_equal(method.served()(np.arange(6), method.serve(after, None)), arrays["table"])
    assert method.penalty({}, {}, arrays, np) is None


def test_the_penalty_is_the_mean_of_the_sums_of_gates():
    method = autosrh(gate_l1=0.1)
    arrays = arrays_of(method)
    gates = np.array([[0.5, 1.5, 0, 0.25], [-1, 0, 0, 1]], np.float32)  # counted as 1.75 and 1
    assert method.penalty({"gates": gates}, {}, arrays, np) == pytest.approx(0.1 * 1.375)
    assert method.penalty({"gates": gates}, {}, arrays | {"searched": np.ones(1)}, np) == 0


def test_gates_stay_between_0_and_1():
    rows = np.array([[-0.5, 0.25, 1.75, 1]], np.float32)
    method = autosrh()
    np.testing.assert_array_equal(method.after_update("gates", rows, None, np), [[0, 0.25, 1, 1]])
    arrays = arrays_of(method) | {"gates": np.tile(rows, (6, 1))}
    np.testing.assert_array_equal(method([3], arrays), arrays["table"][3:4] * [[0, 0.25, 1, 1]])


def test_gradients_by_table_and_gates():
    method = autosrh()
    arrays = arrays_of(method)
    rows = method.lookups(np.array([2, 5]), arrays, np)
    given = {name: tf.Variable(arrays[name][rows[name]]) for name in ("table", "gates")}
    pruned = tf.constant(arrays["pruned"][rows["pruned"]])
    for searched, by in ((0, (given["gates"], given["table"])), (1, (tf.ones((2, 4)), tf.zeros((2, 4))))):
        with tf.GradientTape() as tape:
            read = {name: tf.convert_to_tensor(value) for name, value in given.items()} | {"pruned": pruned}
            out = method.combine(read, rows, {"searched": tf.constant([searched])}, keras.ops, True)
            total = tf.reduce_sum(out)
        for gradient, expected in zip(tape.gradient(total, list(given.values())), by, strict=True):
            np.testing.assert_allclose(gradient, expected)


def test_what_is_pruned_stays_zero_and_gates_no_longer_count():
    method = autosrh(nnz=5)
    arrays = arrays_of(method)
    products = arrays["table"] * arrays["gates"][arrays["group"]]
    after = {**arrays, **method.change(at(50, 40), arrays, None).arrays}
    kept = np.sort(np.abs(products).ravel())[-5]
    np.testing.assert_array_equal(after["pruned"] == 0, np.abs(products) >= kept)
    after["table"] = after["table"] + np.float32(1)  # as training moves it
    after["gates"] = after["gates"] * 0
    expected = np.where(np.abs(products) >= kept, products + 1, 0)
    np.testing.assert_allclose(method(np.arange(6), after), expected, rtol=1e-6)
    assert method.change(at(52, 48), after, None).arrays == {}


def test_due_once():
    method = autosrh(search_share=0.5)
    assert [step for step in range(3, 101, 3) if method.is_due(at(step, step - 3))] == [51]
    assert [step for step in range(5, 101, 5) if method.is_due(at(step, step - 5))] == [50]


def test_bytes_are_those_of_the_sparse_table():
    assert autosrh(6040, 64, nnz=30_000).serving_bytes() == {
        Kind.TABLES: 120_000,
        Kind.OTHER: 4 * 6041 + 30_000,
    }


def test_wrong_settings_and_weights():
    with pytest.raises(RequestError, match="num_groups=257"):
        autosrh(num_groups=257)
    method = autosrh()
    arrays = arrays_of(method) | {"gates": np.full((6, 4), np.nan, np.float32)}
    with pytest.raises(RunFailed, match="field user: 24 of 24 weights"):
        method.change(at(50, 40), arrays, None)
