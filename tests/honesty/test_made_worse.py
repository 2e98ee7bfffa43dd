"""A method that is worse by a known amount: a sweep's report finds it, and says by how much."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from copied import copy_project, python

pytestmark = pytest.mark.slow

USERS, ITEMS, ROWS, EVALUATING = 400, 300, 40_000, 6_000
SHARES = (0.0, 0.02, 0.1)
"""Shares of each field's ids that are blanked. The first one is a method that equals ``full``."""

MODULE = '''
"""A full table, of which some rows are lost when it is served."""

from dataclasses import dataclass
from typing import Annotated

from bench.config.typed import Range
from bench.embeddings.families.onesize import OneSize
from bench.embeddings.families.trained import OfFull


@dataclass
class BlankSettings:
    """Settings of ``blank``."""

    blanked: Annotated[float, Range(low=0, high=1)] = 0.0
    """Share of the ids whose vectors are 0."""


class Blank(OneSize[BlankSettings], OfFull[BlankSettings]):
    """vector(id) = 0 for a random share of the ids, else table[id], with a trained full table."""

    Settings = BlankSettings

    def served(self):
        """Describes a full table."""
        return self.parent()

    def serve(self, arrays, rng):
        """Sets rows to 0 that are drawn by the run's seed."""
        table = arrays["table"].copy()
        table[rng.permutation(len(table))[: round(self.settings.blanked * len(table))]] = 0
        return {"table": table}
'''

SETTINGS = """# a full table, of which some rows are lost when it is served
method: blank                         # bench/embeddings/methods/blank.py
blanked: ${oc.select:blanked,0.0}     # share of the ids whose vectors are 0
"""


def ratings() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, items and stars of 1 to 5. Each id has about as many rows as the others."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, USERS, ROWS), rng.integers(0, ITEMS, ROWS)
    score = rng.normal(size=USERS)[users] + rng.normal(size=ITEMS)[items] + rng.normal(scale=0.7, size=ROWS)
    return users, items, 1 + np.digitize(score, np.quantile(score, [0.06, 0.16, 0.42, 0.77]))


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[float | None, dict[str, Any]]:
    """The groups of the report of one sweep, by the share that was blanked; those of ``full`` by None."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    (project / "bench/embeddings/methods/blank.py").write_text(MODULE, encoding="utf-8")
    (project / "conf/embedding/blank.yaml").write_text(SETTINGS, encoding="utf-8")
    users, items, stars = ratings()
    for name, rows in (("train", slice(EVALUATING, None)), ("evaluation", slice(EVALUATING))):
        columns = np.column_stack([users[rows], items[rows], stars[rows]])
        np.savetxt(
            project / f"{name}.csv", columns, "%d", delimiter=",", header="user,item,label", comments=""
        )
    done = python(
        project, "-m", "bench.run", "-m", "dataset=table", "dataset.train_path=train.csv",
        "dataset.evaluation_path=evaluation.csv", "embedding_dim=8", "training.epochs=4",
        "training.learning_rate=0.01", "training.progress=false", "strategy=blank",
        f"blanked={','.join(map(str, SHARES))}", "seed=0,1,2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (report,) = project.glob("outputs/*/*/report/report.json")
    found = json.loads(report.read_text(encoding="utf-8"))["groups"]
    return {group["embeddings"]["user"].get("blanked"): group for group in found}


def expected(share: float, full: float) -> float:
    """The loss in the mean absolute error, by hand.

    A vector of 0 gives a dot product of 0, and ``dot`` then predicts the middle of 0 and the largest label, 2.5. Rows
    with such a user or such an item have the error of that constant in place of that of ``full``.
    """
    _, _, stars = ratings()
    of_middle = np.abs(stars[:EVALUATING] - 2.5).mean()
    return float((1 - (1 - share) ** 2) * (of_middle - full))


@pytest.mark.parametrize("share", SHARES[1:])
def test_it_is_found_to_be_worse_by_about_as_much(
    groups: dict[float | None, dict[str, Any]], share: float
) -> None:
    full, worse = groups[None], groups[share]
    assert full["seeds"] == worse["seeds"] == [0, 1, 2]
    assert worse["p_comparisons"] == len(SHARES) and worse["p_value"] < 0.05
    truth = expected(share, full["val_mae_mean"])
    low, high = worse["delta_ci95"]
    assert 0 < low <= truth <= high
    assert worse["delta"] == pytest.approx(truth, rel=0.1)


def test_what_loses_nothing_is_not_found_to_be_worse(groups: dict[float | None, dict[str, Any]]) -> None:
    same = groups[0.0]
    assert same["delta"] == 0 and same["delta_ci95"] == [0, 0] and same["p_value"] == 1
