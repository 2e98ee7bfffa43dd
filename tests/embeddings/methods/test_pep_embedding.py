from math import exp, log

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings.base import Progress, Vocabulary
from bench.embeddings.methods.pep import PEP, PEPSettings
from bench.errors import RequestError, RunFailed

GRANULARITIES = {"global": (1, 1), "dimension": (1, 4), "feature": (6, 1), "feature_dimension": (6, 4)}
every = pytest.mark.parametrize("granularity", GRANULARITIES)


def pep(size=6, dim=4, **settings):
    return PEP(Vocabulary("user", size), dim, PEPSettings(**{"threshold_rate": 10.0, **settings}))


def arrays_of(method, seed=0):
    rng = np.random.default_rng(seed)
    out = {a.name: np.zeros(a.shape, a.dtype) for a in method.arrays()}
    for name in ("table", "thresholds"):
        out[name] = rng.normal(size=out[name].shape).astype(np.float32) * 0.1
    return out


def at(share, steps=1000):
    return Progress(round(share * steps), steps, epoch=0, epochs=1, epoch_ended=share == 1)


def shrunk(method, arrays):
    """The paper's formula, a number at a time; and |v| - s, by which weights are ranked."""
    start, rate = method.settings.threshold, method.settings.threshold_rate
    out, excess = np.zeros((6, 4)), np.zeros((6, 4))
    trained = np.broadcast_to(arrays["thresholds"], (6, 4))
    for i in range(6):
        for j in range(4):
            t = log(start / (1 - start)) + rate * trained[i, j]
            s, v = 1 / (1 + exp(-t)), arrays["table"][i, j]
            out[i, j], excess[i, j] = np.sign(v) * max(abs(v) - s, 0), abs(v) - s
    return out, excess


@every
def test_the_search_shrinks_by_the_thresholds(granularity):
    method = pep(granularity=granularity, threshold=0.05)
    arrays = arrays_of(method)
    assert arrays["thresholds"].shape == GRANULARITIES[granularity]
    expected, _ = shrunk(method, arrays)
    assert 0 < np.count_nonzero(expected) < 24
    np.testing.assert_allclose(method(np.arange(6), arrays), expected, atol=1e-6)
    tensors = {name: tf.constant(value) for name, value in arrays.items()}
    np.testing.assert_allclose(method(tf.range(6), tensors, keras.ops), expected, atol=1e-6)


def test_gradients_are_those_of_the_formula():
    method = pep(threshold=0.05, threshold_rate=3.0)
    arrays = arrays_of(method)
    table, trained = tf.Variable(arrays["table"]), tf.Variable(arrays["thresholds"])
    tensors = {**{k: tf.constant(v) for k, v in arrays.items()}, "table": table, "thresholds": trained}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(
            method(tf.range(6), {k: tf.convert_to_tensor(v) for k, v in tensors.items()}, keras.ops)
        )
    by_table, by_trained = (tf.convert_to_tensor(g) for g in tape.gradient(loss, [table, trained]))
    s = 1 / (1 + np.exp(-(log(0.05 / 0.95) + 3.0 * arrays["thresholds"].astype(float))))
    alive = np.abs(arrays["table"]) > s
    np.testing.assert_allclose(by_table, alive, atol=1e-6)
    expected = (-np.sign(arrays["table"]) * alive * s * (1 - s) * 3.0).sum(0, keepdims=True)
    np.testing.assert_allclose(by_trained, expected, rtol=1e-4, atol=1e-7)


@every
def test_the_search_ends_with_exactly_the_largest(granularity):
    method = pep(granularity=granularity, nnz=7, threshold=0.01, search_share=0.5)
    arrays = arrays_of(method)
    assert method.change(at(0.4), arrays, np.random.default_rng(0)).arrays == {}
    change = method.change(at(0.5), arrays, np.random.default_rng(0))
    assert change.reset_moments and change.arrays["searched"] == [1]
    _, excess = shrunk(method, arrays)
    kept = excess >= np.sort(excess, axis=None)[-7]
    np.testing.assert_array_equal(change.arrays["pruned"] == 0, kept)
    new = {**arrays, **change.arrays}
    assert np.abs(new["table"]).max() <= 0.05 and 0.02 < new["table"].std() < 0.04
    np.testing.assert_array_equal(method(np.arange(6), new), np.where(kept, new["table"], 0))
    stored = method.serve(new, np.random.default_rng(0))
    assert stored["values"].shape == (7, 1)
    np.testing.assert_array_equal(method.served()(np.arange(6), stored), np.where(kept, new["table"], 0))
    assert method.change(at(1), new, np.random.default_rng(0)).arrays == {}


def test_the_search_ends_when_the_density_is_reached():
    method = pep(nnz=5, threshold=0.05)
    arrays = arrays_of(method)
    arrays["table"] = np.where(np.arange(24).reshape(6, 4) < 6, 0.5, 0.01).astype(np.float32)
    arrays["thresholds"][:] = 0
    assert method.change(at(0.01), arrays, np.random.default_rng(0)).arrays == {}
    arrays["table"][0, 0] = 0.04
    kept = method.change(at(0.01), arrays, np.random.default_rng(0)).arrays["pruned"] == 0
    np.testing.assert_array_equal(np.flatnonzero(kept), [1, 2, 3, 4, 5])


@pytest.mark.parametrize(("retrain", "share"), [("anew", 1.0), ("learned", 0.5)])
def test_what_was_learned_stays_at_the_end_or_where_it_is_asked_for(retrain, share):
    method = pep(nnz=7, search_share=share, retrain=retrain)
    arrays = arrays_of(method)
    change = method.change(at(share), arrays, np.random.default_rng(0))
    assert not change.reset_moments
    expected = np.where(change.arrays["pruned"] == 0, shrunk(method, arrays)[0], 0)
    assert np.count_nonzero(expected) == 7
    np.testing.assert_allclose(method(np.arange(6), {**arrays, **change.arrays}), expected, atol=1e-6)
    stored = method.serve(arrays, np.random.default_rng(0))
    np.testing.assert_allclose(method.served()(np.arange(6), stored), expected, atol=1e-6)


def test_training_and_serving_bytes():
    method = pep(6040, 64, nnz=30_000)
    assert method.nbytes == 30_000 * 5 + 4 * 6041
    assert sum(a.nbytes for a in method.arrays()) == 6040 * 64 * 5 + 64 * 4 + 4


def test_wrong_settings_and_weights():
    with pytest.raises(RequestError, match="granularity=field: give global, dimension, feature"):
        pep(granularity="field")
    with pytest.raises(RequestError, match="nnz=0: give 1 or more"):
        pep(nnz=0)
    arrays = arrays_of(pep())
    arrays["thresholds"][0, 0] = np.nan
    with pytest.raises(RunFailed, match="field user: 6 of 24 weights"):
        pep().change(at(1), arrays, np.random.default_rng(0))
