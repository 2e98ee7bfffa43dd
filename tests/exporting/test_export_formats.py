"""``python -m bench.export formats=...``: what is refused, what is written, and what happens if it is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ROOT

from bench import api
from bench.cli import export
from bench.errors import RequestError
from bench.exporting import formats
from bench.serving import load
from bench.serving.formats import FORMATS

SMALL = {"num_ratings": 3000, "num_users": 120, "num_items": 90}
SOME = ["qr", "ptq_int4", "dhe", "prune"]
ONCE = {"epochs": 1, "learning_rate": 0.01, "progress": False}


pytestmark = pytest.mark.usefixtures("own_records")


@pytest.fixture(scope="module")
def first() -> api.Run:
    """A run of large enough tables, whose weights were kept."""
    return api.run(
        strategy="full", model="dot_bias", dataset={**SMALL, "num_users": 600}, save_weights=True,
        training=ONCE, seed=5,
    )  # fmt: skip


def tree_of(folder: Path) -> Any:
    return json.loads((folder / "export.json").read_text())


def said(capsys: Any, *arguments: str) -> tuple[int, str]:
    """Exit code and the one line of a refused command."""
    capsys.readouterr()
    code = export.main(arguments)
    lines = capsys.readouterr().err.splitlines()
    assert code and len([line for line in lines if line.startswith("error:")]) == 1, lines
    return code, lines[-1]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("", ()),
        ("[]", ()),
        ("keras", ("keras",)),
        ("[savedmodel, keras]", ("keras", "savedmodel")),
        ("keras,savedmodel", ("keras", "savedmodel")),
    ],
)
def test_names_are_read_with_brackets_or_without(given, names):
    assert formats.parsed(given) == names


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("onxn", "formats=onxn: onxn is no format"),
        ("[keras,h5]", "formats=[keras,h5]: h5 is no format; there are onnx, keras, savedmodel, litert"),
        ("openvino", "openvino is no format"),
        ("ONNX", "ONNX is no format"),
        ("[keras", "[keras is no format"),
        ("keras]", "keras] is no format"),
        ("keras,", "an empty name is no format"),
        ("[,]", "an empty name is no format"),
        ("keras savedmodel", "keras savedmodel is no format"),
        ("[keras,keras]", "keras is given twice"),
        ("../keras", "../keras is no format"),
        ("[keras]]", "keras] is no format"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_read(given, message, tmp_path, capsys):
    code, line = said(capsys, "run=nowhere", f"output_dir={tmp_path / 'shop'}", f"formats={given}")
    assert code == 2 and message in line


def test_an_export_that_is_registered_gets_no_further_formats(tmp_path, capsys):
    (tmp_path / "export.json").write_text("{}")
    code, line = said(capsys, f"run={tmp_path}", "register=shop", "formats=keras")
    assert code == 2 and "formats=keras: an export is registered as it is" in line


def test_a_close_name_is_proposed():
    with pytest.raises(RequestError, match=r"onxn is no format.*onnx.*there are onnx, keras"):
        formats.parsed("onxn")


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_a_missing_extra_is_named_before_anything_is_loaded(name, tmp_path):
    hidden = list(formats.FORMATS[name].packages)
    code = (
        "import sys, importlib.util\n"
        f"hidden, real = {hidden!r}, importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda one, *more: None if one in hidden else real(one, *more)\n"
        "from bench.cli import export\n"
        f"code = export.main(['run=nowhere', 'output_dir=shop', 'formats=[keras,{name}]'])\n"
        "print(code, sorted({'tensorflow', 'keras', 'numpy', 'onnx', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.split(maxsplit=1)[0] == "2", done.stderr
    assert "tensorflow" not in done.stdout and "keras" not in done.stdout and "onnx" not in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: formats={name}: needs {', '.join(hidden)}")
    assert line.endswith(f'pip install "embedding-bench[{name}]"')


def test_both_lists_of_formats_are_equal():
    assert tuple(formats.FORMATS) == FORMATS


@pytest.mark.slow
@pytest.mark.parametrize(  # each format with two of them, and each with two formats
    ("name", "strategy"),
    [*zip(formats.FORMATS, SOME, strict=True), *zip(formats.FORMATS, SOME[1:] + SOME[:1], strict=True)],
)
def test_every_format_of_some_methods(name, strategy, tmp_path):
    for package in formats.FORMATS[name].packages:
        pytest.importorskip(package)
    done = api.run(strategy=strategy, dataset=SMALL, save_weights=True, training=ONCE)
    assert export.main([f"run={done.folder}", f"output_dir={tmp_path / 'shop'}", f"formats={name}"]) == 0
    tree = tree_of(tmp_path / "shop")
    own = tree["formats"][name]
    assert not tree["left_out"] and own["promise"].keys() == {"fields.user", "fields.item", "predictions"}
    most = 1e-5 if strategy in ("dhe", "ptq_int4") else 1e-6
    assert max(own["promise"][f"fields.{field}"] for field in ("user", "item")) <= most
    assert own["bytes"] == sum((tmp_path / "shop" / file).stat().st_size for file in own["files"])
    assert load(tmp_path / "shop", verify=True).described.formats[name].files == tuple(own["files"])
    assert f"`{own['files'][0]}`" in (tmp_path / "shop" / "README.md").read_text()


@pytest.mark.slow
def test_keras_and_savedmodel_answer_and_hold_arrays_once(first, tmp_path, capsys):
    folder = tmp_path / "shop"
    assert export.main([f"run={first.folder}", f"output_dir={folder}", "formats=[keras,savedmodel]"]) == 0
    assert "keras: " in capsys.readouterr().out
    served = (600 + 90) * (64 + 1) * 4
    tree = tree_of(folder)
    for name, more in (("keras", 60_000), ("savedmodel", 80_000)):
        assert served <= tree["formats"][name]["bytes"] <= served + more
    assert load(folder).predict({"user": [0], "item": [1]}).shape == (1,)
    code = (
        "import sys, numpy as np, tensorflow as tf\n"
        f"own = tf.saved_model.load({str(folder / 'saved_model')!r}).signatures\n"
        "ids = tf.constant([0, 5, 600, -1], tf.int64)\n"
        "vectors = own['lookup_user'](ids=ids)['vectors'].numpy()\n"
        "scores = own['predict'](user=ids, item=tf.zeros(4, tf.int64))['prediction'].numpy()\n"
        "assert 'bench' not in sys.modules\n"
        "import keras, bench.embeddings.layer\n"
        "from bench.embeddings.layer import embedding_layers\n"
        "import bench.models.layers\n"
        f"model = keras.saving.load_model({str(folder / 'model.keras')!r}, safe_mode=True)\n"
        "same = model.predict({'user': ids.numpy(), 'item': np.zeros(4, np.int64)}, verbose=0)\n"
        "np.testing.assert_allclose(same, scores, atol=1e-6)\n"
        "layer = {one.method.vocabulary.name: one for one in embedding_layers(model)}['user']\n"
        "np.testing.assert_allclose(np.asarray(layer(np.array([0, 5]))), vectors[:2], atol=1e-6)\n"
        "print(np.isnan(vectors).all(axis=1).tolist(), np.isnan(scores).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.strip() == "[False, False, True, True] [False, False, True, True]", done.stderr[-2000:]


@pytest.mark.slow
def test_clicks_of_many_fields_and_numeric_columns(tmp_path):
    pytest.importorskip("ndonnx")
    pytest.importorskip("ai_edge_litert")
    done = api.run(
        dataset="synthetic_ctr", strategy="qr", model="dlrm", save_weights=True, training=ONCE,
        **{"dataset.num_rows": 3000, "dataset.scale": 0.001, "embedding_dim": 8,
           "model.hidden_units": [8], "model.bottom_units": [8]},
    )  # fmt: skip
    wanted = "formats=[onnx,keras,savedmodel,litert]"
    assert export.main([f"run={done.folder}", f"output_dir={tmp_path / 'shop'}", wanted]) == 0
    tree = tree_of(tmp_path / "shop")
    assert not tree["left_out"] and tuple(tree["formats"]) == FORMATS
    for own in tree["formats"].values():
        assert len(own["promise"]) == 27 and max(own["promise"].values()) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["vectors", "outside", "invalid"])
def test_a_format_that_differs_fails_the_export(first, broken, tmp_path, capsys, monkeypatch):
    """A stand-in for a format writes what is wrong; the comparison in a fresh process finds it."""
    from bench.exporting.formats import saved_model

    write, right = saved_model.write, saved_model.inside.or_nan

    def wrong(folder: Path, trained: Any, found: Any) -> Any:
        monkeypatch.setattr(saved_model.inside, "or_nan", or_nan)
        done = write(folder, trained, found)
        if broken == "invalid":
            (folder / "saved_model" / "saved_model.pb").write_bytes(b"no model")
        return done

    or_nan = {
        "vectors": lambda values, inside: right(values, inside) + np.float32(1e-3),
        "outside": lambda values, inside: values,
        "invalid": right,
    }[broken]
    monkeypatch.setattr(saved_model, "write", wrong)
    code, line = said(capsys, f"run={first.folder}", f"output_dir={tmp_path / 'shop'}", "formats=savedmodel")
    assert code == 1 and line.startswith("error: formats=savedmodel: ") and line.endswith("nothing was kept")
    part = {
        "vectors": "differs from Keras by 0.001",
        "outside": "gives something else than NaN",
        "invalid": "the export cannot be used (",
    }[broken]
    assert part in line
    assert list(tmp_path.iterdir()) == []
