"""The command that repeats a run composes to the settings it came from."""

from __future__ import annotations

import shlex

import pytest

from bench.config import compose
from bench.fingerprint import deciding
from bench.reporting.repeat import command, overrides, text

ASKED = [
    [],
    ["strategy=qr", "num_buckets=120", "seed=3"],
    ["strategy=qr", "budget=0.1", "model=neumf", "model.hidden_units=[32,16]"],
    ["strategy=qr_md", "num_buckets=120", "block_dims=[64,32,16]", "block_splits=[400,1700]"],
    ["dataset=movielens_1m", "strategy=md", "training.epochs=5", "training.learning_rate=1e-4"],
    ["embedding@embeddings.item=md", "embeddings.item.block_dims=[64,32,16]"],
    ["strategy=qr", "num_buckets=120", "embedding@embeddings.item=qr", "embeddings.item.num_buckets=80"],
    ["strategy=qr_md", "embedding@embeddings.item=full", "combine=sum"],
    ["training.optimizer=adam", "training.optimizer_settings.beta_1=0.8", "training.schedule.kind=cosine"],
    ["dataset=table", "dataset.path='my ratings, all.csv'", "dataset.columns.user=who"],
    [
        "dataset.split.kind=time",
        "dataset.split.validation_fraction=0.1",
        "training.early_stopping.patience=2",
    ],
    ["experiment=recipe_memory_efficient"],
    ["embedding_dim=32", "save_weights=true", "training.threads=3", "tracking.experiment=x"],
]


@pytest.mark.parametrize("asked", ASKED, ids=" ".join)
def test_composes_to_the_same_settings(asked: list[str]) -> None:
    settings = compose(asked).values
    found = command(settings, [settings["seed"]])
    assert found is not None
    again = compose(shlex.split(found)[3:]).values
    ignored = ("tracking", "data_dir", "resume")
    assert deciding(again) == deciding(settings), found
    path = settings["dataset"].get("path")
    assert path is None or again["dataset"]["path"] == path
    assert all(name not in found for name in ignored)


def test_names_only_what_differs() -> None:
    settings = compose(["strategy=qr", "num_buckets=120"]).values
    assert command(settings, [0]) == "python -m bench.run strategy=qr num_buckets=120"
    assert command(settings, [0, 1]) == "python -m bench.run -m strategy=qr num_buckets=120 seed=0,1"
    follows = command(settings, [0, 1], ["dataset.split.seed"])
    assert follows == (
        "python -m bench.run -m strategy=qr num_buckets=120 'dataset.split.seed=${seed}' seed=0,1"
    )


@pytest.mark.parametrize(
    "changed",
    [{"strategy": "gone"}, {"dataset": {"name": "gone"}}, {"training": {"gone": 1}}, {"embeddings": None}],
)
def test_settings_that_are_gone(changed: dict[str, object]) -> None:
    assert overrides({**compose([]).values, **changed}) is None


@pytest.mark.parametrize(
    "value", ["a b", "it's", "1e3", "true", "a,b", "a=b", "a\\b", "a\\", "a\\'b", "", "x", [1, "a b"], None]
)
def test_texts_are_read_back(value: object) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_override(f"a={text(value)}").value()
    read = [getattr(item, "text", item) for item in parsed] if isinstance(parsed, list) else parsed
    assert getattr(read, "text", read) == value
