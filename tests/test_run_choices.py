"""Whole runs of what can be chosen: budgets, methods by field, models, data sets, how to train."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import SMALL, Commands, Done, error_line

pytestmark = pytest.mark.slow

LARGE = ("dataset.num_users=3000", "dataset.num_items=2500", "dataset.num_ratings=60000")


def finished(done: Done) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    assert {result["status"] for result in done.results} == {"finished"}
    return done.results


@pytest.fixture(scope="module")
def ways_to_train(new_commands: Callable[[str], Commands]) -> dict[tuple[str, bool], Mapping[str, Any]]:
    """Results by ``table_updates`` and ``jit``, on tables large enough to be updated by rows."""
    done = new_commands("ways").run(
        "-m", *LARGE, "training.table_updates=deferred,dense", "training.jit=true,false"
    )
    return {
        (result["settings"]["training"]["table_updates"], result["settings"]["training"]["jit"]): result
        for result in finished(done)
    }


def test_deferred_updates_give_the_dense_result(ways_to_train: Any) -> None:
    deferred, dense = ways_to_train["deferred", True], ways_to_train["dense", True]
    assert {used["table_updates"] for used in deferred["embeddings"].values()} == {"deferred"}
    assert {used["table_updates"] for used in dense["embeddings"].values()} == {"dense"}
    for name in ("val_mae", "train_loss", "val_mae_by_decile"):
        np.testing.assert_allclose(deferred["history"][name], dense["history"][name], atol=1e-4)
    assert deferred["history"]["val_mae"][0] - deferred["val_mae"] > 0.05  # it learns, so this says something


@pytest.mark.parametrize("updates", ["deferred", "dense"])
def test_compiling_changes_no_result(ways_to_train: Any, updates: str) -> None:
    compiled, plain = ways_to_train[updates, True], ways_to_train[updates, False]
    for name in ("val_mae", "train_loss"):
        np.testing.assert_allclose(compiled["history"][name], plain["history"][name], atol=1e-4)


def test_budgets_are_kept(commands: Commands) -> None:
    done = commands.run("-m", *LARGE, "strategy=qr,md,qr_md", "budget=0.1,0.3", "training.epochs=1")
    results = finished(done)
    for result in results:
        share = result["embedding_bytes"] / result["full_embedding_bytes"]
        budget = result["settings"]["budget"]
        assert share <= budget, (result["strategy"], share)
        assert share > 0.7 * budget, (result["strategy"], share)  # and made use of
        assert result["compression_ratio"] == pytest.approx(1 / share)
    assert [result["settings"]["budget"] for result in results] == [0.1, 0.3] * 3


def test_full_ignores_a_budget(commands: Commands) -> None:
    (result,) = finished(commands.small("strategy=full", "budget=0.0001", "training.epochs=1"))
    assert result["compression_ratio"] == 1


def test_smallest_budget_that_is_named_works(commands: Commands) -> None:
    refused = commands.small("strategy=qr", "budget=0.0001")
    assert refused.code == 2
    smallest = error_line(refused).split("smallest that can is budget=")[1].split()[0].rstrip(".;,")
    (result,) = finished(commands.small("strategy=qr", f"budget={smallest}", "training.epochs=1"))
    assert result["embedding_bytes"] <= float(smallest) * result["full_embedding_bytes"]


def test_methods_by_field(commands: Commands) -> None:
    done = commands.small(
        "strategy=qr", "num_buckets=20", "quotient_rows=needed", "embedding@embeddings.item=md",
        "embeddings.item.block_splits=[20,80]", "embeddings.item.block_dims=[64,16,4]", "save_weights=true",
    )  # fmt: skip
    (result,) = finished(done)
    user, item = result["embeddings"]["user"], result["embeddings"]["item"]
    assert (user["method"], user["num_buckets"]) == ("qr", 20)
    assert (item["method"], item["block_dims"]) == ("md", [64, 16, 4])
    assert result["strategy"] == "qr"
    assert result["bytes"]["networks"] >= 4 * 64 * (16 + 4)  # projections
    assert result["bytes"]["maps"] > 0  # ids by popularity
    assert result["optimizer_bytes"] > 0

    from safetensors.numpy import load_file

    arrays = load_file(done.folder / "weights.safetensors")
    assert sum(a.size for a in arrays.values() if a.dtype.kind == "f") == result["params_total"]
    assert any(a.dtype.kind == "i" and a.shape[0] == 200 for a in arrays.values())


def test_one_method_for_all_fields(commands: Commands) -> None:
    done = commands.small(
        "embedding@embeddings.default=qr", "embeddings.default.num_buckets=25", "embedding_dim=32",
        "training.epochs=2", "training.batch_size=64", "training.optimizer=adagrad",
        "training.learning_rate=0.05",
    )  # fmt: skip
    (result,) = finished(done)
    assert {used["method"] for used in result["embeddings"].values()} == {"qr"}
    assert result["params_embedding"] == 4 * 25 * 32
    assert len(result["history"]["val_mae"]) == 2
    assert result["full_embedding_bytes"] == 500 * 32 * 4


def test_models(commands: Commands) -> None:
    done = commands.small("-m", "model=dot,dot_bias,neumf,bias", "seed=3")
    dot, with_biases, network, biases = finished(done)
    assert biases["params_total"] == dot["params_total"] + 1
    assert dot["params_total"] == dot["params_embedding"] == 500 * 64
    assert with_biases["params_total"] == dot["params_total"] + 500 + 1
    assert network["params_total"] > network["params_embedding"]
    assert len({result["val_mae"] for result in (dot, with_biases, network, biases)}) == 4


def test_splits_and_vocabularies(commands: Commands) -> None:
    done = commands.small("-m", "dataset.vocabulary=all,train", "dataset.split.kind=random,last,time")
    results = finished(done)
    assert [result["params_total"] for result in results[:3]] == [500 * 64] * 3
    for result in results[3:]:  # one row for ids that no training row has
        assert result["params_total"] <= (500 + 2) * 64
    assert results[5]["params_total"] < 500 * 64
    assert len({result["fingerprint"] for result in results}) == 6
    assert len({result["val_mae"] for result in results}) == 6


def test_early_stopping_ends_a_run(commands: Commands) -> None:
    done = commands.small(
        "dataset.split.validation_fraction=0.2", "training.early_stopping.patience=1",
        "training.early_stopping.min_delta=10", "training.epochs=50",
    )  # fmt: skip
    (result,) = finished(done)
    lengths = {len(values) for values in result["history"].values()}
    assert len(lengths) == 1 and max(lengths) < 5


def test_no_progress(commands: Commands) -> None:
    done = commands.small("training.progress=false", "tracking.experiment=mine", "training.epochs=1")
    finished(done)
    assert done.err == ""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A CSV file of 6,000 ratings with names of its own."""
    rng = np.random.default_rng(0)
    pairs = rng.choice(120 * 80, 6000, replace=False)
    lines = [f"u{pair // 80},{pair % 80},{rng.integers(1, 11) / 2},{1_600_000_000 + i}"
             for i, pair in enumerate(pairs)]  # fmt: skip
    path = tmp_path / "my ratings.csv"
    path.write_text("\n".join(["who,film,stars,when", *lines]) + "\n")
    return path


COLUMNS = (
    "dataset=table", "dataset.columns.user=who", "dataset.columns.item=film", "dataset.columns.label=stars",
    "dataset.columns.timestamp=when",
)  # fmt: skip

HALF = ("dataset.split.train_fraction=0.5",)  # of rows: then an id has more than 20 to evaluate on


def test_table_of_ones_own(commands: Commands, table: Path) -> None:
    done = commands.run(
        *COLUMNS, f"dataset.path='{table}'", "dataset.split.kind=time", *HALF, "strategy=qr_md"
    )
    (result,) = finished(done)
    assert result["dataset"] == "table"
    assert result["full_embedding_bytes"] == (120 + 80) * 64 * 4
    assert len(result["val_mae_by_decile"]) == 10 == len(result["val_mae_by_field"]["user"])
    named = {field: [one["id"] for one in own] for field, own in result["val_mae_worst_ids"].items()}
    assert len(named["user"]) == 10 and {*named["user"]} <= {f"u{number}" for number in range(120)}
    assert len(named["item"]) == 10 and {*named["item"]} <= {str(number) for number in range(80)}
    assert re.search(rf"^worst-served user +{named['user'][0]} \(", done.out, re.MULTILINE)
    first, *epochs = done.said
    assert first.startswith(f"{table}: 6000 rows read, none dropped; sha256 ")
    assert len(epochs) == 3 and done.out.startswith("status")  # a line an epoch, and no warning
    again = commands.run(
        *COLUMNS, f"dataset.path='{table}'", "dataset.split.kind=time", *HALF, "strategy=qr_md"
    )
    assert again.result["status"] == "skipped"


def test_bad_rows_of_a_table(commands: Commands, table: Path) -> None:
    table.write_text(table.read_text() + "u1,,3.0,1\nu2,5,nan,1\nu3,6,,1\n")
    refused = commands.run(*COLUMNS, f"dataset.path='{table}'")
    assert refused.code == 2 and not refused.folders
    line = error_line(refused)
    assert "film: 1 " in line and "stars: 2 " in line and "dataset.bad_rows=drop" in line
    dropped = commands.run(*COLUMNS, f"dataset.path='{table}'", "dataset.bad_rows=drop", "training.epochs=1")
    (result,) = finished(dropped)
    assert result["full_embedding_bytes"] == (120 + 80) * 64 * 4
    assert "dropped 3 of 6003 rows" in dropped.out + dropped.err


def test_table_that_is_not_there(commands: Commands) -> None:
    done = commands.run(*COLUMNS, "dataset.path=nosuch.csv")
    assert done.code == 2 and "nosuch.csv" in error_line(done)


def test_data_dir_of_ones_own(commands: Commands, tmp_path: Path) -> None:
    done = commands.run(*SMALL, f"data_dir='{tmp_path}/my data'", "training.epochs=1")
    (result,) = finished(done)
    assert result["settings"]["data_dir"] == f"{tmp_path}/my data"
