"""Every method: NumPy serves from the files what the Keras layer computes, and the files have the bytes promised."""

from __future__ import annotations

import exports_made as made
import numpy as np
import pytest
from keras import ops
from marks import slow_but
from served_layers import served

from bench.embeddings import names
from bench.embeddings.base import Kind
from bench.measure.memory import embedding_memory
from bench.serving import load
from bench.serving.layout import ARRAYS

SIZE, DIM = 300, 16
every_method = pytest.mark.parametrize("name", slow_but(("qr", "dpq", "prune"), names()))


def written(folder, layer):
    """An export of one layer, whose ids are text in another order than the rows."""
    ids = [f"u{n * 7 % SIZE}" for n in range(SIZE)]
    given = {f"fields/user/{key}": value for key, value in layer.arrays().items()}
    made.write(folder, {"user": layer.method}, {"user": made.texts(ids)}, given=given)
    return load(folder), ids


@every_method
def test_numpy_equals_the_keras_layer(tmp_path, name):
    layer = served(name)
    tables, ids = written(tmp_path / "shop", layer)
    rows = np.arange(SIZE)
    wanted = ops.convert_to_numpy(layer(rows))
    summed = any(array.kind == Kind.NETWORKS for array in layer.form.arrays()) or name == "tt"
    most = 1e-6 * max(1.0, np.abs(wanted).max()) if summed else 0.0
    for found in (tables.vectors("user", rows), tables.lookup("user", ids)):
        assert (found.dtype, found.shape) == (np.float32, (SIZE, DIM))
        assert np.abs(found - wanted).max() <= most
    for count in (1, 5, 64):
        np.testing.assert_array_equal(
            tables.vectors("user", rows[-count:]), layer.form(rows[-count:], layer.arrays())
        )
    shaped = rows[:12].reshape(2, 3, 2)
    np.testing.assert_allclose(tables.vectors("user", shaped), wanted[shaped], rtol=0, atol=most)
    for wrong in (SIZE, -1):
        with pytest.raises(ValueError, match=f"id {wrong} is outside"):
            tables.vectors("user", [0, wrong])


@every_method
def test_bytes_on_disk_are_those_promised(tmp_path, name):
    layer = served(name)
    tables, _ = written(tmp_path / "shop", layer)
    promised = embedding_memory({"user": layer.method})["embedding_bytes"]
    ids = sum(array.nbytes for array in tables.described.fields["user"].ids.stored("user"))
    own = sum(array.nbytes for key, array in tables._arrays.items() if key.startswith("fields/"))
    assert own == promised == layer.method.nbytes
    assert (tmp_path / "shop" / ARRAYS).stat().st_size <= 1.01 * promised + (64 << 10) + ids
