"""Runs with a table for several fields: recorded once, exported by field, compressed after training."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from bench import api
from bench.cli import export
from bench.config import compose
from bench.experiment import Experiment
from bench.serving import load
from bench.sweeps.plan import Times, plan
from bench.tradeoff import naming

pytestmark = pytest.mark.usefixtures("own_records")

SMALL = {"num_ratings": 3000, "num_users": 120, "num_items": 90}
ONCE = {"epochs": 1, "learning_rate": 0.01, "progress": False}
GIVEN = ["dataset.num_ratings=3000", "dataset.num_users=120", "dataset.num_items=90", "embedding_dim=16"]
FULL = 4 * 16 * 210


def run(**given):
    return api.run(dataset=SMALL, embedding_dim=16, training=ONCE, save_weights=True, **given)


def of(*given: str) -> Experiment:
    return Experiment(compose([*GIVEN, *given]), Path())


def test_equal_groups_are_one_run() -> None:
    both = of("strategy=hash", "share=all", "budget=0.1").fingerprint
    assert of("strategy=hash", "share=[[item,user]]", "budget=0.1").fingerprint == both
    alone = of("strategy=hash", "budget=0.1").fingerprint
    assert both != alone == of("strategy=hash", "share=[[user]]", "budget=0.1").fingerprint
    assert of("strategy=hash", "share={above:100}", "budget=0.1").fingerprint == alone  # the user alone
    assert of("strategy=hash", "budget_split=size").fingerprint == of("strategy=hash").fingerprint


def test_one_base_of_budgets_and_a_plan_that_shows_groups() -> None:
    planned = {share: plan(of("strategy=hash", f"share={share}", "budget=0.25").settings, Times([]))
               for share in ("null", "all")}  # fmt: skip
    assert [own.full_embedding_bytes for own in planned.values()] == [FULL, FULL]
    (entry,) = planned["all"].embeddings.values()
    rows = (FULL // 4 - 32) // 64
    assert (entry["fields"], entry["tables"]) == (["user", "item"], {"table": [rows, 16]})
    assert planned["all"].embedding_bytes == 64 * rows + 32
    assert planned["null"].embeddings.keys() == {"user", "item"}


@pytest.mark.slow
def test_a_group_is_recorded_reported_and_exported_once(tmp_path: Path) -> None:
    done = run(strategy="hash", share=[["user", "item"]], budget=0.25, model="neumf")
    result = done.result
    assert list(result.embeddings) == ["user-item"]
    entry = result.embeddings["user-item"]
    assert entry["fields"] == ["user", "item"] and entry["table_updates"] == "dense"
    assert result.embedding_bytes == 64 * entry["num_rows"] + 32 <= FULL // 4
    assert result.full_embedding_bytes == FULL and result.params_embedding == 16 * entry["num_rows"]
    assert naming.words(result)["share"] == '[["user","item"]]'
    trained = api.load(done)
    found = trained.vectors("item", np.arange(90))
    np.testing.assert_array_equal(found, np.asarray(trained.embeddings["user"](np.arange(120, 210))))
    formats = [name for name, package in (("onnx", "spox"), ("litert", "ai_edge_litert"))
               if importlib.util.find_spec(package)]  # fmt: skip
    folder = tmp_path / "shop"
    listed = ",".join([*formats, "keras", "savedmodel"])
    assert export.main([f"run={done.folder}", f"output_dir={folder}", f"formats=[{listed}]"]) == 0
    tree = json.loads((folder / "export.json").read_text())
    assert tree["bytes"]["served"] == tree["bytes"]["promised"] == result.embedding_bytes
    assert not tree["left_out"] and len(tree["formats"]) == len(formats) + 2
    tables, fields = load(folder, verify=True), trained.data.fields
    for name, field in fields.items():
        ids = [field.values[row] for row in range(field.size)]
        np.testing.assert_allclose(
            tables.lookup(name, ids), trained.vectors(name, np.arange(field.size)), atol=1e-6
        )
    assert "These fields share one table: `user`, `item`." in (folder / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{}, {"full_below": 100, "model": "neumf", "share": {"above": 100}}], ids=str
)
def test_a_parent_shares_too(more: dict[str, object]) -> None:
    given = {"share": "all", **more}
    compressed = run(strategy="ptq_int8", **given)
    parent = api.run(
        dataset=SMALL, embedding_dim=16, training=ONCE, strategy="full",
        share=[["user", "item"]] if given["share"] == "all" else None,
        **({"model": more["model"]} if more else {}),
    ).result  # fmt: skip
    assert parent.status == "skipped" and parent.fingerprint == compressed.result.parent_fingerprint
    shared = list(compressed.result.embeddings) == ["user-item"]
    assert shared == (not more)
    assert shared == (list(parent.embeddings) == ["user-item"])
