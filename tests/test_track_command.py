"""``python -m bench.track``: results that MLflow missed."""

import pytest

from bench import results, tracking
from bench.config import compose
from bench.track import main

NUMBERS = {"val_mae": 0.7, "history": {"val_mae": [0.8, 0.7]}, "embedding_bytes": 100}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sweep of a finished, a failed, a refused and a skipped run, in a folder of its own."""
    folder = tmp_path_factory.mktemp("sweep")
    settings = {"tracking": {"uri": f"sqlite:///{folder}/runs.db", "experiment": "e"}}
    head = {"dataset": "d", "strategy": "qr", "settings": settings, "seed": 0}
    for number, status in enumerate(results.Status):
        place = folder / "outputs" / str(number)
        place.mkdir(parents=True)
        own = NUMBERS if status in ("finished", "skipped") else {"error": "why"}
        results.write(results.complete(status=status, fingerprint=f"f{number}", **head, **own), place)
    return folder


def finished(folder, database="runs.db"):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/{database}")
    found = client.get_experiment_by_name("e")
    return sorted(run.info.status for run in client.search_runs([found.experiment_id]))


@pytest.mark.slow
def test_sends_what_there_is_once(folder, capsys):
    for _ in range(2):
        assert main([str(folder / "outputs")]) == 0
        out = capsys.readouterr().out.splitlines()
        assert len(out) == 5 and out[-1].startswith("2 of 4 results are in MLflow")
        assert sum("nothing to send" in line for line in out[:-1]) == 2
        assert finished(folder) == ["FAILED", "FINISHED"]
    assert main([str(folder / "outputs" / "0"), f"tracking.uri=sqlite:///{folder}/other.db"]) == 0
    assert finished(folder, "other.db") == ["FINISHED"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no folder; give the output folders"),
        (["nowhere"], "nowhere: there is no such folder"),
        (["."], "no result.json there or below"),
        (["--foo"], "--foo; --help says more"),
    ],
)
def test_wrong_requests(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and says in err and err.count("\n") == 1


def test_no_server(folder, capsys):
    assert main([str(folder), "tracking.uri=http://127.0.0.1:9"]) == 1
    assert "no server answers" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "sends the result of every run" in capsys.readouterr().out.lower()
    assert tracking.TrackingError.exit_code == 1


def test_password_is_not_kept_and_asked_for(tmp_path, capsys):
    uri = "postgresql://me:secret@127.0.0.1:9/db"
    values = compose([f"tracking.uri={uri}"]).values
    assert values["tracking"]["uri"] == "postgresql://me:***@127.0.0.1:9/db"
    results.write(results.complete(status="finished", settings=values, fingerprint="f"), tmp_path)
    assert main([str(tmp_path)]) == 2
    assert "me:***@127.0.0.1:9/db: results do not keep its password; give" in capsys.readouterr().err
    assert compose([f"tracking.uri={uri}"]).tracking.uri == uri
