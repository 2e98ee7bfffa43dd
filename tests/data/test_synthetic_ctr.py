"""Generated clicks: their bytes, their distribution, and what can be known of them."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import bench.data
from bench.config import compose
from bench.data import portable, synthetic_ctr
from bench.data.interactions import Block
from bench.data.settings import CRITEO_SIZES, SyntheticCtrSettings
from bench.data.synthetic_ctr import Clicks, zipf
from bench.errors import RequestError

DIGEST = "fe7a393fe27042e5e62ad698c12576b467057ec1aaf6b44249efb065d860fb27"


def settings_of(*overrides: str) -> SyntheticCtrSettings:
    found = compose(["dataset=synthetic_ctr", "model=neumf", *overrides]).dataset
    assert isinstance(found, SyntheticCtrSettings)
    return found


def blocks_of(settings: SyntheticCtrSettings) -> list[Block]:
    return [task() for task, _ in Clicks(settings).stream().tasks()]


def digest(blocks: list[Block]) -> str:
    found = hashlib.sha256()
    for block in blocks:
        assert block.dense is not None and block.timestamps is not None
        for ids in block.ids.values():
            own = np.asarray(ids.values)[ids.codes]
            found.update(np.ascontiguousarray(own, "<i8").data)
        found.update(np.ascontiguousarray(block.dense, "<f4").data)
        found.update(np.ascontiguousarray(block.labels, "<f4").data)
    return found.hexdigest()


def small() -> SyntheticCtrSettings:
    return settings_of("dataset.num_rows=150000", "dataset.seed=3")


def test_bytes_are_pinned() -> None:
    assert digest(blocks_of(small())) == DIGEST


@pytest.mark.slow
def test_the_same_bytes_without_the_processors_special_features() -> None:
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    disabled = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    code = "import test_synthetic_ctr as t\nprint(t.digest(t.blocks_of(t.small())))\n"
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)])
    env = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(disabled), "PYTHONPATH": path}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=120)
    assert done.stdout.strip() == DIGEST, done.stderr


def test_the_shape_is_criteos() -> None:
    own = settings_of()
    assert len(own.field_sizes) == 26 and own.num_dense == 13 and own.num_rows == 1_000_000
    assert own.field_sizes == [max(3, round(size / 100)) for size in CRITEO_SIZES]
    assert sum(CRITEO_SIZES) == 33_762_577


@pytest.mark.slow
def test_a_field_has_its_size_whatever_is_drawn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = settings_of("dataset.num_rows=3000")
    with caplog.at_level(logging.WARNING):
        data = bench.data.load(own, tmp_path)
    assert [field.size for field in data.fields.values()] == own.field_sizes
    assert list(data.fields) == [f"C{k}" for k in range(1, 27)] and data.dense_dim == 13
    assert sum(int(field.counts.sum()) for field in data.fields.values()) == 26 * len(data.train)
    assert data.fields["C3"].values is not None and data.fields["C3"].values[77] == 77
    (line,) = caplog.messages
    assert line.startswith(
        "dataset=synthetic_ctr: 3,000 rows of 26 fields with 337,648 ids; the best attainable AUC is 0."
    )
    trained = bench.data.load(replace(own, vocabulary="train"), tmp_path)
    assert trained.fields["C3"].size < 3001


@pytest.mark.slow
def test_the_best_auc_is_what_the_planted_scores_reach() -> None:
    own = settings_of("dataset.num_rows=262144", "dataset.seed=1")
    made = Clicks(own)
    scores, labels = [], []
    for number in (0, 1):
        block = made.block(number, 0, 131_072)
        scores.append(made._scores(made._drawn(number + 1, 131_072)))
        labels.append(block.labels)
    found = roc_auc_score(np.concatenate(labels), np.concatenate(scores))
    assert abs(found - made.best_auc) < 0.003 and 0.75 < found < 0.85
    assert abs(np.concatenate(labels).mean() - own.base_rate) < 0.004


def test_effects_have_the_deviations_that_are_asked_for() -> None:
    base = ["dataset.num_rows=131072", "dataset.seed=2", "dataset.sizes=[5000,4000,3000,2000,900,700]"]
    effects = {"linear_sd": 0.7, "interaction_sd": 0.5, "dense_sd": 0.3}
    for name, value in effects.items():
        others = [f"dataset.{other}={value if other == name else 0}" for other in effects]
        made = Clicks(settings_of(*base, *others, "dataset.exponents=0.2"))
        assert abs(made._scores(made._drawn(1, 131_072)).std() - value) < 0.05 * value, name


@pytest.mark.slow
def test_a_planted_pair_cannot_be_had_from_single_ids() -> None:
    own = settings_of(
        "dataset.num_rows=131072", "dataset.sizes=[20,20]", "dataset.exponents=0", "dataset.num_interactions=1",
        "dataset.linear_sd=0", "dataset.dense_sd=0", "dataset.interaction_sd=2", "dataset.num_dense=0",
    )  # fmt: skip
    (block,) = blocks_of(own)
    one, other = (np.asarray(ids.values)[ids.codes] for ids in block.ids.values())
    assert block.dense is None

    def auc_of(keys: Any) -> float:
        half = len(keys) // 2
        clicks = np.bincount(keys[:half], block.labels[:half], 400) + 0.25
        return float(
            roc_auc_score(
                block.labels[half:], (clicks / (np.bincount(keys[:half], minlength=400) + 1))[keys[half:]]
            )
        )

    best = Clicks(own).best_auc
    assert auc_of(one * 20 + other) > best - 0.01 > auc_of(one) + 0.1


@pytest.mark.parametrize("exponent", [0, 0.7, 1, 1.3])
def test_ids_are_drawn_by_zipfs_law(exponent: float) -> None:
    ranks = zipf(1000, exponent, portable.Stream([5]).uniform(400_000)).astype(int)
    assert ranks.min() == 0 and ranks.max() == 999
    edges = np.arange(1, 1002.0)
    cumulative = np.log(edges) if exponent == 1 else (edges ** (1 - exponent) - 1) / (1 - exponent)
    expected = np.diff(cumulative) / cumulative[-1]
    counts = np.bincount(ranks, minlength=1000) / len(ranks)
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected.max() / len(ranks))


def test_popular_ids_lie_anywhere_and_every_id_can_be_drawn() -> None:
    made = Clicks(
        settings_of("dataset.sizes=[50,51,64]", "dataset.exponents=[1,0,2]", "dataset.num_interactions=3")
    )
    drawn = made._drawn(1, 131_072)
    for ids, size in zip(drawn.ids, (50, 51, 64), strict=True):
        counts = np.bincount(ids, minlength=size)
        assert len(counts) == size and (counts > 0).all()
    top = np.argsort(-np.bincount(drawn.ids[0], minlength=50))[:5]
    assert np.abs(np.diff(top)).min() > 3


@pytest.mark.slow
def test_blocks_depend_on_their_number_alone() -> None:
    own = settings_of("dataset.num_rows=200000")
    whole = blocks_of(own)
    assert [len(block) for block in whole] == [131_072, 200_000 - 131_072]
    assert digest([Clicks(own).block(1, 131_072, 200_000 - 131_072)]) == digest([whole[1]])
    assert whole[1].timestamps is not None and whole[1].timestamps[0] == 131_072


def test_functions_are_numpys() -> None:
    x = np.concatenate([portable.Stream([1]).uniform(5000) * 1000, [1.0, 2.0, 0.5, 2.0**-30, 1e300]])
    np.testing.assert_allclose(portable.log2(x), np.log2(x), rtol=1e-13, atol=1e-13)
    y = (portable.Stream([2]).uniform(5000) - 0.5) * 200
    np.testing.assert_allclose(portable.exp2(y), np.exp2(y), rtol=1e-13)
    np.testing.assert_allclose(portable.sigmoid(y), 1 / (1 + np.exp(-y)), rtol=1e-12)
    bits = portable.hashed(np.arange(100_000), 12345)
    assert len(np.unique(bits)) == 100_000
    for number in (portable.normal(bits), *portable.lanes(bits)):
        assert abs(number.mean()) < 0.02 and abs(number.std() - 1) < 0.02
    assert (
        int(portable.hashed(np.array([0]), 0x9E3779B97F4A7C15)[0]) == 0xE220A8397B1DCDAF
    )  # SplitMix64's first of seed 0


@pytest.mark.parametrize(("changes", "says"), [
    ("dataset.exponents=[1,2]", r"dataset\.exponents=\[1\.0, 2\.0\]: give one number, or one for each of 26 fields"),
    ("dataset.num_interactions=1000", r"dataset\.num_interactions=1000: 26 fields have 325 pairs; give no more"),
    ("dataset.sizes=[5,1]", r"dataset\.sizes="), ("dataset.scale=0", r"dataset\.scale=0"),
    ("dataset.base_rate=1", r"dataset\.base_rate=1"), ("dataset.num_rows=0", r"dataset\.num_rows=0"),
])  # fmt: skip
def test_settings_that_do_not_go_together(changes: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        settings_of(changes)


def test_two_further_fields_of_ratings(dataset: Callable[..., Any], tmp_path: Path) -> None:
    values = {"num_users": 300, "num_items": 200, "num_ratings": 20_000}
    plain = bench.data.load(dataset("synthetic", values), tmp_path)
    data = bench.data.load(dataset("synthetic", {**values, "contexts": True}), tmp_path)
    assert list(data.fields) == ["user", "item", "hour", "device"] and list(plain.fields) == ["user", "item"]
    assert (data.fields["hour"].size, data.fields["device"].size) == (24, 8)
    np.testing.assert_array_equal(data.train.ids["user"], plain.train.ids["user"])
    labels, hours = data.train.labels, data.train.ids["hour"]
    means = np.array([labels[hours == hour].mean() for hour in range(24)])
    assert means.std() > 4 * labels.std() / np.sqrt(len(labels) / 24)
    other = np.array([plain.train.labels[hours == hour].mean() for hour in range(24)])
    assert other.std() < 2 * plain.train.labels.std() / np.sqrt(len(labels) / 24)


def test_version_is_in_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = synthetic_ctr.source(small(), tmp_path).identity
    monkeypatch.setattr(synthetic_ctr, "VERSION", 99)
    assert synthetic_ctr.source(small(), tmp_path).identity != before
