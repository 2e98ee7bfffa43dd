"""``python -m bench.export``: from a run to a folder that answers, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ROOT, Commands
from marks import slow_but

from bench import api, models
from bench.cli import export
from bench.config.files import options
from bench.embeddings import names
from bench.exporting import checking, writing
from bench.serving import load

SMALL = {"num_ratings": 3000, "num_users": 120, "num_items": 90}
ONCE = {"epochs": 1, "learning_rate": 0.01, "progress": False, "jit": False}


pytestmark = pytest.mark.usefixtures("own_records")


@pytest.fixture(scope="module")
def first() -> api.Run:
    """A run with weights."""
    return api.run(strategy="qr", dataset=SMALL, save_weights=True, training=ONCE)


def exported(run: api.Run, folder: Path, *more: str) -> Any:
    assert export.main([f"run={run.folder}", f"output_dir={folder}", *more]) == 0
    return load(folder, verify=True)


def said(capsys: Any, *arguments: str) -> str:
    """The one line of a refused command."""
    capsys.readouterr()
    code = export.main(arguments)
    lines = capsys.readouterr().err.splitlines()
    assert code and len([line for line in lines if line.startswith("error:")]) == 1, lines
    return lines[-1]


def test_the_whole_command(first: api.Run, tmp_path: Path):
    commands = Commands(Path.cwd(), Path("data").resolve())
    named = first.result.run_id
    done = commands.start(
        f"run={named}", f"output_dir={tmp_path / 'new' / 'shop'}", module="bench.export"
    ).wait()
    assert done.code == 0, done.err
    assert done.out.startswith("wrote ") and "largest difference from Keras" in done.out
    folder = tmp_path / "new" / "shop"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["shop"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "arrays.safetensors",
        "export.json",
    ]
    tree = json.loads((folder / "export.json").read_text())
    assert tree["fingerprint"] == first.result.fingerprint
    assert tree["bytes"]["promised"] == tree["bytes"]["served"] == first.result.embedding_bytes
    code = (
        f"import sys; from bench.serving import load; t = load({str(folder)!r}, verify=True);"
        "print(t.lookup('user', [0, '7']).shape, t.predict({'user': [0], 'item': [1]}).shape, 'keras' in sys.modules)"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert fresh.stdout.split() == ["(2,", "64)", "(1,)", "False"], fresh.stderr


def test_help_imports_nothing_slow():
    code = "import sys; from bench.cli import export; export.main(['--help']); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.startswith("Writes what a finished run serves") and done.stdout.endswith("False\n")


def table() -> Path:
    """A file of text, numbers, times and missing values."""
    rng = np.random.default_rng(0)
    path = Path("rows.csv")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customer id", "sku", "hour", "site", "price", "age", "clicked"])
        for _ in range(1500):
            customer, sku = int(rng.integers(0, 60)), int(rng.integers(0, 40))
            missing = rng.random() < 0.1
            writer.writerow([
                f"Ü{customer}", "" if missing else sku * 7, f"1410{rng.integers(20, 28)}{rng.integers(10, 24)}",
                f"s{rng.integers(0, 30)}", "" if missing else round(float(rng.exponential(9)), 2), rng.integers(18, 90),
                int(rng.random() < 0.3 + 0.3 * (customer % 2)),
            ])  # fmt: skip
    return path


@pytest.mark.slow
def test_raw_rows_are_predicted_as_the_model_does(tmp_path):
    own = table()
    done = api.run(
        dataset="table", strategy="hash", model="deepfm", task="click", save_weights=True, training=ONCE, seed=1,
        **{"dataset.path": own, "dataset.fields": ["customer id", "sku", "hour", "site"],
           "dataset.dense": ["price", "age"], "dataset.label": "clicked", "dataset.missing": "keep",
           "dataset.vocabulary": "train", "dataset.min_count": 2, "model.hidden_units": [8], "model.linear": "own",
           "dataset.transforms": {"hour": "hour_parts", "site": "hash:20", "price": "log1p"},
           "dataset.split.kind": "time", "dataset.timestamp": "hour"},
    )  # fmt: skip
    tables = exported(done, tmp_path / "shop")
    assert tables.fields == ("customer_id", "sku", "hour", "hour_weekday", "hour_weekend", "site")
    with own.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    found = tables.predict(columns, unknown="oov")
    trained = api.load(done)
    wanted = {}
    for part in (trained.data.train, trained.data.evaluation):
        given = trained.inputs(part)
        predicted = trained.model.predict(given, verbose=0)
        for row in range(len(part)):
            wanted.setdefault(key(given, row), predicted[row])
    given = {
        name: tables._tables[name].finder.rows(columns[source(tables, name)], "oov") for name in tables.fields
    }
    prices = np.array([float(row["price"] or 0) for row in rows])
    dense = np.stack([np.log1p(prices), [float(row["age"]) for row in rows]], axis=1).astype(np.float32)
    for row, value in enumerate(found):
        assert value == pytest.approx(wanted[key({**given, "dense_columns": dense}, row)], abs=1e-5)
    with pytest.raises(KeyError, match="customer_id: no id 'nobody'"):
        tables.lookup("customer_id", ["nobody"])
    assert tables.known("sku", [None, 7, "7", 7.0, 3]).tolist() == [True, True, True, True, False]


def key(given: Any, row: int) -> tuple[Any, ...]:
    return tuple(np.asarray(column[row]).tobytes() for _, column in sorted(given.items()))


def source(tables: Any, name: str) -> str:
    return tables.described.fields[name].column


# test_layout_page.py exports those of one method
@pytest.mark.parametrize("strategy", slow_but((), sorted({*options("strategy")} - {*names()})))
def test_every_strategy_of_several_methods(strategy, tmp_path):
    exported(api.run(strategy=strategy, dataset=SMALL, save_weights=True, training=ONCE), tmp_path / "shop")


@pytest.mark.parametrize("model", slow_but((), models.names()))
def test_every_model(model, tmp_path):
    done = api.run(model=model, strategy="qr", dataset=SMALL, save_weights=True, training=ONCE)
    tables, trained = exported(done, tmp_path / "shop"), api.load(done)
    part = trained.data.evaluation
    ids = {name: [trained.data.fields[name].values[row] for row in rows] for name, rows in part.ids.items()}
    wanted = trained.model.predict(trained.inputs(part), verbose=0)
    np.testing.assert_allclose(tables.predict(ids), wanted, atol=1e-5)


@pytest.mark.slow
def test_an_export_that_differs_leaves_nothing(first, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(checking, "reference", lambda *given: _moved(given))
    arguments = (f"run={first.record.name[:12]}", f"output_dir={tmp_path / 'shop'}")
    assert "fields.user: the export differs from Keras by 1, more than" in said(capsys, *arguments)
    monkeypatch.undo()
    monkeypatch.setattr(checking, "_ask", lambda *given: {"error": "killed"})
    assert "the export cannot be used (killed); nothing was kept" in said(capsys, *arguments)
    monkeypatch.undo()
    monkeypatch.setattr(writing.card, "text", _full)
    assert "cannot be written (No space left on device); free some space" in said(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


_reference = checking.reference


def _moved(given: Any) -> Any:
    found = _reference(*given)
    found["vectors/0"] = found["vectors/0"] + np.float32(1)
    return found


def _full(*given: Any) -> str:
    raise OSError(28, "No space left on device")


def test_what_is_wrong_is_said_before_anything_is_done(first, tmp_path, capsys):
    run, target = f"run={first.folder}", f"output_dir={tmp_path / 'shop'}"
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "mine").touch()
    assert "is not empty; give a folder that is empty or not there yet" in said(capsys, run, target)
    (tmp_path / "shop" / "mine").unlink()
    file = tmp_path / "file"
    file.touch()
    assert "is there and is no folder" in said(capsys, run, f"output_dir={file}")
    assert "no such run" in said(capsys, "run=abcdef", target)
    assert "run=: missing" in said(capsys, target)
    assert "output_dir=: missing; give output_dir=shop" in said(capsys, run)
    assert "form=[keras]: give NAME=VALUE of run, output_dir, formats" in said(
        capsys, run, target, "form=[keras]"
    )
    assert "run is given twice" in said(capsys, run, run, target)
    assert "train=yes: give true or false" in said(capsys, run, target, "train=yes")
    assert export.main([run, target]) == 0  # an empty folder is taken
    assert load(tmp_path / "shop").fields == ("user", "item")


def test_a_model_without_a_head_is_exported_without_predictions(first, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bench.exporting.content.HEADS", {})
    tables = exported(first, tmp_path / "shop")
    assert "left out: predict, because the model dot has no predictions in NumPy" in capsys.readouterr().out
    assert "Left out: predict, because" in (tmp_path / "shop" / "README.md").read_text()
    assert tables.lookup("user", [0]).shape == (1, 64)
    with pytest.raises(ValueError, match="no predictions: the model dot has no predictions in NumPy"):
        tables.predict({"user": [0], "item": [0]})


def test_weights_that_were_not_kept_are_named(first, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bench.records.store.Record.file", lambda self, name: None)
    arguments = (f"run={first.record.name}", f"output_dir={tmp_path / 'shop'}")
    assert "no weights were kept; give train=true, which trains the run again" in said(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_weights_that_were_not_kept_are_trained_again(tmp_path, capsys):
    done = api.run(strategy="qr", dataset=SMALL, training=ONCE, seed=3)
    arguments = [f"run={done.folder}", f"output_dir={tmp_path / 'shop'}"]
    assert "no weights were kept; give train=true, which trains the run again" in said(capsys, *arguments)
    assert export.main([*arguments, "train=true"]) == 0
    record = Path(done.record)
    assert (record / "weights.safetensors").is_file()
    assert (
        json.loads((tmp_path / "shop" / "export.json").read_text())["fingerprint"] == done.result.fingerprint
    )
    again = [arguments[0], f"output_dir={tmp_path / 'again'}"]
    assert export.main(again) == 0
    whole = [(tmp_path / name / "arrays.safetensors").read_bytes() for name in ("shop", "again")]
    assert whole[0] == whole[1]


@pytest.mark.slow
def test_a_post_training_method_is_trained_again_with_its_parent(tmp_path):
    done = api.run(strategy="pq", dataset=SMALL, training=ONCE, seed=4)
    exported(done, tmp_path / "shop", "train=true")
