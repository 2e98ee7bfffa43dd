"""A metric is said once: in a copy of the project it is declared, measured in one line, and everything shows it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, SMALL

pytestmark = pytest.mark.slow

DECLARED = """
    val_bias: float | None = _metric(
        "of the label", "mean of prediction minus label on the evaluation rows", tasks=_RATING, title="val bias",
        main=True, averaged=True, by_epoch=True,
    )
"""
MEASURED = '"val_bias": float(np.mean(predictions - labels)), '


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with one more metric: a field of ``Result``, and its value in the task."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("bench", "conf", "docs", "hydra_plugins"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    insert(folder / "bench/records/result.py", DECLARED, before="    val_loss: float | None")
    insert(folder / "bench/tasks/rating.py", MEASURED, before='"val_loss": ')
    return folder


def insert(path: Path, code: str, before: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, code + before), encoding="utf-8")


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    environment |= {"BENCH_DATA_DIR": str(project / "data"), "PYTHONPATH": str(project), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def sweep(project: Path) -> subprocess.CompletedProcess[str]:
    return python(
        project, "-m", "bench.run", "-m", "strategy=full,qr", "seed=0,1", "training.epochs=2", *SMALL
    )


@pytest.fixture(scope="module")
def results(project: Path, sweep: object) -> list[dict[str, Any]]:
    paths = sorted(project.glob("outputs/2*/*/*/result.json"))
    assert len(paths) == 4
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def test_the_line_after_an_epoch(
    sweep: subprocess.CompletedProcess[str], results: list[dict[str, Any]]
) -> None:
    (line,) = [line for line in sweep.stderr.splitlines() if f"val_bias {results[0]['val_bias']:.4f}" in line]
    assert "epoch 2/2" in line


def test_results(results: list[dict[str, Any]]) -> None:
    for result in results:
        keys = list(result)
        assert keys[keys.index("val_bias") + 1] == "val_loss"
        assert result["val_bias"] == result["history"]["val_bias"][-1] != result["history"]["val_bias"][0]
    assert len({result["val_bias"] for result in results}) == 4


def test_what_is_printed_of_a_run(project: Path, results: list[dict[str, Any]]) -> None:
    shown = python(project, "-m", "bench.results", "show", results[0]["fingerprint"][:12]).stdout
    assert f"{results[0]['val_bias']:.4f}, mean of prediction minus label" in shown


def test_mlflow(project: Path, results: list[dict[str, Any]]) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{project / 'outputs' / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'embedding-compression'")
    assert (
        "| `val_bias` | of the label | mean of prediction minus label"
        in experiment.tags["mlflow.note.content"]
    )
    for result in results:
        run = client.get_run(result["run_id"])
        assert run.data.metrics["val_bias"] == result["val_bias"]
        assert "| `val_bias` | " in run.data.tags["mlflow.note.content"]
        history = client.get_metric_history(result["run_id"], "val_bias")
        assert {one.value for one in history} == set(result["history"]["val_bias"])


def test_the_report(project: Path, results: list[dict[str, Any]]) -> None:
    groups = json.loads(python(project, "-m", "bench.report", "format=json").stdout)["groups"]
    rows = csv.DictReader(io.StringIO(python(project, "-m", "bench.report", "format=csv").stdout))
    for row, group in zip(rows, groups, strict=True):
        own = [result["val_bias"] for result in results if result["strategy"] == group["strategy"]]
        assert group["val_bias_mean"] == pytest.approx(sum(own) / 2)
        assert group["val_bias_sd"] == pytest.approx(abs(own[0] - own[1]) / 2**0.5)
        assert len(group["val_bias_ci95"]) == 2
        assert float(row["val_bias_mean"]) == pytest.approx(group["val_bias_mean"])


def test_the_documentation(project: Path) -> None:
    page = project / "docs" / "results.md"
    line = (
        "| `val_bias` (rating) | of the label |  | mean of prediction minus label on the evaluation rows |\n"
    )
    assert line not in page.read_text(encoding="utf-8")
    python(project, "-m", "bench.records.docs")
    assert line in page.read_text(encoding="utf-8")
