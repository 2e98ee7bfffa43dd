"""Whole runs of every method. No method is known here by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from commands import Commands, Done
from safetensors.numpy import load_file

from bench.embeddings import find, names

pytestmark = pytest.mark.slow

EVERY = "strategy=glob(*,exclude=[qr_md,unified])"  # which are two of them, and one once more
LARGE = ("dataset.num_users=3000", "dataset.num_items=2500", "dataset.num_ratings=60000")


SWEEP = ("-m", *LARGE, EVERY, "budget=0.1", "save_weights=true", "training.epochs=2")


@pytest.fixture(scope="module")
def here(new_commands: Callable[[str], Commands]) -> Commands:
    """The folder of the sweep."""
    return new_commands("methods")


@pytest.fixture(scope="module")
def planned(here: Commands) -> Done:
    """What the sweep would do."""
    return here.run(*SWEEP, "--plan")


@pytest.fixture(scope="module")
def swept(here: Commands, planned: Done) -> Done:
    """Every method at a tenth of the bytes, tables large enough to be updated by rows."""
    return here.run(*SWEEP)


def by_strategy(done: Done) -> dict[str, Mapping[str, Any]]:
    return {result["strategy"]: result for result in done.results}


def test_every_method_finishes_or_has_no_size_as_small(swept: Done) -> None:
    assert swept.code == 0, swept.err
    results = by_strategy(swept)
    assert sorted(results) == names()
    for name, result in results.items():
        if result["status"] == "refused":
            assert "the smallest that can is budget=" in result["error"], name
            continue
        assert result["status"] == "finished", (name, result["error"])
        assert np.isfinite(result["history"]["val_mae"]).all()
        share = result["embedding_bytes"] / result["full_embedding_bytes"]
        assert share <= 0.1 or find(name).ignores_budget, (name, share)
        assert sum(result["bytes"].values()) == result["embedding_bytes"]
        assert result["step_time_ms"] > 0 and result["lookup_us"] > 0
    finished = [name for name, result in results.items() if result["status"] == "finished"]
    assert len(finished) > 0.6 * len(results)


def test_what_is_planned_is_what_the_runs_report(planned: Done, swept: Done) -> None:
    assert planned.code == 0, planned.err
    rows = {
        word.partition("=")[2]: line.replace(",", "").split()
        for line in planned.out.splitlines()
        for word in line.split()
        if word.startswith("strategy=")
    }
    assert sorted(rows) == names()
    for name, result in by_strategy(swept).items():
        if result["status"] == "refused":
            assert "refused" in rows[name], name
            continue
        assert {str(result["embedding_bytes"]), str(result["params_embedding"])} <= set(rows[name]), name


def test_weights_that_were_left_are_those_that_serve(swept: Done) -> None:
    for folder, result in zip(swept.folders, swept.results, strict=True):
        if result["status"] != "finished":
            continue
        stored = sum(array.nbytes for array in load_file(folder / "weights.safetensors").values())
        assert stored == result["model_bytes"] == result["embedding_bytes"], result["strategy"]


def test_the_same_command_finds_every_run(swept: Done) -> None:
    data_dir = next(r["settings"]["data_dir"] for r in swept.results if r["status"] == "finished")
    again = Commands(swept.cwd, data_dir).run(*SWEEP)
    assert {result["status"] for result in again.results} <= {"skipped", "refused"}
    one, other = by_strategy(swept), by_strategy(again)
    assert {n: r["val_mae"] for n, r in one.items()} == {n: r["val_mae"] for n, r in other.items()}
