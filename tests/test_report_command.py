"""``python -m bench.report``: settings, where runs are read, exit codes, and a report of real runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import Commands, Done

from bench import tracking
from bench.cli.report import main
from bench.config import report as request
from bench.records.result import Result, Status
from bench.records.store import Store


def finished(strategy: str, seed: int, mae: float, **changed: Any) -> Result:
    settings = {
        "seed": seed, "strategy": strategy, "embedding_dim": 64, "budget": None,
        "dataset": {"name": "synthetic", "split": {"seed": 0}}, "model": {"name": "dot"},
        "embeddings": {"default": {"method": strategy}}, "training": {"epochs": 3},
        "tracking": {"uri": "sqlite:///a.db", "experiment": "mine"},
    }  # fmt: skip
    values: dict[str, Any] = {
        "strategy": strategy, "dataset": "synthetic", "seed": seed, "settings": settings, "task": "rating",
        "embeddings": {"user": {"method": strategy}}, "fingerprint": f"{strategy}-{seed}", "data_digest": "d",
        "val_mae": mae, "compression_ratio": 1.0, "embedding_bytes": 1000 if strategy == "full" else 100,
    }  # fmt: skip
    return Result(**{"status": Status.FINISHED, **values, **changed})


def failed(strategy: str, seed: int, error: str) -> Result:
    return finished(strategy, seed, 0.0, status=Status.FAILED, val_mae=None, error=error)


def records(folder: Path, *runs: Result) -> str:
    """Records some runs; returns the setting that names their folder."""
    store = Store(folder / "records")
    for run in runs:
        if run.status == Status.FINISHED:
            store.add(run)
        else:
            store.add_failed(run)
    return f"results_dir={folder / 'records'}"


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
    place = records(tmp_path, *runs, failed("md", 4, "the loss is nan"))
    assert main([place, "format=json"]) == 0
    out, err = capsys.readouterr()
    values = json.loads(out)
    assert err == "" and [group["strategy"] for group in values["groups"]] == ["full", "qr"]
    assert [group["data_digest"] for group in values["groups"]] == ["d", "d"]
    assert [(run["status"], run["name"], run["seed"]) for run in values["unfinished"]] == [
        ("failed", "md", 4)
    ]
    assert main([place, "format=csv", "strategy=full"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main([place, "format=markdown", "ci=bootstrap"]) == 0
    assert "bootstrap percentiles" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["records"]


def test_a_damaged_record_is_listed_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = records(tmp_path, finished("full", 0, 0.7), finished("qr", 0, 0.8))
    (tmp_path / "records" / "qr-0" / "result.json").write_text("{}")
    assert main([place, "format=json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert [group["strategy"] for group in values["groups"]] == ["full"]
    (lost,) = values["unfinished"]
    assert (lost["status"], lost["name"]) == ("unreadable", "qr-0") and "damaged" in lost["reason"]
    assert values["left_out"] == ["Runs without numbers (1 unreadable): listed below, in no mean."]


def test_a_run_that_failed_and_then_finished_is_not_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = records(tmp_path, failed("full", 0, "no space"), finished("full", 0, 0.7))
    assert main([place, "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["unfinished"] == []


def test_tracking_chooses_records_by_where_they_were_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = finished("qr", 0, 0.8)
    settings = {**(other.settings or {}), "tracking": {"uri": "sqlite:///b.db", "experiment": "yours"}}
    place = records(tmp_path, finished("full", 0, 0.7), replace(other, settings=settings))

    def strategies(*given: str) -> list[str]:
        assert main([place, "format=json", *given]) == 0
        return [group["strategy"] for group in json.loads(capsys.readouterr().out)["groups"]]

    assert strategies() == ["full", "qr"]
    assert strategies("tracking.experiment=yours") == ["qr"]
    assert strategies("tracking.uri=sqlite:///a.db", "tracking.experiment=mine") == ["full"]
    assert main([place, "tracking.experiment=gone"]) == 2
    assert (
        "tracking.experiment=gone: none of the 2 records in results_dir=" in (text := said(capsys))
        and "but to tracking.experiment=mine, tracking.experiment=yours" in text
    )


def test_mlflow_is_asked_where_it_is_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str]] = []

    def find_all(target: tracking.Target) -> list[Result]:
        asked.append((target.uri, target.experiment))
        return [finished("full", 0, 0.7)] if target.experiment == "mine" else []

    monkeypatch.setattr(tracking, "find_all", find_all)
    given = ["source=mlflow", f"tracking.uri=sqlite:///{tmp_path}/runs.db", "format=json"]
    assert main([*given, "tracking.experiment=mine"]) == 0
    assert len(json.loads(capsys.readouterr().out)["groups"]) == 1
    assert asked[0][1] == "mine" and asked[0][0].endswith("/runs.db")
    assert main(given) == 2
    assert "tracking.experiment=embedding-compression: no runs there" in said(capsys)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["format=pdf"], "format=pdf: give page, markdown, csv or json"),
        (["source=disk"], "source=disk: give records or mlflow"),
        (["foo=1"], "foo=1: no such setting (there are: across, ci, dataset, format"),
        (["ci=s"], "ci=s: give t or bootstrap"),
        (["outputdir=x"], "did you mean output_dir?"),
        (["dataset=a,b"], "dataset=a,b: several values; give a list as 'dataset=[a,b]'"),
        (["strategy=qq"], "strategy=qq: no such strategy"),
        (["+format=json"], "+format=json: write format=VALUE"),
        (["~format"], "~format: write format=VALUE"),
        (["a b"], "cannot be read as NAME=VALUE"),
        (["-m"], "-m: no such option"),
        (["tracking=other"], "tracking=other"),
        (["source=mlflow", "tracking.uri=folder"], "MLflow does not log to a folder any more"),
        (["output_dir="], "output_dir='': give a path"),
        (["only.dataset=x"], "no such setting"),
        ([], "/outputs/results: no records of runs in "),
        (["results_dir=gone"], "gone (no such folder); python -m bench.run makes one"),
        (["sweep=latest"], "no records of sweeps in "),
        (
            ["sweep=ab", "source=mlflow"],
            "sweep=ab: sweeps are found by their records; leave out source=mlflow",
        ),
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
    for name in ("MLFLOW_TRACKING_URI", "BENCH_RESULTS_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert main(arguments) == 2
    assert says in said(capsys)


def test_filters_that_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = records(tmp_path, finished("full", 0, 0.7))
    assert main([place, "dataset=movielens_1m"]) == 2
    assert "dataset=movielens_1m: no run of the 1 run of records in " in (text := said(capsys))
    assert text.endswith("; there are runs on synthetic\n")


@pytest.mark.slow
def test_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["source=mlflow", "tracking.uri=http://127.0.0.1:9"]) == 1
    assert "no server answers" in said(capsys)


def test_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([f"output_dir={tmp_path}/file"]) == 2
    assert "a file; give a folder" in said(capsys)


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}=" in out for name in request.names()) and len(request.names()) == 13


def modules_after(*arguments: str) -> list[str]:
    """Which slow modules a command has imported."""
    code = (
        f"import sys; from bench.cli.report import main; code = main({list(arguments)!r});"
        "slow = {'mlflow', 'tensorflow', 'keras', 'vl_convert', 'scipy', 'pandas', 'sklearn'} & set(sys.modules);"
        "print(code, *sorted(slow), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1].split()


def test_a_wrong_setting_waits_for_nothing_slow() -> None:
    assert modules_after("format=pdf") == ["2"]


def test_records_are_read_without_mlflow(tmp_path: Path) -> None:
    place = records(tmp_path, *(finished(s, seed, 0.7) for s in ("full", "qr") for seed in (0, 1)))
    assert modules_after(place, "format=json") == ["0", "scipy"]


@pytest.mark.slow
def test_all_failed_gives_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = records(tmp_path, failed("qr", 0, "the loss is nan"))
    assert main([place, f"output_dir={tmp_path}/report"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        f"error: no finished run to report on in records in {tmp_path}/records: of the 1 run"
    )
    assert "1 failed" in error and error.count("\n") == 1
    assert "the loss is nan" in (tmp_path / "report" / "index.html").read_text()


@pytest.mark.slow
def test_of_real_runs(commands: Commands) -> None:
    sweep: Done = commands.small("-m", "strategy=full,qr", "training.epochs=2")
    assert sweep.code == 0, sweep.err
    assert "python -m bench.report" in sweep.out.splitlines()[-1]
    folders = [commands.cwd / "outputs" / "report", commands.cwd / "outputs" / "of-mlflow"]
    for given, folder in zip(([], ["source=mlflow", f"output_dir={folders[1]}"]), folders, strict=True):
        report = commands.start(*given, module="bench.report").wait()
        assert report.code == 0, report.err
        expected = {"index.html", "report.json", "table.csv", "table.md", "memory-error.png"}
        assert expected <= {path.name for path in folder.iterdir()}
    groups, of_mlflow = (json.loads((folder / "report.json").read_text())["groups"] for folder in folders)
    assert groups == of_mlflow
    own = {run["strategy"]: run for run in sweep.results}
    for group in groups:
        run = own[group["strategy"]]
        assert group["val_mae_mean"] == run["val_mae"] and group["embedding_bytes"] == run["embedding_bytes"]
        assert group["val_constant"] == run["val_constant"] and group["data_digest"] == run["data_digest"]
        # the command that is named repeats the run: nothing is left to train
        again = commands.run(*group["command"].split()[3:])
        assert again.code == 0 and again.result["status"] == "skipped"
