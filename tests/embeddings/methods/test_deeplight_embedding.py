import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings.base import Kind, Progress, Vocabulary
from bench.embeddings.methods.deeplight import DeepLight, DeepLightSettings
from bench.errors import RequestError, RunFailed


def deeplight(size=100, dim=10, **settings):
    return DeepLight(Vocabulary("user", size), dim, DeepLightSettings(**settings))


def at(step, steps=100):
    return Progress(step, steps, epoch=0, epochs=1, epoch_ended=step == steps)


def reference(share, total, nnz, warmup, end):
    """Weights kept, by the schedule of the paper with D^k running from 1 to ``end``."""
    if share <= warmup:
        return total
    rate = (1 - nnz / total) * (1 - end ** ((share - warmup) / (1 - warmup))) / (1 - end)
    return total * (1 - rate)


@pytest.mark.parametrize(("warmup", "damping"), [(0.0, 0.001), (0.2, 0.5), (0.5, 1e-6)])
def test_the_schedule_is_the_papers_scaled_to_the_run(warmup, damping):
    method = deeplight(nnz=50, warmup_share=warmup, damping=damping)
    kept = [method.kept_at(step / 100) for step in range(101)]
    assert kept == sorted(kept, reverse=True) and kept[0] == 1000 and kept[-1] == 50
    for step, count in enumerate(kept):
        assert abs(count - reference(step / 100, 1000, 50, warmup, damping)) <= 1


def test_change_keeps_the_largest_and_nothing_else():
    method = deeplight(nnz=50, warmup_share=0.2)
    table = np.random.default_rng(0).normal(size=(100, 10)).astype(np.float32)
    for step in (21, 60, 100):
        change = method.change(at(step), {"table": table}, np.random.default_rng(0))
        assert not change.reset_moments and change.arrays.keys() == {"table", "smallest"}
        out, count = change.arrays["table"], method.kept_at(step / 100)
        smallest = np.sort(np.abs(table).ravel())[-count]
        np.testing.assert_array_equal(out, np.where(np.abs(table) >= smallest, table, 0))
        assert change.arrays["smallest"] == [smallest]
    assert np.count_nonzero(out) == 50


def test_what_grows_again_counts_once_it_is_as_large_as_the_smallest_kept():
    method = deeplight(2, 3)
    table = tf.Variable([[0.1, -0.2, 0.3], [-0.4, 0.0, 0.19]])
    arrays = {"table": tf.convert_to_tensor(table), "smallest": tf.constant([0.2])}
    expected = [[0, -0.2, 0.3], [-0.4, 0, 0]]
    np.testing.assert_allclose(method(np.arange(2), {k: v.numpy() for k, v in arrays.items()}), expected)
    with tf.GradientTape() as tape:
        arrays["table"] = tf.convert_to_tensor(table)
        out = method(tf.range(2), arrays, keras.ops, training=True)
    np.testing.assert_allclose(out, expected)
    np.testing.assert_array_equal(tf.convert_to_tensor(tape.gradient(out, table)), np.ones((2, 3)))


def test_equal_magnitudes_are_kept_by_position():
    out = deeplight(2, 3, nnz=4).change(at(100), {"table": np.ones((2, 3), np.float32)}, None).arrays["table"]
    np.testing.assert_array_equal(out, [[1, 1, 1], [1, 0, 0]])


def test_due_after_the_warmup_and_at_the_end():
    method = deeplight(warmup_share=0.3)
    assert [step for step in range(10, 101, 10) if method.is_due(at(step))] == list(range(40, 101, 10))
    assert deeplight(warmup_share=0.99).is_due(at(1, 1))


def test_what_serves_is_the_pruned_table_though_fewer_may_be_nonzero():
    method = deeplight(3, 2, nnz=4)
    table = np.array([[0, 1], [0, 0], [0, -2]], np.float32)
    arrays = method.serve({"table": table}, np.random.default_rng(0))
    assert arrays["values"].shape == (4, 1)
    np.testing.assert_array_equal(method.served()(np.arange(3), arrays), table)


def test_bytes_are_those_of_the_sparse_table():
    assert deeplight(6040, 64, nnz=30_000).serving_bytes() == {
        Kind.TABLES: 120_000,
        Kind.OTHER: 4 * 6041 + 30_000,
    }


def test_wrong_settings_and_weights():
    with pytest.raises(RequestError, match=r"density=0\.5: nnz=3"):
        deeplight(nnz=3, density=0.5)
    table = np.full((100, 10), np.nan, np.float32)
    with pytest.raises(RunFailed, match="field user: 1000 of 1000 weights"):
        deeplight().change(at(100), {"table": table}, None)
