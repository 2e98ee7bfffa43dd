"""``python -m bench.report``: settings, exit codes, and a report from MLflow itself."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import Commands, Done

from bench import results, tracking
from bench.report import main
from bench.reporting import request
from bench.tracking import history


def database(folder: Path, runs: list[dict[str, Any]]) -> str:
    """A store laid out as MLflow's, without the seconds that MLflow takes to make one; returns its URI."""
    connection = sqlite3.connect(folder / "runs.db")
    connection.executescript(
        "CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT);"
        "CREATE TABLE runs (run_uuid TEXT, experiment_id INTEGER, status TEXT, start_time INTEGER,"
        " artifact_uri TEXT, lifecycle_stage TEXT);"
        "CREATE TABLE tags (run_uuid TEXT, key TEXT, value TEXT);"
        "CREATE TABLE params (run_uuid TEXT, key TEXT, value TEXT);"
        "INSERT INTO experiments VALUES (1, 'embedding-compression', 'active'), (2, 'other', 'active'),"
        " (0, 'Default', 'active');"
    )
    for number, run in enumerate(runs):
        place = folder / "artifacts" / str(number)
        place.mkdir(parents=True)
        status = run.pop("mlflow", "FINISHED")
        if "status" in run:
            results.write(results.complete(**run), place)
        row = (str(number), 1, status, number, place.as_uri(), "active")
        connection.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", row)
        tags = {"fingerprint": f"f{number}", "dataset": "synthetic", "strategy": "qr", **run.get("tags", {})}
        if "status" in run:
            tags["status"] = run["status"]
        connection.executemany(
            "INSERT INTO tags VALUES (?, ?, ?)", [(str(number), k, v) for k, v in tags.items()]
        )
        given = {"seed": str(number), "strategy": "qr", "embeddings.default.method": "qr", "used.user.x": "1"}
        connection.executemany(
            "INSERT INTO params VALUES (?, ?, ?)", [(str(number), k, v) for k, v in given.items()]
        )
    connection.execute(
        "INSERT INTO runs VALUES ('sweep', 1, 'FINISHED', 0, 'file:///gone', 'active')"
    )  # a parent
    connection.commit()
    connection.close()
    return f"sqlite:///{folder}/runs.db"


def finished(strategy: str, seed: int, mae: float, **changed: Any) -> dict[str, Any]:
    settings = {
        "seed": seed, "strategy": strategy, "embedding_dim": 64, "budget": None,
        "dataset": {"name": "synthetic", "split": {"seed": 0}}, "model": {"name": "dot"},
        "embeddings": {"default": {"method": strategy}}, "training": {"epochs": 3},
    }  # fmt: skip
    used = {"method": strategy}
    return {
        "status": "finished", "strategy": strategy, "dataset": "synthetic", "seed": seed, "settings": settings,
        "embeddings": {"user": used}, "fingerprint": f"{strategy} {seed}", "val_mae": mae, "compression_ratio": 1.0,
        "embedding_bytes": 1000 if strategy == "full" else 100, **changed,
    }  # fmt: skip


def test_interrupt_is_one_whatever_a_library_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(_: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise AttributeError("'NoneType' object has no attribute '_invalidate_flags_cache'")  # noqa: B904

    monkeypatch.setattr(request, "read", read)
    assert main([]) == 130
    assert capsys.readouterr().err == "error: interrupted; an earlier report is as it was\n"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1, (out, err)
    return err


def test_prints_json_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [finished(s, seed, 0.7 + seed / 100) for s in ("full", "qr") for seed in (0, 1)]
    uri = database(tmp_path, [*runs, {"mlflow": "KILLED"}, {"mlflow": "RUNNING"}, {"mlflow": "FINISHED"}])
    assert main([f"tracking.uri={uri}", "format=json"]) == 0
    out, err = capsys.readouterr()
    values = json.loads(out)
    assert err == "" and [group["strategy"] for group in values["groups"]] == ["full", "qr"]
    assert [(run["status"], run["name"], run["seed"]) for run in values["unfinished"]] == [
        ("killed", "qr", 4), ("killed", "qr", 5), ("unreadable", "qr", 6),
    ]  # fmt: skip
    assert "result.json cannot be read: " in values["unfinished"][2]["reason"]
    assert main([f"tracking.uri={uri}", "format=csv", "strategy=full"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main([f"tracking.uri={uri}", "format=markdown", "ci=bootstrap"]) == 0
    assert "bootstrap percentiles" in capsys.readouterr().out
    assert not (tmp_path / "outputs").exists()


def test_run_that_goes_on_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bench.tracking import lease

    alive = {lease.PROCESS_TAG: str(lease.Trainer.this())}
    uri = database(tmp_path, [finished("full", 0, 0.7), {"mlflow": "RUNNING", "tags": alive}])
    assert main([f"tracking.uri={uri}", "format=json"]) == 0
    assert [run["status"] for run in json.loads(capsys.readouterr().out)["unfinished"]] == ["running"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["format=pdf"], "format=pdf: give page, markdown, csv or json"),
        (["foo=1"], "foo=1: no such setting (there are: ci, dataset, format"),
        (["ci=s"], "ci=s: give t or bootstrap"),
        (["outputdir=x"], "did you mean output_dir?"),
        (["dataset=a,b"], "dataset=a,b: several values; give a list as 'dataset=[a,b]'"),
        (["strategy=qq"], "strategy=qq: no such strategy"),
        (["+format=json"], "+format=json: write format=VALUE"),
        (["~format"], "~format: write format=VALUE"),
        (["a b"], "cannot be read as NAME=VALUE"),
        (["-m"], "-m: no such option"),
        (["tracking=other"], "tracking=other: no tracking called other"),
        (["tracking.uri=folder"], "MLflow does not log to a folder any more"),
        (["output_dir="], "output_dir='': give a text"),
        (["only.dataset=x"], "no such setting"),
        ([], "there is no such database, so nothing has been run there"),
    ],
)
def test_wrong_requests(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(arguments) == 2
    assert says in said(capsys)


def test_nothing_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"tracking.uri={database(tmp_path, [])}"
    assert main([uri]) == 2
    assert "no runs there; python -m bench.run makes one" in said(capsys)
    assert main([uri, "tracking.experiment=gone"]) == 2
    assert "no such experiment (there are: embedding-compression, other)" in said(capsys)


def test_filters_that_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"tracking.uri={database(tmp_path, [finished('full', 0, 0.7)])}"
    assert main([uri, "dataset=movielens_1m"]) == 2
    assert (
        "dataset=movielens_1m: none of the 1 runs" in (text := said(capsys)) and "runs on synthetic" in text
    )


def test_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tracking.uri=http://127.0.0.1:9"]) == 1
    assert "no server answers" in said(capsys)


def test_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([f"output_dir={tmp_path}/file"]) == 2
    assert "a file; give a folder" in said(capsys)


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}=" in out for name in request.names()) and len(request.names()) == 8


def test_wrong_setting_waits_for_nothing_slow() -> None:
    code = (
        "import sys; from bench.report import main; code = main(['format=pdf']);"
        "slow = {'mlflow', 'tensorflow', 'keras', 'altair', 'vl_convert', 'scipy', 'pandas'} & set(sys.modules);"
        "print(code, *slow)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


@pytest.mark.slow
def test_all_failed_gives_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = finished("qr", 0, 0.7, status="failed", val_mae=None, error="the loss is nan")
    uri = database(tmp_path, [{**failed, "mlflow": "FAILED"}])
    assert main([f"tracking.uri={uri}", f"output_dir={tmp_path}/report"]) == 0
    assert "no run has finished" in capsys.readouterr().out
    assert "the loss is nan" in (tmp_path / "report" / "index.html").read_text()


@pytest.mark.slow
def test_from_runs_in_mlflow(commands: Commands) -> None:
    sweep: Done = commands.small("-m", "strategy=full,qr", "training.epochs=2")
    assert sweep.code == 0, sweep.err
    assert "python -m bench.report" in sweep.out.splitlines()[-1]
    target = tracking.check(f"sqlite:///{commands.cwd}/outputs/mlflow.db")
    assert tracking.find_all(target) == history.read_all(target)  # of the file itself, and through MLflow
    report = commands.start(module="bench.report").wait()
    assert report.code == 0, report.err
    folder = commands.cwd / "outputs" / "report"
    assert {"index.html", "report.json", "table.csv", "table.md", "memory-error.png"} <= {
        path.name for path in folder.iterdir()
    }
    groups = json.loads((folder / "report.json").read_text())["groups"]
    own = {run["strategy"]: run for run in sweep.results}
    for group in groups:
        run = own[group["strategy"]]
        assert group["val_mae_mean"] == run["val_mae"] and group["embedding_bytes"] == run["embedding_bytes"]
        # the command that is named repeats the run: nothing is left to train
        again = commands.run(*group["command"].split()[3:])
        assert again.code == 0 and again.result["status"] == "skipped"
