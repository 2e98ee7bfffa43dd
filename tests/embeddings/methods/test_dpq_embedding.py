import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.methods.dpq import DPQ, DPQSettings
from bench.errors import RequestError


def dpq(size=6040, dim=64, **settings):
    return DPQ(Vocabulary("user", size), dim, DPQSettings(**settings))


def arrays_of(method, seed=0):
    rng = np.random.default_rng(seed)
    return {a.name: rng.normal(size=a.shape).astype(np.float32) for a in method.arrays()}


def by_loops(method, arrays, i):
    """The formula, part by part: width 5 in parts of 3 and 2."""
    parts, _, width = arrays["keys"].shape
    out = []
    for j in range(parts):
        query = arrays["query"][i, j * width : (j + 1) * width]
        keys = arrays["keys"][j, :, : len(query)]
        if (
            method.settings.form == "vq"
        ):  # what a key has beyond the width counts too, against a query of zero
            scores = [-np.sum((query - k) ** 2) for k in keys]
            scores -= np.sum(arrays["keys"][j, :, len(query) :] ** 2, axis=1)
        else:
            scores = [query @ k for k in keys]
        values = arrays["keys" if method.settings.form == "vq" else "values"]
        out.extend(values[j, np.argmax(scores), : len(query)])
    return out


@pytest.mark.parametrize("form", ["vq", "softmax"])
@pytest.mark.parametrize(("dim", "parts"), [(5, 2), (6, 3), (40, 2)])
def test_vectors_by_the_formula(form, dim, parts):
    method = dpq(9, dim, num_parts=parts, num_codes=4, form=form)
    arrays = arrays_of(method)
    expected = np.array([by_loops(method, arrays, i) for i in range(9)])
    np.testing.assert_array_equal(method(np.arange(9), arrays), expected)
    served = method.serve(arrays, np.random.default_rng(0))
    np.testing.assert_array_equal(method.served()(np.arange(9), served), expected)
    tensors = {name: tf.constant(value) for name, value in arrays.items()}
    for training in (True, False):
        np.testing.assert_allclose(method(np.arange(9), tensors, keras.ops, training), expected, atol=1e-6)


def test_vq_gives_its_gradient_to_the_query_and_to_the_chosen_keys():
    method = dpq(3, 2, num_parts=1, num_codes=2)
    query = tf.constant([[1.0, 1.0], [-1.0, 0.0]])
    keys = tf.constant([[[2.0, 1.0], [-1.0, -1.0]]])
    target = tf.constant([[3.0, 5.0], [7.0, 11.0]])
    with tf.GradientTape() as tape:
        tape.watch([query, keys])
        vectors = method.combine({"query": query}, {}, {"keys": keys}, keras.ops, True)
        loss = tf.reduce_sum(vectors * target)
    of_query, of_keys = tape.gradient(loss, [query, keys])
    np.testing.assert_array_equal(vectors, [[2, 1], [-1, -1]])
    np.testing.assert_array_equal(of_query, target)
    np.testing.assert_array_equal(of_keys, [target])


def test_penalty_moves_keys_alone():
    """Squared distances 1 and 1: their mean, times the weight."""
    method = dpq(3, 2, num_parts=1, num_codes=2, penalty_weight=3)
    query = tf.constant([[1.0, 1.0], [-1.0, 0.0]])
    keys = tf.constant([[[2.0, 1.0], [-1.0, -1.0]]])
    with tf.GradientTape() as tape:
        tape.watch([query, keys])
        penalty = method.penalty({"query": query}, {}, {"keys": keys}, keras.ops)
    of_query, of_keys = tape.gradient(penalty, [query, keys])
    assert float(penalty) == 3
    assert of_query is None
    np.testing.assert_array_equal(of_keys, [[[3, 0], [0, -3]]])
    assert dpq(penalty_weight=0).penalty({}, {}, {}, keras.ops) is None
    assert dpq(form="softmax").penalty({}, {}, {}, keras.ops) is None


def test_softmax_has_the_gradient_of_the_weighted_mean():
    method = dpq(3, 2, num_parts=1, num_codes=3, form="softmax")
    arrays = arrays_of(method, 1)
    query = arrays["query"].astype(np.float64)
    target = np.random.default_rng(2).normal(size=(3, 2))

    def mean(query):
        scores = query @ arrays["keys"][0].T.astype(np.float64)
        scores = (scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)
        shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        return np.sum(shares @ arrays["values"][0] * target)

    expected = np.empty((3, 2))
    for place in np.ndindex(3, 2):
        step = np.zeros((3, 2))
        step[place] = 1e-5
        expected[place] = (mean(query + step) - mean(query - step)) / 2e-5
    tensor = tf.constant(arrays["query"])
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        vectors = method.combine({"query": tensor}, {}, arrays, keras.ops, True)
        loss = tf.reduce_sum(vectors * target.astype(np.float32))
    np.testing.assert_allclose(tape.gradient(loss, tensor), expected, rtol=1e-3, atol=1e-3)


def test_bytes_by_hand():
    """6040 ids x 8 codes of 5 bits = 5 bytes, and 32 entries x 64 numbers x 4 bytes; no keys, no queries."""
    for form in ("vq", "softmax"):
        assert dpq(form=form).serving_bytes() == {Kind.CODES: 6040 * 5, Kind.TABLES: 32 * 64 * 4}
    assert dpq(20).settings.num_codes == 20
    assert dpq(dim=3).settings.num_parts == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_parts": 65}, "num_parts=65: give 1 to embedding_dim=64"),
        ({"num_codes": 300}, "num_codes=300: give 1 to 256"),
        ({"form": "sx"}, "form=sx: give vq or softmax"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(RequestError, match=words):
        dpq(**settings)


def test_fit_takes_parts_first_then_codes():
    field, books = Vocabulary("user", 6040), 32 * 64 * 4

    def fit(budget, **settings):
        found = DPQ.fit(field, 64, DPQSettings(**settings), budget)
        return found.num_parts, found.num_codes

    assert fit(6040 * 20 + books) == (32, 32)
    assert fit(6040 * 20 + books - 1) == (22, 32)
    assert fit(10**9) == (64, 256)
    assert fit(10**9, num_codes=16) == (64, 16)
    with pytest.raises(OverBudget) as caught:
        fit(6039)
    assert caught.value.smallest_bytes == 6040 + 2 * 64 * 4
