"""Three runs: a good one and its command given again, one whose loss becomes NaN, and one that is interrupted."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from numbers import Real
from pathlib import Path
from typing import Any

import pytest
from commands import GOOD, SMALL, Commands, Done, Running, error_line

from bench.records.store import WEIGHTS

OUTPUT = re.compile(r"outputs/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d")
RATINGS = ("val_mae", "val_rmse", "val_loss", "train_loss")
SECONDS = ("compile_s", "train_s", "eval_s", "data_s", "total_s")
TIMES = ("step_time_ms", "step_time_ms_p95", "examples_per_second", "lookup_us")
TYPES: dict[str, Any] = {
    "status": str, "run_id": str, "fingerprint": str, "dataset": str, "strategy": str,
    "embeddings": dict, "settings": dict, "seed": int, "environment": dict,
    "params_total": int, "params_embedding": int,
    "embedding_bytes": int, "full_embedding_bytes": int, "compression_ratio": float, "bytes": dict,
    "optimizer_bytes": int, "peak_rss_bytes": int,
    **dict.fromkeys((*RATINGS, *SECONDS, *TIMES), float),
    "val_mae_by_decile": list, "val_mae_by_field": dict, "val_mae_worst_ids": dict, "history": dict,
}  # fmt: skip


def test_result_has_every_key_with_its_type(good: Done) -> None:
    assert good.code == 0, good.err
    result = good.result
    assert {key: type(result.get(key)) for key in TYPES} == TYPES
    assert result["status"] == "finished" and result.get("error") is None


def test_what_was_asked_for(good: Done) -> None:
    result = good.result
    assert (result["dataset"], result["strategy"], result["seed"]) == ("synthetic", "qr", 0)
    assert re.fullmatch(r"[0-9a-f]{64}", result["fingerprint"])
    settings = result["settings"]
    assert settings["dataset"]["num_users"] == 300 and settings["dataset"]["num_ratings"] == 5000
    assert settings["training"]["epochs"] == 3 and settings["training"]["batch_size"] == 128
    assert settings["training"]["optimizer"] == "adam" and settings["training"]["learning_rate"] == 0.001
    assert settings["embedding_dim"] == 64 and settings["dataset"]["split"]["train_fraction"] == 0.85


def test_each_field_says_its_method_and_sizes_as_used(good: Done) -> None:
    embeddings = good.result["embeddings"]
    assert set(embeddings) == {"user", "item"}
    for field, rows in (("user", 300), ("item", 200)):
        used = embeddings[field]
        assert used["method"] == "qr" and used["combine"] == "product"
        assert used["table_updates"] in ("deferred", "dense")
        assert used["num_buckets"] ** 2 >= rows  # chosen by the run, which was given none


def test_environment_says_where_the_times_come_from(good: Done) -> None:
    environment = good.result["environment"]
    assert {"processor", "threads", "jobs", "python", "numpy", "keras", "tensorflow"} <= set(environment)
    assert environment["jobs"] >= 1 and environment["threads"] >= 1
    assert all(environment[name] for name in ("processor", "python", "numpy", "keras", "tensorflow"))


def test_bytes_and_numbers_agree(good: Done) -> None:
    result = good.result
    assert set(result["bytes"]) == {"tables", "networks", "maps", "codes", "other"}
    assert sum(result["bytes"].values()) == result["embedding_bytes"]
    assert result["full_embedding_bytes"] == (300 + 200) * 64 * 4
    assert result["compression_ratio"] == result["full_embedding_bytes"] / result["embedding_bytes"]
    rows = sum(2 * used["num_buckets"] for used in result["embeddings"].values())
    assert result["params_embedding"] == rows * 64 == result["bytes"]["tables"] / 4
    assert result["params_total"] == result["params_embedding"]  # a dot product has none of its own
    assert result["optimizer_bytes"] >= 2 * 4 * result["params_total"]  # Adam's two moments
    assert 100e6 < result["peak_rss_bytes"] < 16e9


def test_errors_and_their_history_agree(good: Done) -> None:
    result, history = good.result, good.result["history"]
    assert {*RATINGS, "val_mae_by_decile"} <= set(history)
    for key, values in history.items():
        assert len(values) == 3, key
        assert values[-1] == result[key], key
    assert result["val_rmse"] == pytest.approx(result["val_loss"] ** 0.5)
    assert 0 < result["val_mae"] < result["val_rmse"] < 4
    deciles = result["val_mae_by_decile"]
    assert len(deciles) == 10 and all(isinstance(value, Real) and 0 < value < 4 for value in deciles)
    assert min(deciles) < result["val_mae"] < max(deciles)
    assert list(result["val_mae_by_field"]) == ["user", "item"]
    assert result["val_mae_by_field"]["item"] == deciles and len(result["val_mae_by_field"]["user"]) == 10


def test_times_agree(good: Done) -> None:
    result = good.result
    assert all(result[key] > 0 for key in (*TIMES, *SECONDS))
    assert result["step_time_ms"] <= result["step_time_ms_p95"]
    assert sum(result[key] for key in SECONDS[:-1]) <= result["total_s"]


def test_output_folder(good: Done) -> None:
    folder = good.folder
    assert OUTPUT.fullmatch(str(folder.relative_to(good.cwd)))
    assert {".hydra", "run.log", "result.json"} <= {path.name for path in folder.iterdir()}
    hidden = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert hidden == [".hydra"]  # nothing half-written stays
    assert [path.name for path in good.cwd.iterdir()] == ["outputs"]  # no mlruns, above all


def test_saved_weights_load(good: Done) -> None:
    from safetensors.numpy import load_file

    arrays = load_file(good.folder / WEIGHTS)
    trained = {name: array for name, array in arrays.items() if array.dtype.kind == "f"}
    assert sum(array.size for array in trained.values()) == good.result["params_total"]
    assert all(abs(array).max() > 0.05 for array in trained.values())  # away from where they started
    for field, used in good.result["embeddings"].items():
        tables = {name: list(arrays[f"{field}_embedding/{name}"].shape) for name in used["tables"]}
        assert tables == used["tables"]


def test_what_is_printed_where_there_is_no_terminal(good: Done) -> None:
    assert [line.split()[:2] for line in good.said] == [["epoch", f"{number}/3"] for number in (1, 2, 3)], (
        good.err
    )
    result = good.result
    assert f"{result['val_mae']:.4f}" in good.out
    assert f"{result['params_total']:,}" in good.out
    assert f"{result['embedding_bytes']:,} bytes" in good.out
    assert str(good.folder) in good.out
    assert good.out.startswith("status ") and "\x1b" not in good.out + good.err


def test_same_command_again_is_skipped(good: Done, again: Done) -> None:
    assert (again.code, again.err) == (0, "")
    assert "skipped" in again.out.splitlines()[0]
    first, second = good.result, again.result
    assert second["status"] == "skipped"
    assert second == {**first, "status": "skipped"}
    assert again.folder != good.folder
    assert (again.folder / WEIGHTS).read_bytes() == (good.folder / WEIGHTS).read_bytes()


@pytest.mark.slow
def test_without_resume_it_is_trained_again_to_the_last_digit(
    good: Done, new_commands: Any, tmp_path: Path
) -> None:
    with (
        sqlite3.connect(good.cwd / "outputs/mlflow.db") as theirs,
        sqlite3.connect(tmp_path / "runs.db") as own,
    ):
        theirs.backup(own)  # other tests count the runs in theirs
    database = f"sqlite:///{tmp_path}/runs.db"
    done = new_commands("anew").small(*GOOD, "resume=false", MLFLOW_TRACKING_URI=database)
    assert done.code == 0, done.err
    assert (done.result["status"], done.result["fingerprint"]) == ("finished", good.result["fingerprint"])
    assert done.result["run_id"] != good.result["run_id"]
    assert done.result["history"] == good.result["history"]
    assert (done.folder / WEIGHTS).read_bytes() == (good.folder / WEIGHTS).read_bytes()


@pytest.mark.slow
def test_run_without_weights_stands_for_none_with_them(commands: Commands) -> None:
    for asked in (False, True, False):
        done = commands.small("strategy=qr", "training.epochs=1", f"save_weights={str(asked).lower()}")
        assert (done.folder / WEIGHTS).exists() == asked
    assert done.result["status"] == "skipped"


@pytest.mark.slow
def test_mlflow_knows_no_run_that_was_refused_while_building(commands: Commands) -> None:
    done = commands.small("training.epochs=1", "training.optimizer_settings.foo=1")
    assert done.code == 2 and "foo" in done.err and len(done.said) == 1
    assert not list((commands.cwd / "outputs").glob("*/*/*"))
    assert commands.small("training.epochs=1").code == 0
    runs = sqlite3.connect(commands.cwd / "outputs/mlflow.db").execute("SELECT status FROM runs").fetchall()
    assert runs == [("FINISHED",)]


@pytest.mark.slow
def test_budget_that_full_ignores_trains_nothing_anew(commands: Commands) -> None:
    done = [commands.small("training.epochs=1", f"budget={budget}") for budget in (0.5, 0.1)]
    assert [one.result["status"] for one in done] == ["finished", "skipped"]


@pytest.mark.slow
def test_threads_change_no_digit(new_commands: Any) -> None:
    size = ("dataset.num_users=3000", "dataset.num_items=2500", "dataset.num_ratings=60000")
    running: list[Running] = [
        new_commands(f"threads{number}").start(*size, f"training.threads={number}", "resume=false")
        for number in (1, 2)
    ]
    one, two = (command.wait() for command in running)
    assert (one.code, two.code) == (0, 0), one.err + two.err
    assert one.result["embeddings"]["user"]["table_updates"] == "deferred"
    assert one.result["history"] == two.result["history"]
    assert one.result["fingerprint"] == two.result["fingerprint"]
    assert [done.result["environment"]["threads"] for done in (one, two)] == [1, 2]


@pytest.mark.slow
def test_training_time_is_its_steps_times(commands: Commands) -> None:
    # what else goes on there may stretch some chunks of a run: one of three has to agree
    found = []
    for seed in range(3):
        done = commands.run("dataset.num_ratings=600000", f"seed={seed}")
        assert done.code == 0, done.err
        result = done.result
        steps = 3 * -(-round(0.85 * 600_000) // 128)
        of_steps = steps * result["step_time_ms"] / 1000
        of_examples = 3 * 0.85 * 600_000 / result["examples_per_second"]
        found.append((of_steps / result["train_s"], of_examples / result["train_s"]))
        if all(ratio == pytest.approx(1, abs=0.15) for ratio in found[-1]):
            return
    raise AssertionError(f"steps and examples by their speed, over train_s: {found}")


TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn([sys.executable, "-m", "bench.run", *sys.argv[1:]])))
"""


@pytest.mark.slow
def test_table_on_a_terminal(commands: Commands, tmp_path: Path) -> None:
    script = tmp_path / "terminal.py"
    script.write_text(TERMINAL)
    done = subprocess.run(
        [sys.executable, str(script), *SMALL],
        cwd=commands.cwd, env=commands.environment(TERM="xterm-256color", COLUMNS="90"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b[1m" in done.stdout  # names in bold
    plain = re.sub(r"\x1b(\[[0-9;?]*[a-zA-Z]|\][^\x07\x1b]*(\x07|\x1b\\))", "", done.stdout)
    assert re.search(r"^status +finished", plain, re.MULTILINE), plain
    assert re.search(r"^val MAE +\d\.\d{4}, mean absolute error", plain, re.MULTILINE), plain
    assert max(map(len, plain.splitlines())) <= 91
    for noise in ("Traceback", "WARNING", "oneDNN", "cuda", "CUDA", "INFO", "alembic", "Logging"):
        assert noise not in plain


def test_diverging_run_names_the_step(diverged: Done) -> None:
    assert diverged.code == 1
    line = error_line(diverged)
    assert re.search(r"\bnan\b.*\bstep \d+\b", line) and "training.learning_rate" in line and "1e+30" in line
    result = diverged.result
    assert result["status"] == "failed" and result["error"] and result["error"] in line
    assert result["val_mae"] is None and result["fingerprint"]
    assert len(diverged.said) == 1  # no progress line, no noise


def test_interrupted_run(interrupted: Done) -> None:
    assert interrupted.code == 130
    assert "interrupted" in error_line(interrupted)
    result = interrupted.folder / "result.json"
    assert not result.exists() or json.loads(result.read_text())["status"] != "finished"
    assert not [path.name for path in interrupted.folder.iterdir() if path.name.startswith(".result")]
