"""What is read from MLflow."""

import pytest
from tracked import finish, head, leave

from bench import tracking
from bench.errors import RequestError
from bench.records.result import Status


@pytest.fixture(scope="module")
def found(target, client, folder):
    """All runs of an experiment: finished, failed with and without numbers, killed, unreadable, open."""
    with tracking.start(target, head("good", data_digest="0123", task="rating")) as run:
        finish(run, folder / "good", head("good", data_digest="0123", task="rating"))
    failed = leave(folder / "bad", head("bad").with_(status=Status.FAILED, error="out of memory"))
    tracking.send(target, failed, folder / "bad")
    with pytest.raises(KeyboardInterrupt), tracking.start(target, head("killed")):
        raise KeyboardInterrupt
    run_id, _ = tracking.send(target, leave(folder / "lost", head("lost")), folder / "lost")
    (folder / "outputs/mlflow-artifacts" / run_id / "artifacts/result.json").unlink()
    run = tracking.start(target, head("open"))
    run.ready()
    yield {result.fingerprint: result for result in tracking.find_all(target)}
    run.end("KILLED")


@pytest.mark.slow
def test_every_run_is_a_result(found):
    assert list(found) == ["first", "good", "bad", "killed", "lost", "open"]  # as they were started
    good = found["good"]
    assert (good.status, good.val_mae, good.setting("training.learning_rate")) == ("finished", 0.6, 0.001)
    others = {name: (result.status, result.error) for name, result in found.items() if name != "good"}
    assert others == {
        "first": ("failed", "FAILED without a result"),
        "bad": ("failed", "out of memory"),
        "killed": ("failed", "KILLED without a result"),
        "lost": ("failed", "its result.json in MLflow cannot be read: MlflowException"),
        "open": ("failed", "has not ended yet"),
    }


def test_a_run_without_a_result_says_what_it_was(found):
    known = found["killed"]
    assert (known.strategy, known.seed, known.dataset) == ("qr", 3, "synthetic") and known.run_id


def test_finished_ones_have_ids(target, found):
    assert tracking.find_logged(target) == {name: found[name].run_id for name in ("good", "lost")}
    assert tracking.find_logged(tracking.check(target.uri, "nothing there")) == {}


def test_a_finished_run_is_found_with_its_files(target, found, tmp_path, caplog):
    result = tracking.find_finished(target, "good", tmp_path)
    assert result == found["good"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.txt", "result.json"]
    assert not caplog.text


@pytest.mark.parametrize("fingerprint", ["bad", "killed", "open", "unknown"])
def test_only_finished_runs_are_found(target, found, tmp_path, caplog, fingerprint):
    assert tracking.find_finished(target, fingerprint, tmp_path) is None
    assert not caplog.text


def test_one_that_cannot_be_read_is_warned_of(target, found, tmp_path, caplog):
    assert tracking.find_finished(target, "lost", tmp_path) is None
    assert f"run {found['lost'].run_id} has finished but cannot be read" in caplog.text


def test_the_result_of_another_run_is_none(target, found, folder, tmp_path, caplog):
    run_id, _ = tracking.send(target, leave(folder / "mixed", head("mixed")), folder / "mixed")
    leave(folder / "outputs/mlflow-artifacts" / run_id / "artifacts", head("another"))
    assert tracking.find_finished(target, "mixed", tmp_path) is None
    assert "its result.json is of another run" in caplog.text


def test_no_such_database_and_none_is_made(folder):
    with pytest.raises(RequestError, match="no such database"):
        tracking.find_all(tracking.check("sqlite:///nowhere/mlflow.db"))
    assert not (folder / "nowhere").exists()


def test_no_such_experiment(target, client):
    with pytest.raises(RequestError, match=r"tracking\.experiment=x: no such experiment \(there are: e\)"):
        tracking.find_all(tracking.check(target.uri, "x"))
