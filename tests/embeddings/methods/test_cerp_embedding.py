import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings import find
from bench.embeddings.base import Kind, OverBudget, Progress, Vocabulary
from bench.embeddings.methods.cerp import CERP, CERPSettings
from bench.errors import RequestError, RunFailed


def cerp(size=10, dim=3, **settings):
    return CERP(Vocabulary("user", size), dim, CERPSettings(**{"num_rows": 4, **settings}))


def arrays_of(method, seed=0, searched=0):
    rng = np.random.default_rng(seed)
    out = {a.name: np.zeros(a.shape, a.dtype) for a in method.arrays()}
    for name in ("p", "q"):
        out[name] = rng.normal(size=out[name].shape).astype(np.float32) * 0.1
    return {**out, "searched": np.array([searched], np.int32)}


def at(step, previous, steps=100):
    return Progress(step, steps, epoch=0, epochs=1, epoch_ended=step == steps, previous=previous)


def test_rows_by_hand():
    method = cerp()  # ceil(10 / 4) = 3 ids share a row of q
    rows = method.lookups(np.array([0, 3, 7, 9]), {}, np)
    assert rows["p"].tolist() == [0, 3, 3, 1] and rows["q"].tolist() == [0, 1, 2, 3]
    arrays = arrays_of(method, searched=1)
    np.testing.assert_allclose(method([7], arrays)[0], arrays["p"][3] + arrays["q"][2])


@pytest.mark.parametrize(("size", "buckets"), [(10, 4), (16, 4), (17, 5), (1000, 32), (1000, 999), (1, 1)])
def test_no_two_ids_read_the_same_rows(size, buckets):
    rows = cerp(size, num_rows=buckets).lookups(np.arange(size), {}, np)
    assert len({*zip(rows["p"].tolist(), rows["q"].tolist(), strict=True)}) == size


def test_without_thresholds_it_is_the_sum_of_qr():
    size, b = 9, 3  # ceil(9 / 3) is 3 too, so both divide by the same number
    method = cerp(size, num_rows=b, threshold=1e-30)
    qr = find("qr")(Vocabulary("user", size), 3, find("qr").Settings(num_buckets=b, combine="sum"))
    arrays = arrays_of(method)
    expected = qr(np.arange(size), {"quotient": arrays["q"], "remainder": arrays["p"]})
    np.testing.assert_allclose(method(np.arange(size), arrays), expected, atol=1e-7)


def test_the_search_shrinks_each_table_by_its_own_thresholds():
    method = cerp(threshold=0.05, threshold_rate=10.0)
    arrays = arrays_of(method)
    arrays["thresholds"] = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32) * 0.1
    expected = 0
    for number, (table, row) in enumerate((("p", 3), ("q", 2))):
        s = 1 / (1 + np.exp(-(np.log(0.05 / 0.95) + 10.0 * arrays["thresholds"][number])))
        v = arrays[table][row]
        expected = expected + np.sign(v) * np.maximum(np.abs(v) - s, 0)
    np.testing.assert_allclose(method([7], arrays)[0], expected, atol=1e-6)


def test_the_reward_is_for_sums_without_zeros_and_fades():
    method = cerp(reward=0.5, threshold=1e-30)
    arrays = arrays_of(method)
    rows = method.lookups(np.arange(10), {}, np)
    read = {name: arrays[name][rows[name]] for name in rows}
    vectors = method(np.arange(10), arrays)
    for faded, gamma in ((0, 0.5), (0.75, 0.125), (1, 0)):
        weights = {**arrays, "faded": np.array([faded], np.float32)}
        expected = -gamma * np.mean(np.tanh(100 * vectors.astype(float)) ** 2)
        assert method.penalty(read, rows, weights, np) == pytest.approx(expected, abs=1e-7)
    assert cerp(reward=0.0).penalty(read, rows, arrays, np) is None


def test_gradients_stop_at_what_is_not_kept():
    method = cerp()
    arrays = arrays_of(method, searched=1)
    arrays["p_pruned"][3] = [0, 1, 1]
    arrays["q_pruned"][2] = [1, 1, 0]
    p, q = tf.Variable(arrays["p"]), tf.Variable(arrays["q"])
    with tf.GradientTape() as tape:
        tensors = {k: tf.convert_to_tensor(v) for k, v in {**arrays, "p": p, "q": q}.items()}
        total = tf.reduce_sum(method(tf.constant([7]), tensors, keras.ops, training=True))
    by_p, by_q = (tf.convert_to_tensor(g).numpy() for g in tape.gradient(total, [p, q]))
    assert by_p[3].tolist() == [1, 0, 0] and by_q[2].tolist() == [0, 0, 1]
    assert np.count_nonzero(by_p) == np.count_nonzero(by_q) == 1


def test_the_search_ends_with_equally_many_of_each_table():
    method = cerp(density=0.25)
    arrays = arrays_of(method)
    arrays["q"] *= 0.01  # all smaller than those of p, and still 3 of 12 are kept
    change = method.change(at(30, 27), arrays, np.random.default_rng(0))
    new = change.arrays
    assert change.reset_moments and new["searched"] == [1] and new["faded"] == [1]
    for part in ("p", "q"):
        kept = np.sort(np.abs(arrays[part]).ravel())[-3]
        np.testing.assert_array_equal(new[f"{part}_pruned"] == 0, np.abs(arrays[part]) >= kept)
        assert np.abs(new[part]).max() <= 0.05 and new[part].std() == pytest.approx(0.05 / 3**0.5, rel=0.4)
    after = {**arrays, **new}
    assert method.change(at(33, 30), after, np.random.default_rng(0)).arrays == {}
    served = method.serve(after, np.random.default_rng(0))
    np.testing.assert_array_equal(method.served()(np.arange(10), served), method(np.arange(10), after))


def test_at_the_end_of_the_run_the_kept_stay_as_they_are():
    method = cerp(search_share=1.0)
    arrays = arrays_of(method)
    change = method.change(at(100, 97), arrays, np.random.default_rng(0))
    after = {**arrays, **change.arrays}
    assert not change.reset_moments
    served = method.serve(arrays, np.random.default_rng(0))
    np.testing.assert_array_equal(method.served()(np.arange(10), served), method(np.arange(10), after))


def test_due_where_the_reward_falls_and_at_the_end_of_the_search():
    method = cerp(search_share=0.3)
    due = [step for step in range(4, 401, 4) if method.is_due(at(step, step - 4, 400))]
    assert due == [12, 20, 32, 40, 52, 60, 72, 80, 92, 100, 112, 120]  # multiples of 10 up to 120
    assert method.is_due(at(1, 0, 1))
    assert method.change(at(15, 10), arrays_of(method), None).arrays["faded"] == pytest.approx(0.5)


def test_bytes_by_hand_and_the_most_buckets_within():
    method = cerp(6040, 64, num_rows=120)
    assert method.serving_bytes() == {Kind.TABLES: 2 * 4 * 3840, Kind.OTHER: 2 * (120 * 8 + 120 * 4)}
    field, budget = Vocabulary("user", 6040), 6040 * 64 * 4 // 10
    fitted = CERP.fit(field, 64, CERPSettings(), budget)
    each = 32 * 4 + 8 + 4  # half of the numbers, bits, and where the row begins
    assert fitted.num_rows == budget // (2 * each)
    with pytest.raises(OverBudget) as caught:
        CERP.fit(field, 64, CERPSettings(), 1000)
    assert caught.value.smallest_bytes == CERP(field, 64, CERPSettings(num_rows=78)).nbytes


def test_wrong_settings_and_weights():
    with pytest.raises(RequestError, match=r"num_rows=3: too few to tell apart the 10 ids of user; .* is 4"):
        cerp(num_rows=3)
    with pytest.raises(RequestError, match="density=0"):
        cerp(density=0.0)
    method = cerp()
    arrays = arrays_of(method)
    arrays["q"][0, 0] = np.nan
    with pytest.raises(RunFailed, match="field user: 1 of 12 weights"):
        method.change(at(30, 27), arrays, np.random.default_rng(0))
