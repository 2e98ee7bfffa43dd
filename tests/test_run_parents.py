"""Post-training methods: trained once by a parent's run, compressed many times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import DIVERGES, Commands, Done, client_of, error_line, logged_runs

from bench.embeddings import find, names
from bench.embeddings.base import Vocabulary
from bench.records.store import WEIGHTS

pytestmark = pytest.mark.slow

POST_TRAINING = [name for name in names() if find(name)(Vocabulary("item", 50), 8).parent() is not None]
FIRST, SECOND = POST_TRAINING[:2]


@pytest.fixture(scope="module")
def swept(new_commands: Callable[[str], Commands]) -> Done:
    """A sweep of two methods that compress the same model."""
    return new_commands("parents").small("-m", f"strategy={FIRST},{SECOND}", "seed=3")


def test_the_parent_is_trained_once(swept: Done) -> None:
    assert swept.code == 0, swept.err
    assert [line.split("/")[0] for line in swept.err.splitlines() if line.startswith("epoch")] == [
        "epoch 1", "epoch 2", "epoch 3",
    ]  # fmt: skip
    runs = {run.data.tags["strategy"]: run for run in logged_runs(client_of(swept.cwd))}
    assert set(runs) == {"full", FIRST, SECOND}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    parent = runs["full"]
    assert "parent_fingerprint" not in parent.data.tags
    for result in swept.results:
        assert result["parent_fingerprint"] == parent.data.tags["fingerprint"]
        assert runs[result["strategy"]].data.tags["parent_fingerprint"] == parent.data.tags["fingerprint"]
        assert result["run_id"] == runs[result["strategy"]].info.run_id


def test_a_compressed_run_has_its_own_error_and_size_and_its_parents_training(swept: Done) -> None:
    parent = next(run for run in logged_runs(client_of(swept.cwd)) if run.data.tags["strategy"] == "full")
    numbers = parent.data.metrics
    for result in swept.results:
        assert result["status"] == "finished"
        assert result["embedding_bytes"] < numbers["embedding_bytes"]
        assert result["step_time_ms"] == pytest.approx(numbers["step_time_ms"])
        assert result["params_embedding"] == numbers["params_embedding"]
        assert result["train_loss"] == pytest.approx(numbers["train_loss"])
        assert len(result["history"]["val_mae"]) == 3
        assert result["val_mae"] == result["history"]["val_mae"][-1]
        assert result["val_mae"] == pytest.approx(numbers["val_mae"], abs=0.2)
        assert result["lookup_us"] > 0


def test_the_same_commands_train_and_compress_nothing(swept: Done) -> None:
    again = Commands(swept.cwd, _data_dir(swept))
    for strategy in (FIRST, "full"):
        done = again.small(
            f"strategy={strategy}", "seed=3", "save_weights=true" if strategy == "full" else "seed=3"
        )
        assert done.result["status"] == "skipped", strategy
    assert len(logged_runs(client_of(swept.cwd))) == 3


def _data_dir(done: Done) -> Path:
    return Path(done.results[0]["settings"]["data_dir"])


def test_one_field_compressed_and_the_other_trained(commands: Commands) -> None:
    done = commands.small(
        "strategy=qr", f"embedding@embeddings.item={FIRST}", "budget=0.6", "training.epochs=1"
    )
    assert done.code == 0, done.err
    runs = logged_runs(client_of(done.cwd))
    parent = next(run for run in runs if "parent_fingerprint" not in run.data.tags)
    used = done.result["embeddings"]
    assert (used["user"]["method"], used["item"]["method"]) == ("qr", FIRST)
    assert parent.data.params["used.item.method"] == "full"
    assert parent.data.params["used.user.num_buckets"] == str(used["user"]["num_buckets"])
    assert parent.data.params["budget"] == "null"
    assert done.result["compression_ratio"] >= 1 / 0.6


def test_a_parent_that_fails_is_the_cause(commands: Commands) -> None:
    done = commands.small(f"strategy={FIRST}", *DIVERGES)
    assert done.code == 1
    assert "the loss became" in error_line(done)


def test_the_weights_of_a_parent_lie_on_disk_once(commands: Commands) -> None:
    given = ("-m", f"strategy={FIRST},{SECOND}", "embedding_dim=256", "training.epochs=1")
    done = commands.small(*given)
    assert done.code == 0, done.err
    (parent,) = [record for record in commands.cwd.glob("outputs/results/*") if (record / WEIGHTS).exists()]
    size = (parent / WEIGHTS).stat().st_size
    assert size > 500 * 256 * 4
    files = [path for path in commands.cwd.rglob("*") if path.is_file() and "report" not in path.parts]
    assert [path for path in files if path.stat().st_size >= size / 2 and path.suffix != ".db"] == [
        parent / WEIGHTS
    ]
    assert (parent / WEIGHTS).stat().st_nlink == 1
    # asked for, they lie beside the result and in MLflow
    asked = commands.small("strategy=full", "embedding_dim=256", "training.epochs=1", "save_weights=true")
    assert asked.result["status"] == "skipped"
    assert (asked.folder / WEIGHTS).stat().st_ino == (parent / WEIGHTS).stat().st_ino


def test_weights_that_are_asked_for_are_in_mlflow(commands: Commands) -> None:
    done = commands.small(f"strategy={FIRST}", "training.epochs=1", "save_weights=true")
    client = client_of(done.cwd)
    stored = {
        run.data.tags["strategy"]: {file.path for file in client.list_artifacts(run.info.run_id)}
        for run in logged_runs(client)
    }
    assert WEIGHTS in stored[FIRST] and WEIGHTS not in stored["full"]
    assert (done.folder / WEIGHTS).exists() and not (done.folder / "parent" / WEIGHTS).exists()


def test_compressed_and_trained_on(commands: Commands) -> None:
    """The parent is trained once, for both; the run that trains on has epochs, times and an optimizer of its own."""
    given = ("-m", "strategy=pq", "fine_tune=false,true", "num_codes=4", "training.learning_rate=0.01")
    done = commands.small(*given)
    assert done.code == 0, done.err
    plain, after = done.results
    runs = logged_runs(client_of(done.cwd))
    parent = next(run for run in runs if "parent_fingerprint" not in run.data.tags)
    assert len(runs) == 3 and parent.data.params["used.item.method"] == "full"
    assert plain["parent_fingerprint"] == after["parent_fingerprint"] == parent.data.tags["fingerprint"]
    assert plain["embedding_bytes"] == after["embedding_bytes"]
    assert plain["params_embedding"] > after["params_embedding"] == 2 * 4 * 64
    assert plain["optimizer_bytes"] > after["optimizer_bytes"]
    assert plain["step_time_ms"] != after["step_time_ms"]
    assert len(after["history"]["train_loss"]) == 3
    assert after["history"]["train_loss"][0] < plain["history"]["train_loss"][0]
    assert commands.small("strategy=pq", *given[3:], "fine_tune=true").result["status"] == "skipped"
