"""The command that repeats a run composes to the settings it came from."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from marks import slow_but

from bench.config import compose, loader
from bench.records.fingerprint import deciding
from bench.reporting.repeat import command, has_sizes, other_sizes, overrides

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
    [
        "dataset=synthetic_ctr",
        "model=neumf",
        "strategy=hash",
        "budget=12MB",
        "dataset.exponents=[1.5,1]",
        "dataset.sizes=[30,20]",
        "dataset.num_interactions=1",
    ],
    ["dataset=criteo", "model=neumf", "dataset.split.kind=seven_parts", "training.shuffle=blocks"],
    [
        "dataset=table",
        "dataset.path=r.csv",
        "dataset.fields=[a,b,c]",
        "dataset.label=y",
        "model=neumf",
        "dataset.dense=[d]",
        "dataset.transforms.d=log1p",
        "dataset.timestamp=t",
    ],
    [
        "dataset=table",
        "dataset.path=r.csv",
        "dataset.fields=[a,b,c]",
        "dataset.label=y",
        "model=neumf",
        "strategy=qr",
        "embedding@embeddings.b=md",
        "embeddings.b.block_dims=[64,32]",
        "embeddings.b.block_splits=[9]",
    ],
    ["embedding_dim=32", "save_weights=true", "training.threads=3", "tracking.experiment=x"],
]


@pytest.mark.parametrize("asked", slow_but(ASKED[::2], ASKED), ids=" ".join)
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


OWN = """
defaults: [table, _self_]
name: books
path: books.csv
fields: [reader, book, city]
label: stars
"""


def test_own_settings_files_are_part_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "my conf" / "dataset").mkdir(parents=True)
    (tmp_path / "my conf" / "dataset" / "books.yaml").write_text(OWN)
    dirs = (str(tmp_path / "my conf"),)
    asked = ["dataset=books", "model=neumf", "strategy=qr", "num_buckets=9", "embedding@embeddings.city=full"]
    settings = compose(asked, loader(dirs)).values
    assert command(settings, [0]) is None
    found = command(settings, [0, 1], config_dirs=dirs)
    assert found is not None
    _, _, bench, option, folder, *words = shlex.split(found)
    assert (bench, option, folder, words[0]) == ("bench.run", "--config-dir", *dirs, "-m")
    again = compose([word for word in words[1:] if not word.startswith("seed=")], loader(dirs)).values
    assert deciding(again) == deciding(settings)
    assert "--config-dir" not in str(command(compose(["strategy=qr"]).values, [0], config_dirs=dirs))


def test_other_sizes_open_what_a_budget_decides() -> None:
    def sized(*asked: str, seeds: tuple[int, ...] = (0, 1)) -> str | None:
        return other_sizes(compose(asked).values, seeds, [0.2, 0.15])

    start = "python -m bench.run -m strategy="
    assert sized("strategy=qr", "num_buckets=120") == f"{start}qr budget=0.2,0.15 seed=0,1"
    assert sized("strategy=qr", "num_buckets=120", "combine=sum") == (
        f"{start}qr combine=sum budget=0.2,0.15 seed=0,1"
    )
    assert sized("strategy=qr", "num_partitions=3", "budget=0.1") == (
        f"{start}qr num_partitions=3 budget=0.2,0.15 seed=0,1"
    )
    assert sized("strategy=md", "block_dims=[64,32,8]", seeds=(0,)) == f"{start}md budget=0.2,0.15"
    assert other_sizes({}, [0], [0.1]) is None


def test_methods_of_one_size() -> None:
    assert [name for name in ("qr", "md", "pq", "dhe", "int8", "ptq_int4", "full", "gone") if has_sizes(name)] == [
        "qr", "md", "pq", "dhe",
    ]  # fmt: skip
