"""``python -m bench.track``: what MLflow lacks is sent."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench import tracking
from bench.cli.track import main
from bench.config import compose
from bench.records.result import Result, Status
from bench.records.store import Store
from bench.records.sweeps import Member, SweepRecord
from bench.tracking import private
from bench.tracking.client import mlflow

NUMBERS = {"val_mae": 0.7, "history": {"val_mae": [0.8, 0.7]}, "embedding_bytes": 100}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A database without an experiment of ours, to be copied."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    mlflow.submit(private.make_database, path, path.parent / "mlflow-artifacts").result()
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch, database):
    """A current folder with a database and nothing else."""
    for name in ("MLFLOW_TRACKING_URI", "BENCH_RESULTS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    shutil.copy(database, "outputs/mlflow.db")
    return tmp_path


def result(fingerprint, status="finished", uri="sqlite:///outputs/mlflow.db", experiment="e", **values):
    settings = {"tracking": {"uri": uri, "experiment": experiment}, "seed": 0}
    numbers = NUMBERS if status in ("finished", "skipped") else {"error": "why"}
    known = {"dataset": "d", "strategy": "qr", "seed": 0, "settings": settings, "fingerprint": fingerprint}
    return Result.of(Status(status), **{**known, **numbers, **values})


def leave(place, found):
    place.mkdir(parents=True)
    found.write(place)


def runs(database="outputs/mlflow.db", experiment="e", wanted=""):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{Path(database).absolute()}")
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], wanted) if found else []


def statuses(**where):
    return sorted(run.info.status for run in runs(**where) if "fingerprint" in run.data.tags)


@pytest.fixture
def store(folder):
    """Records of two finished runs, one in another experiment, and of a failed one."""
    store = Store(folder / "outputs" / "results")
    store.add(result("f0", run_id="gone"))
    store.add(result("f1", experiment="other"))
    store.add_failed(result("f2", "failed"))
    return store


@pytest.mark.slow
def test_all_records_are_sent_once_each_to_its_experiment(store, capsys):
    assert main([]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 4 and out[-1] == "sent 3 runs and 0 sweeps"
    assert (statuses(), statuses(experiment="other")) == (["FAILED", "FINISHED"], ["FINISHED"])
    assert main([]) == 0
    assert capsys.readouterr().out == "sent 0 runs and 0 sweeps; 3 were there already\n"
    assert len(statuses()) == 2


@pytest.mark.slow
def test_a_removed_database_is_filled_again(store, folder, capsys, database):
    assert main([]) == 0
    (folder / "outputs" / "mlflow.db").unlink()
    shutil.copy(database, folder / "outputs" / "mlflow.db")
    assert main([]) == 0
    assert statuses() == ["FAILED", "FINISHED"]
    assert "sent 3 runs and 0 sweeps" in capsys.readouterr().out


def test_settings_say_where_from_and_where_to(folder, capsys, database):
    Store(folder / "mine").add(result("f0"))
    shutil.copy(database, "other.db")
    assert main(["results_dir=mine", "tracking.uri=sqlite:///other.db", "tracking.experiment=x"]) == 0
    assert (statuses(), statuses(database="other.db", experiment="x")) == ([], ["FINISHED"])


def test_a_removed_record_is_not_sent(store, folder, capsys):
    leave(folder / "outputs" / "2026" / "0", result("f0"))
    store.remove(store.find("f0"))
    assert main([]) == 0 and main(["outputs"]) == 0
    assert "its record was removed; not sent" in capsys.readouterr().out
    assert statuses() == ["FAILED"]


def test_results_of_output_folders_are_sent_where_they_were_to_go(folder, capsys, database):
    shutil.copy(database, "own.db")
    for number, status in enumerate(Status):
        leave(folder / "outputs" / "s" / str(number), result(f"f{number}", status, uri="sqlite:///own.db"))
    leave(folder / "outputs" / "s" / "5", result(None, "failed"))  # before its fingerprint was known
    leave(folder / "outputs" / "s" / "artifacts", result("copy"))
    assert main(["outputs"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "sent 2 runs and 0 sweeps; 3 have nothing to send"
    assert [line.partition(":")[0] for line in out[:-1]] == ["outputs/s/0", "outputs/s/1"]
    assert (statuses(), statuses(database="own.db")) == ([], ["FAILED", "FINISHED"])


@pytest.mark.parametrize(("uri", "says"), [
    ("${oc.env:BENCH_TEST_URI}", None),
    ("${oc.env:BENCH_TEST_NO_URI}", "tracking.uri=${oc.env:BENCH_TEST_NO_URI}: refers to what cannot be read"),
    ("${oc.env:", "cannot be read; give tracking.uri=URI"),
])  # fmt: skip
def test_an_address_that_a_variable_holds_is_what_it_holds_now(
    folder, capsys, database, monkeypatch, uri, says
):
    shutil.copy(database, "own.db")
    monkeypatch.setenv("BENCH_TEST_URI", "sqlite:///own.db")
    leave(folder / "outputs" / "0", result("f0", uri=uri))
    leave(folder / "outputs" / "1", result("f1"))
    assert main(["outputs"]) == (1 if says else 0)
    assert (says or "") in capsys.readouterr().out
    assert (statuses(), statuses(database="own.db")) == (["FINISHED"], [] if says else ["FINISHED"])


def test_an_output_folder_stands_before_its_record(store, folder, capsys):
    leave(folder / "outputs" / "s" / "0", result("f0"))
    assert main(["outputs"]) == 0
    assert "outputs/s/0: run " in capsys.readouterr().out
    assert statuses() == ["FAILED", "FINISHED"]


def test_a_failure_does_not_keep_the_result_of_a_later_try_from_being_sent(folder):
    leave(folder / "outputs" / "s" / "0", result("f0", "failed"))
    leave(folder / "outputs" / "s" / "1", result("f0"))
    assert main(["outputs"]) == 0
    assert statuses() == ["FAILED", "FINISHED"]


BAD = {
    "empty": "",
    "cut": '{"status": "finis',
    "deep": '{"status": ' + "[" * 100_000,
    "settings": '{"status": "finished", "settings": "x"}',
    "list": "[]",
    "not utf8": b"\xff\xfe",
}


def test_each_bad_result_is_named_and_the_others_are_sent(folder, capsys):
    for name, text in BAD.items():
        (folder / "outputs" / "s" / name).mkdir(parents=True)
        (folder / "outputs" / "s" / name / "result.json").write_bytes(
            text if isinstance(text, bytes) else text.encode()
        )
    leave(folder / "outputs" / "s" / "good", result("f0"))
    assert main(["outputs/s"]) == 1
    out, err = capsys.readouterr()
    named = [line for line in out.splitlines() if line.startswith("not sent: ")]
    assert len(named) == len(BAD) and all(any(f"s/{name}" in line for line in named) for name in BAD)
    assert err == f"error: {len(BAD)} not sent, as named above; the others are in MLflow\n"
    assert statuses() == ["FINISHED"] and "Traceback" not in out


def test_each_bad_record_is_named_and_the_others_are_sent(store, capsys):
    (store.folder / "f0" / "result.json").write_text("{}")
    (store.folder / "sweeps").mkdir()
    (store.folder / "sweeps" / "key.json").write_text("{}")
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert f"not sent: {store.folder / 'f0' / 'result.json'}: damaged" in out
    assert f"not sent: {store.folder / 'sweeps' / 'key.json'}: " in out
    assert err.startswith("error: 2 not sent") and statuses(experiment="other") == ["FINISHED"]


def test_an_experiment_that_was_deleted_keeps_no_other_from_being_sent(store, capsys):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{store.folder.parent}/mlflow.db")
    client.delete_experiment(client.create_experiment("e"))
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert out.count("tracking.experiment=e: deleted in MLflow") == 2
    assert err.startswith("error: 2 not sent") and statuses(experiment="other") == ["FINISHED"]


SWEEP = SweepRecord(
    "key", "seed=0,1,2", "python -m bench.run -m seed=0,1,2", "outputs/s", "host 1 2.0",
    {"tracking": {"experiment": "e"}},
)  # fmt: skip


def test_sweeps_are_sent_with_their_runs_below_them(folder, capsys):
    store, sweep = Store(folder / "outputs" / "results"), SWEEP
    for number, status in enumerate(("finished", "skipped", "refused")):
        fingerprint = None if status == "refused" else f"f{number}"
        sweep = sweep.with_job(Member(number, (f"seed={number}",), status, fingerprint))
        if fingerprint:
            store.add(result(fingerprint, seed=number))
    replace(sweep, status="finished").write(store)
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["sweep seed=0,1,2", "sent 2 runs and 1 sweep"]
    (own,) = runs(wanted="tags.sweep = 'key'")
    assert own.info.status == "FINISHED" and own.data.tags["runs.refused"] == "1"
    above = {
        run.data.tags["fingerprint"]: run.data.tags.get("mlflow.parentRunId")
        for run in runs(wanted="tags.strategy = 'qr'")
    }
    assert above == {"f0": own.info.run_id, "f1": None}
    assert main([]) == 0
    assert capsys.readouterr().out == "sent 0 runs and 0 sweeps; 2 were there already\n"


@pytest.mark.parametrize(("alive", "sent"), [(True, 0), (False, 1)])
def test_a_sweep_that_goes_on_is_not_sent_and_one_that_was_killed_is(
    folder, monkeypatch, capsys, alive, sent
):
    store = Store(folder / "outputs" / "results")
    store.add(result("f0"))
    SWEEP.with_job(Member(0, ("seed=0",), "finished", "f0")).with_job(Member(1, ("seed=1",))).write(store)
    monkeypatch.setattr("bench.cli.track.has_ended", lambda process: not alive)
    assert main([]) == 0
    found = runs(wanted="tags.sweep = 'key'")
    assert [run.info.status for run in found] == ["KILLED"] * sent


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no records there; python -m bench.run makes one"),
        (["nowhere"], "nowhere: no such folder"),
        (
            ["training.epochs=1"],
            "training.epochs=1: no such setting (results_dir, tracking.uri, tracking.experiment)",
        ),
        (["."], "no result.json there or below"),
        (["--foo"], "--foo: no such option; --help says more"),
        (
            ["tracking.uri=nonsense://x"],
            "tracking.uri=nonsense://x: MLflow has no store of the kind nonsense",
        ),
    ],
)
def test_wrong_requests(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and says in err and err.count("\n") == 1


def test_no_server(store, capsys):
    assert main(["tracking.uri=http://127.0.0.1:9"]) == 1
    assert "no server answers" in capsys.readouterr().err


def test_an_empty_variable(store, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("error: MLFLOW_TRACKING_URI='': unset the variable")


def test_help(capsys):
    assert main(["--help"]) == 0
    assert "sends to mlflow the results that it lacks" in capsys.readouterr().out.lower()
    assert tracking.TrackingError.exit_code == 1


def test_password_is_not_kept_and_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    uri = "postgresql://me:secret@127.0.0.1:9/db"
    values = compose([f"tracking.uri={uri}"]).values
    assert json.dumps(values["tracking"]).count("secret") == 0
    leave(tmp_path / "o", Result.of(Status.FINISHED, settings=values, fingerprint="f"))
    assert main(["o"]) == 1
    assert "me:***@127.0.0.1:9/db: results do not keep its password; give" in capsys.readouterr().out
    assert compose([f"tracking.uri={uri}"]).tracking.uri == uri
