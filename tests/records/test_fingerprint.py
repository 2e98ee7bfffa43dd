import copy
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records import fingerprint as module
from bench.records.fingerprint import canonical, deciding, fingerprint

SETTINGS = {
    "seed": 0,
    "resume": True,
    "save_weights": False,
    "timing": False,
    "results_dir": "outputs/results",
    "data_dir": "~/.cache/x",
    "strategy": "qr",
    "dataset": {"name": "table", "path": "a.csv", "split": {"kind": "random", "seed": 0}},
    "embeddings": {"default": {"method": "qr", "num_buckets": 12}, "user": None},
    "training": {"epochs": 3, "learning_rate": 0.001, "threads": None, "progress": True},
    "tracking": {"uri": "sqlite:///x.db", "experiment": "e"},
}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
dicts = st.dictionaries(st.text(), values, max_size=5)


@pytest.fixture(scope="module", autouse=True)
def code_that_has_been_read():
    module.code_digest()  # takes longer than Hypothesis allows an example


def changed(path, value):
    settings = copy.deepcopy(SETTINGS)
    node = settings
    *groups, name = path.split(".")
    for group in groups:
        node = node[group]
    assert node[name] != value
    node[name] = value
    return settings


def shuffled(value, chance):
    if isinstance(value, dict):
        items = list(value.items())
        chance.shuffle(items)
        return {key: shuffled(item, chance) for key, item in items}
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


@given(dicts, st.integers())
def test_the_order_of_keys_does_not_matter(settings, seed):
    assert fingerprint(shuffled(settings, random.Random(seed)), "d") == fingerprint(settings, "d")


@given(values, values)
def test_equal_text_means_equal_values(one, other):
    same = repr_of(one) == repr_of(other)
    assert (canonical(one) == canonical(other)) == same


def repr_of(value):
    if isinstance(value, dict):
        return "{" + repr(sorted((key, repr_of(item)) for key, item in value.items()))
    return "[" + repr([repr_of(item) for item in value]) if isinstance(value, list) else repr(value)


def test_the_order_of_digits_matters():
    assert fingerprint(changed("embeddings.default.num_buckets", 21), "d") != fingerprint(SETTINGS, "d")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 1),
        ("strategy", "md"),
        ("dataset.split.seed", 1),
        ("embeddings.user", {"method": "full"}),
        ("training.learning_rate", 0.0010000000000000002),
        ("training.epochs", 3.5),
        ("timing", True),
    ],
)
def test_what_decides_the_result_counts(path, value):
    assert fingerprint(changed(path, value), "d") != fingerprint(SETTINGS, "d")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("resume", False),
        ("save_weights", True),
        ("results_dir", "/elsewhere"),
        ("data_dir", "/elsewhere"),
        ("dataset.path", "b.csv"),
        ("training.threads", 2),
        ("training.progress", False),
        ("tracking.uri", "http://localhost:1"),
        ("tracking", None),
    ],
)
def test_what_decides_nothing_does_not_count(path, value):
    assert fingerprint(changed(path, value), "d") == fingerprint(SETTINGS, "d")


def test_only_the_named_level_is_left_out():
    settings = {"model": {"tracking": 1, "threads": 2}, "path": 3, "threads": 4}
    assert deciding(settings) == settings


def test_data_code_and_versions_count(monkeypatch):
    base = fingerprint(SETTINGS, "d")
    seen = {base, fingerprint(SETTINGS, "e")}
    for name in ("code_digest", "tensorflow_version"):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda: "another")
            seen.add(fingerprint(SETTINGS, "d"))
    with monkeypatch.context() as patch:
        patch.setattr(module, "version", lambda package: "another")
        seen.add(fingerprint(SETTINGS, "d"))
    assert len(seen) == 5
    assert fingerprint(SETTINGS, "d") == base


@pytest.mark.parametrize("settings", [{"a": float("nan")}, {"a": [float("inf")]}])
def test_numbers_that_are_not_finite(settings):
    with pytest.raises(ValueError, match="JSON"):
        fingerprint(settings, "d")


@pytest.mark.parametrize("settings", [{1: 2}, {"a": [{None: 1}]}, {"a": {1, 2}}])
def test_what_json_lacks(settings):
    with pytest.raises(TypeError):
        fingerprint(settings, "d")
