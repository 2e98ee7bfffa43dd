import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.methods.dhe import DHE, DHESettings
from bench.errors import RequestError

PRIME = 2**31 - 1


def dhe(size=6040, dim=64, name="user", **settings):
    return DHE(Vocabulary(name, size), dim, DHESettings(**settings))


def arrays_of(method):
    rng = np.random.default_rng(0)
    return {
        a.name: rng.normal(size=a.shape).astype(np.float32) for a in method.weights()
    } | method.build_maps()


def by_loops(method, arrays, i):
    """The vector of an id from the formula, in Python's exact integers and float64."""
    x = np.array([2 * ((int(a) + int(b) * i) % PRIME) / (PRIME - 1) - 1 for a, b in arrays["coefficients"]])
    for k in range(1, method.settings.num_layers + 1):
        y = x @ arrays[f"kernel_{k}"].astype(np.float64) + arrays[f"bias_{k}"]
        if f"scale_{k}" in arrays:
            y = (y - y.mean()) / np.sqrt(y.var() + 1e-5) * arrays[f"scale_{k}"] + arrays[f"offset_{k}"]
        x = y * np.tanh(np.log1p(np.exp(y))) if method.settings.activation == "mish" else np.maximum(y, 0)
    k = method.settings.num_layers + 1
    return x @ arrays[f"kernel_{k}"].astype(np.float64) + arrays[f"bias_{k}"]


@pytest.mark.parametrize("activation", ["mish", "relu"])
@pytest.mark.parametrize("normalization", [True, False])
@pytest.mark.parametrize(("width", "num_layers"), [(1, 1), (5, 1), (6, 3)])
def test_vectors_from_the_formula(activation, normalization, width, num_layers):
    method = dhe(
        2**31 - 1,
        4,
        num_hashes=7,
        width=width,
        num_layers=num_layers,
        activation=activation,
        normalization=normalization,
    )
    assert ("scale_1" in [a.name for a in method.weights()]) == (normalization and width > 1)
    arrays = arrays_of(method)
    ids = np.array([0, 3, 2**24 + 1, 2**31 - 2])
    expected = [by_loops(method, arrays, int(i)) for i in ids]
    np.testing.assert_allclose(method(ids, arrays), expected, rtol=1e-4, atol=1e-4)


def test_the_encoding_is_uniform_and_differs_by_hash_field_and_seed():
    ids = np.arange(2000)

    def encoded(**settings):
        method = dhe(2000, num_hashes=16, width=4, **settings)
        return method.encode(ids, method.build_maps()["coefficients"], np)

    first = encoded()
    assert first.dtype == np.float32 and first.shape == (2000, 16)
    assert first.min() >= -1 and first.max() <= 1
    assert abs(first.mean()) < 0.02 and first.std() == pytest.approx(3**-0.5, rel=0.02)
    assert len(np.unique(first, axis=0)) == 2000
    assert not np.any(first == encoded(hash_seed=1), axis=0).all()
    assert not np.any(first == encoded(name="item"), axis=0).all()
    np.testing.assert_array_equal(first, encoded())


def test_sizes_by_hand():
    method = dhe(num_hashes=10, width=3, num_layers=2)
    assert [(a.name, a.shape) for a in method.weights()] == [
        ("kernel_1", (10, 3)),
        ("bias_1", (3,)),
        ("scale_1", (3,)),
        ("offset_1", (3,)),
        ("kernel_2", (3, 3)),
        ("bias_2", (3,)),
        ("scale_2", (3,)),
        ("offset_2", (3,)),
        ("kernel_3", (3, 64)),
        ("bias_3", (64,)),
    ]
    networks = 4 * (30 + 9 + 9 + 9 + 192 + 64)
    assert method.serving_bytes() == {"networks": networks, "maps": 10 * 2 * 8}
    assert not method.tables()


def test_default_sizes():
    method = dhe()
    quarter = 6040 * 64 * 4 // 4
    assert method.num_hashes == 8 * method.width
    assert method.nbytes <= quarter < dhe(width=method.width + 1).nbytes
    assert dhe(width=300).num_hashes == 1024
    assert dhe(width=300, num_hashes=5).num_hashes == 5
    assert dhe(1, 1).width == 1
    assert dhe(10**7).width == 1024


@pytest.mark.parametrize("settings", [{}, {"activation": "relu"}, {"num_layers": 4}, {"num_layers": 1}])
def test_vectors_begin_about_as_spread_as_a_full_table(settings):
    layer = CompressedEmbedding(dhe(500, width=64, **settings), seed=1)
    assert np.std(layer(np.arange(500))) == pytest.approx(0.05 / 3**0.5, rel=0.25)


@pytest.mark.parametrize("name", ["num_hashes", "width", "num_layers"])
def test_wrong_sizes_are_refused(name):
    with pytest.raises(RequestError, match=f"{name}=0: give 1 or more"):
        dhe(**{name: 0})
    with pytest.raises(RequestError, match="activation=selu: give mish or relu"):
        dhe(activation="selu")


def test_fit_takes_the_widest_layers():
    field = Vocabulary("user", 6040)
    for settings in (
        DHESettings(),
        DHESettings(num_hashes=100),
        DHESettings(normalization=False, num_layers=1),
    ):
        fitted = DHE(field, 64, DHE.fit(field, 64, settings, 150_000))
        wider = DHE(field, 64, DHESettings(**{**vars(settings), "width": fitted.width + 1}))
        assert fitted.nbytes <= 150_000 < wider.nbytes
    with pytest.raises(OverBudget, match="field user: dhe") as caught:
        DHE.fit(field, 64, DHESettings(), 100)
    smallest = 4 * (8 + 1 + 1 + 1 + 64 + 64) + 16 * 8
    assert caught.value.smallest_bytes == smallest
    with pytest.raises(OverBudget):
        DHE.fit(field, 64, DHESettings(width=100), 1000)
