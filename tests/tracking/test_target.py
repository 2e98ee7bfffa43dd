import os
import socket
import sqlite3
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.tracking import TrackingError, check


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_relative_file_is_taken_from_the_current_folder(tmp_path):
    target = check("sqlite:///outputs/deep/mlflow.db")
    assert target.uri == f"sqlite:///{tmp_path}/outputs/deep/mlflow.db"
    assert target.database == tmp_path / "outputs/deep/mlflow.db"
    assert target.artifacts == tmp_path / "outputs/deep/mlflow-artifacts"
    assert list(tmp_path.iterdir()) == []  # nothing is made
    assert check(target.uri) == target and not target.is_server
    target.knock()


@pytest.mark.parametrize(
    "name", ["josé", "lr=0.1,2", "a(b)#c?", "50%", "lr%3D0.1", "a+b@c", "it's", "a b", "a:b"]
)
def test_a_folder_of_any_name_is_taken_as_it_is(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    target = check("sqlite:///outputs/mlflow.db")
    assert target.database == folder / "outputs/mlflow.db" and check(target.uri) == target


def test_an_existing_database_is_accepted():
    connection = sqlite3.connect("x.db")
    connection.execute("create table a (b)")
    connection.close()
    assert check("sqlite:///x.db").database == Path.cwd() / "x.db"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("", "sqlite:///outputs/mlflow.db"),
        ("./mlruns", "folder"),
        ("file:///tmp/mlruns", "folder"),
        ("nonsense://x", "nonsense"),
        ("postgres://h/d", "postgresql://"),
        ("sqlite://", "no file"),
        ("sqlite:///:memory:", "no file"),
        ("sqlite:///file:/tmp/x.db?uri=true", "no file"),
        ("sqlite:///folder", "folder in|a folder"),
        ("sqlite:///text.txt", "is not a SQLite database"),
        ("http://", "no host"),
        ("http://h:99999", "0-65535"),
        ("http://[h", "Invalid"),
    ],
)
def test_wrong_addresses(uri, says):
    Path("folder").mkdir()
    Path("text.txt").write_text("not a database at all")
    with pytest.raises(RequestError, match=says) as caught:
        check(uri)
    assert caught.value.exit_code == 2
    assert f"tracking.uri={uri}" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("there", ["", "a", "a/x.db"])
def test_what_may_not_be_written_to_is_refused_before_a_run(monkeypatch, there):
    Path("a").mkdir()
    Path("a/x.db").touch()
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append(path))  # root may write anywhere
    with pytest.raises(RequestError, match=r"x\.db cannot be written to; give another file"):
        check(f"sqlite:///{there}/b/x.db" if there != "a/x.db" else "sqlite:///a/x.db").knock()
    assert asked == [Path(there).absolute() if there else Path("/")]


def test_a_file_in_the_place_of_a_folder_is_refused_before_a_run():
    Path("text.txt").touch()
    with pytest.raises(RequestError, match=r"text\.txt/mlflow\.db cannot be written to"):
        check("sqlite:///text.txt/mlflow.db").knock()


def test_an_empty_variable_is_named(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with pytest.raises(RequestError, match="MLFLOW_TRACKING_URI='': unset the variable, or set it"):
        check("")


def test_a_variable_with_a_wrong_address_is_named(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "databricks")
    with pytest.raises(
        RequestError, match=r"tracking\.uri=databricks \(the value of MLFLOW_TRACKING_URI\): "
    ):
        check("databricks")
    with pytest.raises(RequestError, match=r"tracking\.uri=\./mlruns: "):
        check("./mlruns")


def test_an_experiment_without_a_name():
    with pytest.raises(RequestError, match=r"tracking\.experiment"):
        check("sqlite:///x.db", " ")


@pytest.fixture
def port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_server_that_answers(port):
    target = check(f"http://127.0.0.1:{port}", "e")
    assert (target.uri, target.experiment) == (f"http://127.0.0.1:{port}", "e")
    assert target.database is target.artifacts is None and target.is_server
    target.knock()


def test_a_database_server_has_artifacts_beside_the_outputs(port, tmp_path):
    target = check(f"postgresql+psycopg://me:secret@127.0.0.1:{port}/d")
    assert target.artifacts == tmp_path / "outputs/mlflow-artifacts" and target.is_server
    assert target.shown == f"postgresql+psycopg://me:***@127.0.0.1:{port}/d"


@pytest.mark.parametrize(
    ("uri", "port"),
    [("http://h", 80), ("https://h/x", 443), ("postgresql://me:p@h/d", 5432), ("mysql+pymysql://h/d", 3306),
     ("mssql+pyodbc://h/d", 1433), ("https://h:8080", 8080)],
)  # fmt: skip
def test_a_server_without_a_port_is_asked_at_that_of_its_kind(uri, port, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    assert check(uri).address == ("h", port)


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_server_that_does_not(scheme):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        port = unused.getsockname()[1]
        target = check(f"{scheme}://me:secret@127.0.0.1:{port}/d")
        with pytest.raises(TrackingError, match="no server answers") as caught:
            target.knock()
    assert caught.value.exit_code == 1
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_behind_a_proxy_nothing_is_tried(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:1")
    monkeypatch.setenv("no_proxy", "")
    check("http://server.invalid:5000").knock()
