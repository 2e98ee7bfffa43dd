import numpy as np
import pytest

from bench.embeddings.base import Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.methods.full import Full, FullSettings
from bench.errors import RequestError


def test_a_row_an_id():
    method = Full(Vocabulary("user", 3), 2)
    table = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    np.testing.assert_array_equal(method([2, 0], {"table": table}), [[5, 6], [1, 2]])


def test_parameters_of_the_recipe():
    sizes = (6040, 3706)
    assert sum(Full(Vocabulary("x", n), 64).nbytes for n in sizes) == 623_744 * 4


def test_initializer():
    layer = CompressedEmbedding(Full(Vocabulary("user", 50), 8, FullSettings(initializer="zeros")))
    assert not np.asarray(layer(np.arange(50))).any()
    layer = CompressedEmbedding(Full(Vocabulary("user", 50), 8))
    values = np.abs(layer(np.arange(50)))
    assert 0.045 < values.max() <= 0.05
    with pytest.raises(RequestError, match="initializer"):
        Full(Vocabulary("user", 50), 8, FullSettings(initializer=""))
