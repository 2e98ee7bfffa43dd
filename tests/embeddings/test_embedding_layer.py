import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import bench.embeddings
from bench.embeddings import CompressedEmbedding, FullEmbedding, MDEmbedding, QREmbedding, find, names, read
from bench.embeddings.base import Vocabulary, largest
from bench.embeddings.layer import embedding_layers
from bench.embeddings.methods.full import Full
from bench.errors import RequestError


def test_importing_and_sizing_imports_no_keras():
    code = (
        "import sys, bench.embeddings as e, bench.models; from bench.embeddings.base import Vocabulary; "
        "import bench.embeddings.budget; [e.find(n)(Vocabulary('x', 9), 4) for n in e.names()]; "
        "sys.exit(sorted({'keras', 'tensorflow', 'hydra', 'mlflow', 'pandas'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_methods_are_found_by_name():
    assert names() == sorted(names())
    for name in names():
        assert find(name).name() == name
    with pytest.raises(RequestError, match=f"method nosuch does not exist; there are {', '.join(names())}"):
        find("nosuch")
    with pytest.raises(RequestError, match="there are"):
        find("base")
    with pytest.raises(AttributeError, match="NosuchEmbedding"):
        bench.embeddings.NosuchEmbedding  # noqa: B018


def test_settings_from_a_mapping():
    method, settings = read({"method": "qr", "num_buckets": 7})
    assert (method.name(), settings.num_buckets, settings.combine) == ("qr", 7, "product")
    for wrong in ({"num_bucket": 7}, {"num_buckets": "ten"}, {"num_buckets": 0}, {"combine": "mean"}):
        with pytest.raises(RequestError, match=f"{next(iter(wrong))}="):
            read({"method": "qr", **wrong})


def test_constructors():
    layer = QREmbedding(6040, 64, num_buckets=120, field="user", name="users")
    assert (layer.name, layer.method.name(), layer.method.vocabulary.name) == ("users", "qr", "user")
    layer(np.arange(3))
    assert layer.count_params() == 15_360
    assert FullEmbedding(10, 4).method.nbytes == 160
    layer = MDEmbedding(3, 8, counts=[1, 5, 3])
    np.testing.assert_array_equal(layer.method.build_maps()["rank"], [2, 0, 1])
    for name in names():
        constructor = getattr(bench.embeddings, find(name).__name__ + "Embedding")
        assert constructor(10, 4).method.name() == name
    with pytest.raises(RequestError, match="num_buckets=1"):
        QREmbedding(10, 4, num_buckets=1)
    with pytest.raises(TypeError, match="method='qr'"):
        CompressedEmbedding("qr")


def test_given_rows_are_refused_inside_themselves_and_where_one_is_missing():
    layer = QREmbedding(10, 4)
    ids = np.array([1, 2])
    layer(ids)
    rows = {name: tf.zeros((2, 4)) for name in layer.table_variables}
    with layer.given_rows(rows, {}):
        with pytest.raises(RuntimeError, match="inside itself"), layer.given_rows(rows, {}):
            pass
        assert not np.asarray(layer(ids)).any()
    for calls in (0, 2):  # rows are one call's
        with pytest.raises(ValueError, match=f"called {calls} times"), layer.given_rows(rows, {}):
            for _ in range(calls):
                layer(ids)
    with pytest.raises(ValueError, match="no rows given of remainder"), layer.given_rows({"quotient": 0}, {}):
        pass
    with pytest.raises(KeyError), layer.given_rows(rows, {}):
        raise KeyError
    assert np.asarray(layer(ids)).any()  # an error inside ends it too


def test_gradients_of_given_rows_are_those_of_the_tables():
    layer = QREmbedding(10, 4, num_buckets=4, seed=0)
    ids = np.array([1, 9, 1])
    layer(ids)
    indices = layer.method.lookups(ids, {}, np)
    rows = {name: tf.gather(table.value, indices[name]) for name, table in layer.table_variables.items()}
    weights = tf.reshape(tf.range(12.0), (3, 4))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        with layer.given_rows(rows, indices):
            loss = tf.reduce_sum(layer(ids) * weights)
    of_rows = tape.gradient(loss, rows)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(ids) * weights)
    of_tables = tape.gradient(loss, {name: table.value for name, table in layer.table_variables.items()})
    for name, table in layer.table_variables.items():
        summed = np.zeros(table.shape, np.float32)
        np.add.at(summed, indices[name], of_rows[name])
        np.testing.assert_allclose(summed, tf.convert_to_tensor(of_tables[name]), rtol=1e-6)


def test_seed():
    def values(**kwargs):
        layer = MDEmbedding(40, 8, **kwargs)
        layer.build(())
        return {v.name: v.numpy() for v in layer.trainable_variables}

    first, again, other, field = values(seed=1), values(seed=1), values(seed=2), values(seed=1, field="user")
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["block_0"], other["block_0"])
    assert not np.array_equal(first["block_0"], field["block_0"])
    assert not np.array_equal(first["block_1"][:4, :4], first["block_2"][:4, :4].repeat(2, axis=1))
    keras.utils.set_random_seed(5)
    first = values()
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(first["block_0"], values()["block_0"])


@pytest.mark.slow
@pytest.mark.parametrize("jit", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_model_of_ones_own_trains(jit):
    keras.utils.set_random_seed(0)
    ids = np.arange(64, dtype=np.int32).reshape(-1, 1) % 20
    labels = (ids[:, 0] % 2).astype(np.float32)
    inputs = keras.Input((1,), dtype="int32")
    hidden = keras.layers.Flatten()(QREmbedding(20, 8, combine="sum")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=jit)
    history = model.fit(ids, labels, epochs=30, batch_size=64, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


class WrongTable(Full):
    def lookups(self, ids, maps, xp):
        return {"tabel": ids}


class WrongWidth(Full):
    def combine(self, rows, indices, weights, xp, training):
        return rows["table"][..., 1:]


class SameNames(Full):
    def weights(self):
        return self.tables()


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (WrongTable, r"lookups\(\) gives no rows of the table table; it gives tabel; did you mean tabel\?"),
        (WrongWidth, r"combine\(\) gives the shape \(3, 3\); its last axis must be embedding_dim=4"),
        (SameNames, r"tables\(\): two arrays are called table; give each its own name"),
    ],
)
def test_a_method_that_breaks_its_description_is_refused_where_it_is_used(method, words):
    layer = CompressedEmbedding(method(Vocabulary("item", 5), 4))
    with pytest.raises(RequestError, match=words):
        layer(np.arange(3))


def test_ids_that_are_no_whole_numbers_are_refused():
    layer = QREmbedding(10, 4)
    for wrong in (1.5, np.nan):
        with pytest.raises(ValueError, match="not whole"):
            layer(np.array([1.0, wrong], np.float32))
    for ids in (np.array([1.0], np.float16), np.array([True]), keras.Input((2,), dtype="bfloat16")):
        with pytest.raises(ValueError, match="give integers"):
            layer(ids)
    assert layer(keras.Input((2,), dtype="int64")).shape == (None, 2, 4)


def test_keras_may_hand_over_ids_as_floats_while_those_are_exact():
    layer = QREmbedding(10, 4)
    model = keras.Sequential([layer])  # without an input layer, Keras makes one of float32
    ids = np.array([[1, 2]])
    np.testing.assert_array_equal(model(ids), layer(ids))
    np.testing.assert_array_equal(model.predict(ids, verbose=0), layer(ids))
    with pytest.raises(ValueError, match=r"float32.* 16777217 ids.*give integers"):
        QREmbedding(2**24 + 1, 4)(keras.Input((2,)))


def test_arrays_keep_their_types_under_a_policy():
    layer = MDEmbedding(10, 4, dtype="mixed_bfloat16")
    out = layer(np.arange(10))
    assert out.dtype == tf.bfloat16
    assert layer.table_variables["block_0"].dtype == "float32"
    assert layer.map_variables["rank"].dtype == "int32"


@pytest.mark.parametrize("policy", [f"{mode}_from_mixed_bfloat16" for mode in ("int8", "float8", "int4")])
def test_quantized_policies_are_refused(policy):
    layer = QREmbedding(10, 4, dtype=policy, name="shop")
    with pytest.raises(RequestError, match=f"layer shop: dtype={policy}: .*mixed_bfloat16.*ptq_int8"):
        layer(np.arange(3))


def test_a_model_that_keras_quantizes_keeps_its_embeddings():
    inputs = keras.Input((), dtype="int32")
    vectors = QREmbedding(10, 4, combine="sum")(inputs)
    model = keras.Model(inputs, [vectors, keras.layers.Dense(2)(vectors)])
    ids = np.arange(10)
    before = model(ids)[0]
    with pytest.warns(UserWarning, match="CompressedEmbedding"):
        model.quantize("int8")
    np.testing.assert_array_equal(model(ids)[0], before)


@pytest.mark.parametrize("name", ["city name", "città", "price (eur)", "user#1", ""])
def test_names_that_tensorflow_does_not_compile_are_refused(name):
    with pytest.raises(RequestError, match=rf"^name={re.escape(name)}: .*A-Z a-z 0-9 _ \. -"):
        QREmbedding(10, 4, name=name)


@pytest.mark.parametrize("field", ["city name", "città", "a/b", "price (eur)", "user#1"])
def test_fields_of_any_name(field, tmp_path):
    inputs = keras.Input((), dtype="int32")
    model = keras.Model(inputs, QREmbedding(10, 4, field=field)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(np.arange(10)), model(np.arange(10)))
    with pytest.raises(ValueError, match=f"field {re.escape(field)}: id 10"):
        loaded(np.array([10]))


def test_the_map_of_a_clone_comes_with_the_weights():
    """As issue 39856 of TensorFlow. By its config alone, ids 0 and 1 would be the popular ones."""
    inputs = keras.Input((), dtype="int32")
    layer = MDEmbedding(4, 4, counts=[1, 2, 9, 8], block_splits=[2], block_dims=[4, 1])
    model = keras.Model(inputs, layer(inputs))
    clone = keras.models.clone_model(model)
    again = keras.models.clone_model(clone)
    for unset in (clone, again):
        with pytest.raises(ValueError, match="lacks rank; give it the weights"):
            unset(np.arange(4))
        unset.set_weights(model.get_weights())
        (own,) = embedding_layers(unset)
        assert own.maps()["rank"].tolist() == [3, 2, 0, 1]
        np.testing.assert_array_equal(unset(np.arange(4)), model(np.arange(4)))


def test_building_inside_a_traced_function_sets_the_maps():
    layer = MDEmbedding(4, 4, counts=[1, 2, 3, 4])

    @tf.function
    def call(ids):
        return layer(ids)

    call(tf.constant([0]))
    np.testing.assert_array_equal(layer.map_variables["rank"], [3, 2, 1, 0])


def test_layers_of_a_model_at_any_depth():
    first, second = QREmbedding(10, 4, name="first"), FullEmbedding(10, 4, name="second")
    inputs = keras.Input((), dtype="int32")
    inner = keras.Model(inputs, first(inputs))
    outer = keras.Model(inputs, inner(inputs) + second(inputs) + first(inputs))
    assert sorted(layer.name for layer in embedding_layers(outer)) == ["first", "second"]
    assert embedding_layers(first) == [first]
    assert embedding_layers(keras.Model(inputs, inputs)) == []


def test_frequencies():
    field = Vocabulary("item", 6, np.array([5, 9, 0, 5, 7, 1]))
    assert field.by_frequency().tolist() == [1, 4, 0, 3, 5, 2]
    assert field.training_rows([0, 1, 4, 6]) == [9, 17, 1]
    assert field.training_rows([0, 6]) == [27]
    assert Vocabulary("item", 3).training_rows([0, 3]) is None


@pytest.mark.parametrize("limit", [-1, 0, 3, 9, 10, 99])
def test_largest(limit):
    expected = None if limit < 0 else min(limit, 10)
    assert largest(0, 10, lambda n: n <= limit) == expected
