"""docs/layout.md: its code reads the export of every method, and gets the error that the run measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ROOT

from bench import api
from bench.cli import export
from bench.embeddings import names
from bench.serving import load

PAGE = (ROOT / "docs" / "layout.md").read_text(encoding="utf-8")
CODE = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))

DATA = {"num_ratings": 3000, "num_users": 300, "num_items": 200}
TRAINING = {"epochs": 2, "learning_rate": 0.01, "progress": False, "jit": False}
CHANGED: dict[str, dict[str, Any]] = {
    "qr of three": {"strategy": "qr", "num_partitions": 3, "num_buckets": 7},
    "qr, sums": {"strategy": "qr", "combine": "sum", "num_buckets": 20},
    "qr, side by side": {"strategy": "qr", "combine": "concat", "num_buckets": 20},
    "tt of two": {"strategy": "tt", "num_cores": 2},
    "robe, signs": {"strategy": "robe", "signs": True},
    "hashednet, signs": {"strategy": "hashednet", "signs": True},
    "hash_embedding, hashed": {"strategy": "hash_embedding", "num_rows": 20, "num_weight_rows": 30},
    "pep by bits": {"strategy": "pep", "density": 0.5},
    "dhe, relu": {"strategy": "dhe", "activation": "relu"},
    "alpt of 4 bits": {"strategy": "alpt", "bits": 4},
    "dqrm, one step": {"strategy": "dqrm", "bits": 3, "granularity": "table"},
    "prune by rows": {"strategy": "prune", "density": 0.11},
    "cerp, few kept": {"strategy": "cerp", "density": 0.1},
    "adapt, all cold": {"strategy": "adapt", "num_hot": 0, "num_cold": 30},
    "cafe, all cold": {"strategy": "cafe", "num_hot": 0, "num_cold": 30},
    "tt, hot": {"strategy": "tt", "num_hot": 30},
    "robe, hot": {"strategy": "robe", "num_hot": 30},
    "md, projected": {"strategy": "md", "block_splits": [30], "block_dims": [8, 3], "projection_bias": False},
}


pytestmark = pytest.mark.usefixtures("own_records")


@pytest.mark.slow
@pytest.mark.parametrize("case", [*names(), *CHANGED])
def test_code_of_the_page_gets_the_error_of_the_run(case: str, tmp_path: Path, monkeypatch: Any) -> None:
    chosen = CHANGED.get(case, {"strategy": case})
    run = api.run(**chosen, embedding_dim=16, dataset=DATA, training=TRAINING, save_weights=True)
    assert export.main([f"run={run.folder}", f"output_dir={tmp_path / 'shop'}"]) == 0
    monkeypatch.chdir(tmp_path)
    own: dict[str, Any] = {}
    exec(compile(CODE, "docs/layout.md", "exec"), own)
    tables = load("shop")
    for field in ("user", "item"):
        rows = np.arange(tables.described.fields[field].size)
        found = own["vectors"](field, rows)
        np.testing.assert_allclose(found, tables.vectors(field, rows), rtol=0, atol=1e-6)
    evaluation = api.load(run.folder).data.evaluation
    found = own["predictions"](evaluation.ids["user"], evaluation.ids["item"])
    assert np.abs(found - evaluation.labels).mean() == pytest.approx(run.result.val_mae, abs=1e-6)


def test_every_method_is_on_the_page() -> None:
    own: dict[str, Any] = {}
    lines = [line for line in CODE.splitlines() if not re.match(r"(tree|arrays) = ", line)]
    exec("\n".join(lines), own)
    assert sorted(own["READ"]) == sorted(names())
