"""An export in MLflow's registry: as a model with versions, and served by MLflow over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ROOT, Commands, Done, client_of

from bench.cli import export
from bench.errors import RequestError
from bench.serving import load
from bench.tracking.registry import Wanted


@pytest.fixture(scope="module")
def shop(good: Done, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of a run, which is registered twice."""
    folder = tmp_path_factory.mktemp("registered") / "shop"
    command = Commands(good.cwd, data_dir)
    for arguments in (
        (f"run={good.result['run_id']}", f"output_dir={folder}", "register=shop", "alias=champion"),
        (f"run={folder}", "register=shop"),
    ):
        done = command.start(*arguments, module="bench.export").wait()
        assert done.code == 0, done.err
        assert "registered models:/shop/" in done.out
    return folder


@pytest.mark.slow
def test_versions_alias_tags_and_the_run(shop: Path, good: Done):
    client = client_of(good.cwd)
    versions = sorted(client.search_model_versions("name='shop'"), key=lambda one: int(one.version))
    assert [str(one.version) for one in versions] == ["1", "2"]
    assert client.get_model_version_by_alias("shop", "champion").version == versions[0].version
    for one in versions:
        assert one.run_id == good.result["run_id"]
        assert one.tags["fingerprint"] == good.result["fingerprint"]
        assert one.tags["embedding_bytes"] == str(good.result["embedding_bytes"])
        assert one.tags["strategy"] == good.result["strategy"]


@pytest.mark.slow
def test_the_model_holds_data_alone_and_answers_as_the_export(shop: Path, good: Done):
    code = (
        "import json, mlflow, numpy as np;"
        f"mlflow.set_tracking_uri('sqlite:///{good.cwd}/outputs/mlflow.db');"
        "model = mlflow.pyfunc.load_model('models:/shop@champion');"
        "ids = {'user': np.array([1, 2]), 'item': np.array([3, 1])};"
        "print(json.dumps({'predictions': model.predict(ids).tolist(),"
        " 'vectors': model.predict(ids, params={'vectors': 'user'}).tolist(),"
        " 'inputs': model.metadata.signature.inputs.to_dict(),"
        " 'example': list(model.input_example or {}) }))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    found, tables = json.loads(done.stdout.splitlines()[-1]), load(shop)
    assert found["predictions"] == tables.predict({"user": [1, 2], "item": [3, 1]}).tolist()
    assert found["vectors"] == tables.lookup("user", [1, 2]).tolist()
    assert [(one["name"], one["tensor-spec"]["dtype"]) for one in found["inputs"]] == [
        ("user", "int64"),
        ("item", "int64"),
    ]
    assert found["example"] == ["user", "item"]
    files = {path.name for path in (good.cwd / "outputs/mlflow-artifacts").rglob("data/shop/*")}
    assert files == {"README.md", "arrays.safetensors", "export.json"}
    there = (good.cwd / "outputs/mlflow-artifacts").rglob("*")
    assert not [path for path in there if path.suffix in (".pkl", ".py")]


@pytest.fixture(scope="module")
def address(shop: Path, good: Done, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that MLflow starts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bin_folder = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{good.cwd}/outputs/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
    }
    arguments = ["-m", "models:/shop@champion", "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    log = tmp_path_factory.mktemp("log") / "log"
    with log.open("wb") as said:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *arguments],
            stdout=said, stderr=said, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < end and server.poll() is None, log.read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def answer(address: str, **body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.slow
def test_mlflow_serves_it(address: str, shop: Path):
    tables = load(shop)
    columns = {"user": [5, 6, 5], "item": [2, 2, 9]}
    code, reply = answer(address, inputs=columns)
    assert code == 200
    np.testing.assert_array_equal(np.array(reply["predictions"], np.float32), tables.predict(columns))
    only = {"user": [], "item": [2, 9]}
    code, reply = answer(address, inputs=only, params={"vectors": "item"})
    assert code == 200
    np.testing.assert_array_equal(np.array(reply["predictions"], np.float32), tables.lookup("item", [2, 9]))
    code, reply = answer(address, inputs={"user": [5, -9], "item": [2, 2]})
    assert code == 400 and "no id '-9'" in reply["message"]
    code, reply = answer(address, inputs={"user": [5], "item": [2]}, params={"vectors": "shop"})
    assert code == 400 and "its fields are user, item" in reply["message"]
    code, reply = answer(address, inputs={"user": [5, -9], "item": [2, 2]}, params={"unknown": "nan"})
    assert code == 200 and np.isnan(reply["predictions"][1]) and not np.isnan(reply["predictions"][0])


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a%b", "it's", "x" * 251])
def test_names_that_mlflow_does_not_take(name):
    with pytest.raises(RequestError, match="register="):
        Wanted(name).check()


@pytest.mark.parametrize("alias", ["latest", "Latest", "v1", "V22", "a b", "a/b", "x" * 256])
def test_aliases_that_mlflow_does_not_take(alias):
    with pytest.raises(RequestError, match="alias="):
        Wanted("shop", alias).check()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run=x", "output_dir=y", "alias=champion"], "alias=champion: a name in the registry; give register=NAME too"),
        (["run=x", "register=shop"], "output_dir=: missing"),
        (["run=x", "output_dir=y", "register=a/b"], "register=a/b: give a name"),
        (["run=x", "output_dir=y", "register=s", "tracking.uri=ftp://a"], "x: no such run"),
    ],
)  # fmt: skip
def test_wrong_requests(arguments, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert export.main(arguments) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith(f"error: {line}"), said
    assert not [*tmp_path.iterdir()]
