import numpy as np
import pytest
from test_cafe_embedding import arrays_of, changed, layer, same_arrays

from bench.embeddings.base import Vocabulary
from bench.embeddings.methods.adaembed import AdaEmbed, AdaEmbedSettings
from bench.embeddings.methods.full import Full
from bench.errors import RequestError


def method(counts=(1, 9, 1, 4, 2, 0), dim=2, **settings):
    return AdaEmbed(Vocabulary("user", len(counts), np.array(counts)), dim, AdaEmbedSettings(**settings))


def test_vectors_by_hand():
    made = method(num_hot=2)
    arrays = arrays_of(made)
    table = arrays["table"]
    assert table.shape == (3, 2)
    expected = [[0, 0], table[0], [0, 0], table[1], [0, 0], [0, 0]]
    np.testing.assert_array_equal(made(np.arange(6), arrays), expected)
    served = made.serve(arrays, np.random.default_rng(0))
    np.testing.assert_array_equal(served["hot"], [1, 3])
    np.testing.assert_array_equal(made.served()(np.arange(6), served), expected)
    assert made.nbytes == 4 * 2 * (2 + 1)


def test_rows_go_to_other_ids_as_zeros():
    made = method(num_hot=2)
    arrays = arrays_of(made)
    arrays["scores"][:, 0] = [0, 3, 0, 1, 2, 0]
    after, change = changed(made, arrays)
    np.testing.assert_array_equal(after["row_of"], [-1, 0, -1, -1, 1, -1])
    np.testing.assert_array_equal(after["table"], [arrays["table"][0], [0, 0], arrays["table"][2]])
    np.testing.assert_array_equal(change.rows["table"].numbers, [1])
    np.testing.assert_allclose(after["scores"], arrays["scores"] * np.float32(0.9))


@pytest.mark.parametrize(("least", "moves"), [(0.49, True), (0.5, False)])
def test_few_changes_are_left(least, moves):
    made = method(num_hot=2, min_change=least)
    arrays = arrays_of(made)
    arrays["scores"][:, 0] = [0, 3, 0, 1, 2, 0]
    after, _ = changed(made, arrays)
    assert (after["row_of"][4] >= 0) == moves
    np.testing.assert_allclose(after["scores"], arrays["scores"] * np.float32(0.9))


def test_all_hot_is_full():
    same_arrays(layer(method(num_hot=6)).arrays(), layer(Full(Vocabulary("user", 6), 2)).arrays())


def test_sizes():
    field = Vocabulary("user", 1000)
    assert AdaEmbed.fit(field, 16, AdaEmbedSettings(), 6800).num_hot == 100
    assert AdaEmbed.fit(field, 16, AdaEmbedSettings(), 6799).num_hot == 99
    assert AdaEmbed.fit(field, 16, AdaEmbedSettings(), 64_000).num_hot == 1000
    with pytest.raises(RequestError, match="num_hot=0: give 1 or more"):
        method(num_hot=0)
