"""What every method in conf/embedding must hold. No method is known here by name."""

import json
import re
import tracemalloc
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from marks import slow_but, unlike_in_training

from bench.embeddings import find, names
from bench.embeddings.base import MAX_IDS, Kind, OverBudget, Progress, Vocabulary
from bench.embeddings.budget import choose
from bench.embeddings.layer import CompressedEmbedding, embedding_layers
from bench.embeddings.registry import checked, modules
from bench.embeddings.trial import check_change
from bench.errors import RequestError

every_method = pytest.mark.parametrize("name", names())
one_of_each_kind = pytest.mark.parametrize("name", slow_but(unlike_in_training(), names()))
quick = settings(max_examples=20, deadline=None, derandomize=True, database=None)
SIZE, DIM = 37, 8
POLICIES = ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


def vocabulary(size, name="item"):
    return Vocabulary(name, size, np.random.default_rng(size).zipf(1.3, size).clip(0, 10**6))


def method_of(name, size=SIZE, dim=DIM):
    return find(name)(vocabulary(size), dim)


def layer_of(name, size=SIZE, dim=DIM, **options):
    """A built layer; no array is left at zero, where a mistake would not show."""
    layer = CompressedEmbedding(method_of(name, size, dim), **options)
    layer.build(())
    return filled(layer)


def filled(layer):
    """The layer with other values in all that is trained."""
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return layer


def model_of(layer):
    """A functional model that adds up two vectors."""
    inputs = keras.Input((2,), dtype="int32")
    return keras.Model(inputs, keras.ops.sum(layer(inputs), axis=1))


def rotated(name, shift=0):
    """A dtype policy of Keras: another one for the next method."""
    return POLICIES[(names().index(name) + shift) % len(POLICIES)]


@contextmanager
def dtype_policy(policy):
    """Makes a dtype policy that of every layer and model, and gives the type that they compute in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield keras.config.dtype_policy().compute_dtype
    finally:
        keras.config.set_dtype_policy(before)


def at_the_end(layer):
    """The layer after what its method does to the arrays when training ends."""
    end = Progress(20, 20, epoch=2, epochs=2, epoch_ended=True)
    if layer.method.is_due(end):
        arrays = layer.arrays()
        layer.set_arrays(layer.method.change(end, arrays, np.random.default_rng(7)).applied(arrays))
    return layer


def made(method):
    """All arrays of a method as NumPy ones, the maps as it builds them."""
    rng = np.random.default_rng(2)
    trained = {
        a.name: (rng.normal(size=a.shape) if a.trainable else np.zeros(a.shape)).astype(a.dtype)
        for a in (*method.tables(), *method.weights())
    }
    return {**trained, **method.build_maps()}


def described(method):
    """The name, shape and type of each array of a method."""
    return [(a.name, a.shape, np.dtype(a.dtype)) for a in method.arrays()]


def found(arrays):
    """The same of arrays."""
    return [(name, value.shape, value.dtype) for name, value in arrays.items()]


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    near = max(1e-5, 4 * float(ml_dtypes.finfo(b.dtype).eps))  # of reduced precision
    np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=near, atol=near / 10)


def test_every_method_has_two_files():
    assert len(names()) >= 3
    assert modules() == names()


def test_every_method_has_a_test_of_its_own_vectors():
    folder = Path(__file__).parent / "methods"
    for name in names():
        file = folder / f"test_{name}_embedding.py"
        assert file.is_file(), f"{name}: write {file}, with vectors worked out by hand"
        text = file.read_text(encoding="utf-8")
        assert "def test_" in text and re.search(rf"methods\.{name} |find\(\"{name}\"\)", text), file


@every_method
def test_its_two_files_say_the_same(name):
    assert checked(name) is find(name)


@every_method
@pytest.mark.parametrize("dtype", ["int32", pytest.param("int64", marks=pytest.mark.slow)])
def test_shapes(name, dtype):
    layer = layer_of(name)
    for shape in ((), (4,), (2, 3), (2, 3, 2), (0,)):
        ids = np.random.default_rng(0).integers(0, SIZE, shape).astype(dtype)
        out = layer(tf.constant(ids, dtype))
        assert out.shape == (*shape, DIM) == layer.compute_output_shape(shape)
        assert out.dtype == tf.float32
        in_numpy = layer.method(ids, layer.arrays())
        assert in_numpy.dtype == np.float32
        same(out, in_numpy)


@pytest.mark.slow
@every_method
def test_equal_results_under_xla_in_a_graph_eagerly_and_in_numpy(name):
    layer = layer_of(name)
    ids = np.arange(SIZE, dtype=np.int32)
    eager = layer(ids)
    for jit in (True, False):
        same(tf.function(layer, jit_compile=jit)(tf.constant(ids)), eager)
    same(layer.method(ids, layer.arrays()), eager)
    assert len(np.unique(eager, axis=0)) > 1


@every_method
def test_gradients_reach_every_trainable_array(name):
    layer = layer_of(name)
    target = np.random.default_rng(3).normal(size=(SIZE, DIM)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.arange(SIZE), training=True) * target)
    variables = [v.value for v in layer.trainable_variables]
    declared = [a for a in (*layer.method.tables(), *layer.method.weights()) if a.trainable]
    assert len(variables) == len(declared)
    for variable, gradient in zip(layer.trainable_variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, variable.path
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.path


@every_method
def test_arrays_are_as_described(name):
    layer = layer_of(name)
    assert described(layer.method) == found(layer.arrays())
    assert {v.path.rsplit("/", 1)[-1] for v in layer.variables} == set(layer.arrays())
    assert not {v.path for v in layer.trainable_variables} & {v.path for v in layer.map_variables.values()}


@every_method
def test_bytes_are_those_of_the_arrays_that_serve(name):
    layer = layer_of(name).to_served()
    form = layer.method.served()
    arrays = layer.arrays()
    assert described(form) == found(arrays)
    by_kind = {}
    for array in form.arrays():
        by_kind[array.kind] = by_kind.get(array.kind, 0) + arrays[array.name].nbytes
    assert layer.method.serving_bytes() == by_kind
    assert layer.method.nbytes == sum(v.nbytes for v in arrays.values())
    assert all(isinstance(kind, Kind) for kind in by_kind)


@pytest.mark.parametrize("name", slow_but(("full", "qr", "md", "dpq", "int8", "prune"), names()))
def test_what_serves_gives_the_vectors_of_what_was_trained(name):
    """Where a parent is trained, what serves is near its vectors, and equal to itself in NumPy and under XLA."""
    layer = at_the_end(layer_of(name))
    ids = np.arange(SIZE, dtype=np.int32)
    served = layer.to_served()
    if layer.method.parent() is None:
        same(served(ids), layer(ids))
    same(tf.function(served, jit_compile=True)(tf.constant(ids)), served(ids))
    same(served.form(ids, served.arrays()), served(ids))
    assert not served.trainable_variables
    again = layer.to_served().arrays()
    assert all(np.array_equal(again[key], value) for key, value in served.arrays().items())


@every_method
def test_a_parent_is_trained_as_the_method_says(name):
    method = method_of(name)
    parent = method.parent()
    if parent is not None:
        assert parent.parent() is None
        assert described(parent) == described(method)
        assert parent.vocabulary == method.vocabulary and parent.embedding_dim == method.embedding_dim
        layer = layer_of(name)
        same(parent(np.arange(SIZE), layer.arrays()), layer(np.arange(SIZE)))


@every_method
def test_arrays_change_as_described(name):
    """Through two epochs of ten steps, whatever a method does between steps."""
    layer = layer_of(name)
    rng = np.random.default_rng(4)
    for step in range(1, 21):
        progress = Progress(step, 20, epoch=step // 10, epochs=2, epoch_ended=step % 10 == 0)
        if not layer.method.is_due(progress):
            continue
        before = layer.arrays()
        change = layer.method.change(progress, before, rng)
        check_change(layer.method, change)
        new = change.applied(before)
        assert all(np.isfinite(value).all() for value in new.values())
        layer.set_arrays(new)
    assert np.isfinite(layer(np.arange(SIZE))).all()
    same(
        layer.to_served()(np.arange(SIZE)), layer(np.arange(SIZE))
    ) if layer.method.parent() is None else None


@every_method
def test_rows_after_an_update(name):
    method = method_of(name)
    assert set(method.rounded()) <= {t.name for t in method.tables() if t.trainable}
    rng = np.random.default_rng(5)
    for table in method.tables():
        if table.name not in method.rounded():
            continue
        rows, noise = (rng.random((6, table.shape[1])).astype(np.float32) for _ in range(2))
        out = method.after_update(table.name, rows, noise, np)
        assert out.shape == rows.shape and out.dtype == np.float32
        same(method.after_update(table.name, tf.constant(rows), tf.constant(noise), keras.ops), out)


@every_method
def test_given_rows_are_combined_without_reading_the_tables(name):
    layer = layer_of(name)
    ids = np.array([[3, 1, 3], [0, SIZE - 1, 2]])
    arrays = layer.arrays()
    indices = layer.method.lookups(ids, arrays, np)
    rows = {t.name: tf.constant(arrays[t.name][indices[t.name]]) for t in layer.method.tables()}
    expected = layer(ids)
    for table in layer.table_variables.values():
        table.assign(tf.fill(table.shape, np.nan))
    with layer.given_rows(rows, indices):
        same(layer(ids), expected)
    assert not layer.table_variables or np.isnan(layer(ids)).all()


class Wrapped(keras.Model):
    """A user's own model around the layer."""

    def __init__(self, embedding, **kwargs):
        super().__init__(**kwargs)
        self.embedding = embedding

    def call(self, ids):
        return keras.ops.sum(self.embedding(ids), axis=1)

    def get_config(self):
        return {**super().get_config(), "embedding": keras.saving.serialize_keras_object(self.embedding)}

    @classmethod
    def from_config(cls, config):
        embedding = keras.saving.deserialize_keras_object(config.pop("embedding"))
        return cls(embedding, **config)


@one_of_each_kind
@pytest.mark.parametrize("served", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("subclassed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_save_and_load(name, subclassed, served, tmp_path):
    """Under a dtype policy that differs from case to case."""
    ids = np.arange(SIZE - 1, dtype=np.int32).reshape(-1, 2)
    with dtype_policy(rotated(name, 2 * subclassed + served)):
        layer = layer_of(name)
        if served:
            layer = layer.to_served()
        model = Wrapped(layer) if subclassed else model_of(layer)
        expected = model(ids)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"Wrapped": Wrapped})
        np.testing.assert_array_equal(loaded(ids), expected)
        if subclassed:
            loaded.compile(jit_compile=served)
            same(loaded.predict(ids, verbose=0), expected)
        assert loaded.count_params() == model.count_params()


@one_of_each_kind
@pytest.mark.parametrize("policy", slow_but(("mixed_float16",), POLICIES))
def test_vectors_under_every_dtype_policy(name, policy):
    """They are those of float32, cast at the end: alone, in a model, and of the form that serves."""
    ids = np.arange(SIZE)
    trained = layer_of(name, dtype="float32")
    with dtype_policy(policy) as dtype:
        layer = layer_of(name)
        inputs = keras.Input((), dtype="int32")
        served = layer.to_served()
        served.name = "served"
        model = keras.Model(inputs, (layer(inputs), served(inputs)))
        expected = [keras.ops.cast(one(ids), dtype) for one in (trained, trained.to_served())]
        for found, vectors in zip((layer(ids), *model(ids)), (expected[0], *expected), strict=True):
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, vectors)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "policy", "eagerly"),
    [
        *((name, "mixed_float16", True) for name in names()),
        *((name, rotated(name), True) for name in names()),
        *((name, rotated(name), False) for name in names()[: len(POLICIES)]),
    ],
)
def test_fit_and_predict_under_every_dtype_policy(name, policy, eagerly):
    """Gradients reach all that is trained, through scaled losses too."""
    ids = np.arange(SIZE)
    with dtype_policy(policy):
        layer = CompressedEmbedding(method_of(name), seed=3)
        layer.build(())
        before = layer.arrays()
        inputs = keras.Input((), dtype="int32")
        model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
        model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=eagerly)
        if eagerly:
            for _ in range(5):  # the first may lower the scale alone
                model.train_on_batch(ids, ids / SIZE)
        else:
            model.fit(ids, ids / SIZE, batch_size=SIZE, epochs=5, verbose=0)
        after = layer.arrays()
        assert described(layer.method) == found(after)
        for variable in layer.trainable_variables:
            assert not np.array_equal(after[variable.name], before[variable.name]), variable.path
        assert all(np.isfinite(after[variable.name]).all() for variable in layer.trainable_variables)
        same(model.predict_on_batch(ids) if eagerly else model.predict(ids, verbose=0), model(ids))


@one_of_each_kind
@pytest.mark.parametrize("counts", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_clones_equal_the_layer_or_are_refused(name, counts):
    """Without weights they have equal initial values, or say which arrays they lack; with weights they are equal."""
    ids = np.arange(SIZE - 1, dtype=np.int32).reshape(-1, 2)
    field = vocabulary(SIZE, "a/b") if counts else Vocabulary("a/b", SIZE)
    layer = CompressedEmbedding(find(name)(field, DIM), seed=3)
    trained = model_of(layer)
    initial = trained(ids)
    at_the_end(filled(layer))
    ways = (
        keras.models.clone_model,
        lambda model: keras.models.model_from_json(model.to_json()),
        lambda model: keras.models.clone_model(keras.Model.from_config(model.get_config())),
    )
    for served, model in enumerate((trained, model_of(layer.to_served()))):
        clone = ways[(names().index(name) + served + counts) % len(ways)](model)
        (own,) = embedding_layers(clone)
        if waits := own.get_config()["awaited"]:
            assert counts or served
            words = f"made from a config, which lacks {', '.join(waits)}; give it the weights"
            for call, given in ((clone, ids), (clone.predict, ids), (own.to_served, 0)):
                with pytest.raises(ValueError, match=words):
                    call(given)
        else:
            assert not served or own.form is own.method
            np.testing.assert_array_equal(clone(ids), initial)
        clone.set_weights(model.get_weights())
        np.testing.assert_array_equal(clone(ids), model(ids))


@every_method
def test_settings_round_trip(name):
    method = method_of(name)
    stored = json.loads(json.dumps(asdict(method.settings)))
    again = find(name)(Vocabulary("item", SIZE), DIM, find(name).Settings(**stored))
    assert asdict(again.settings) == asdict(method.settings)
    assert again.tables() == method.tables()
    layer = CompressedEmbedding(method, name="vectors", seed=3, dtype="mixed_bfloat16")
    config = json.loads(json.dumps(layer.get_config()))
    assert CompressedEmbedding.from_config(config).get_config() == layer.get_config()


@every_method
def test_ids_out_of_range_are_refused_by_name(name):
    layer = layer_of(name)
    for wrong in (-1, SIZE, 2**33):
        words = f"item: id {wrong} is outside.*{SIZE}.*0 to {SIZE - 1}"
        with pytest.raises(ValueError, match=words):
            layer(np.array([[1, wrong]]))
        with pytest.raises(ValueError, match=words):
            layer.method(np.array([1, wrong]), layer.arrays())


@every_method
@pytest.mark.parametrize("size", slow_but([1], [1, 2, 3, 5]))
def test_smallest_vocabularies(name, size):
    layer = layer_of(name, size, 4)
    out = layer(np.arange(size))
    assert out.shape == (size, 4)
    assert np.isfinite(out).all()
    same(layer.method(np.arange(size), layer.arrays()), out)
    chosen = choose({"item": (find(name), find(name).Settings())}, {"item": vocabulary(size)}, 4, 1.0)["item"]
    assert chosen.nbytes <= size * 4 * 4


@every_method
@pytest.mark.parametrize("examples", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_lookups_are_in_range(name, examples):
    @given(size=st.integers(1, 3000), dim=st.integers(1, 20).map(lambda n: 2 * n))
    @settings(quick, max_examples=examples)
    def holds(size, dim):
        method = method_of(name, size, dim)
        ids = np.arange(size)
        maps = method.build_maps()
        assert [(a.name, a.shape, np.dtype(a.dtype)) for a in method.maps()] == [
            (n, m.shape, m.dtype) for n, m in maps.items()
        ]
        rows = method.lookups(ids, maps, np)
        in_keras = method.lookups(tf.constant(ids), {n: tf.constant(m) for n, m in maps.items()}, keras.ops)
        assert rows.keys() == in_keras.keys()
        for key, value in rows.items():
            assert value.dtype == np.int32 and in_keras[key].dtype == tf.int32
            np.testing.assert_array_equal(value, in_keras[key])
        for table in method.tables():
            assert rows[table.name].min() >= 0 and rows[table.name].max() < table.shape[0]

    holds()


@every_method
@pytest.mark.parametrize("examples", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_budget_holds_and_what_it_counts_is_there(name, examples):
    @given(
        size=st.integers(1, 5000),
        dim=st.sampled_from([1, 2, 3, 8, 16, 50, 64]),
        share=st.floats(1e-4, 1.0),
    )
    @settings(quick, max_examples=examples)
    def holds(size, dim, share):
        request, field = {"item": (find(name), find(name).Settings())}, {"item": vocabulary(size)}
        full = size * dim * 4
        try:
            method = choose(request, field, dim, share)["item"]
        except OverBudget as error:
            assert error.smallest_bytes > share * full
            smallest = float(str(error).rsplit("budget=", 1)[1])
            assert smallest > share
            method, share = choose(request, field, dim, smallest)["item"], smallest
            assert method.nbytes == error.smallest_bytes
        serving = method.serve(made(method), np.random.default_rng(6))
        assert found(serving) == described(method.served())
        assert method.nbytes == sum(a.nbytes for a in serving.values())
        if not find(name).ignores_budget:
            # As the decimal that the budget is: 0.29 of 200 bytes is 58.
            assert method.nbytes <= Fraction(str(share)) * full
        assert method.served()(np.arange(size), serving).shape == (size, dim)

    holds()


@every_method
@given(
    size=st.integers(1, 5000),
    dim=st.sampled_from([1, 2, 8, 64]),
    low=st.floats(0, 1.2),
    more=st.floats(0, 0.5),
)
@quick
def test_fit_grows_with_the_bytes(name, size, dim, low, more):
    cls, field = find(name), vocabulary(size)

    def fitted(share):
        allowed = int(share * size * dim * 4)
        try:
            size_of = cls(field, dim, cls.fit(field, dim, cls.Settings(), allowed)).nbytes
        except OverBudget as error:
            assert error.smallest_bytes > allowed
            settings = cls.fit(field, dim, cls.Settings(), error.smallest_bytes)
            assert cls(field, dim, settings).nbytes == error.smallest_bytes
            return 0
        assert size_of <= allowed
        return size_of

    assert fitted(low) <= fitted(low + more)


@every_method
def test_sizes_of_ten_million_rows_need_no_arrays(name):
    size = 10_000_000
    field = Vocabulary("item", size)
    cls = find(name)
    tracemalloc.start()
    fitted = cls.fit(field, 64, cls.Settings(), 2 * size * 64 * 4)
    assert cls(field, 64, fitted).nbytes > 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@every_method
def test_vocabularies_and_widths_that_cannot_be_are_refused(name):
    for size in (0, -1, MAX_IDS + 1):
        with pytest.raises(RequestError, match=f"item: {size} ids"):
            find(name)(Vocabulary("item", size), 8)
    with pytest.raises(RequestError, match="embedding_dim=0"):
        find(name)(Vocabulary("item", 3), 0)
    with pytest.raises(RequestError, match="counts of shape"):
        find(name)(Vocabulary("item", 3, np.ones(4, np.int64)), 8)
